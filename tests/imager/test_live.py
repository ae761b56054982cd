"""The root of a live system as squashfs."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ironwake_imager.live import squash
from ironwake_testing.archives import Entry, tar


def test_a_tar_becomes_the_same_squashfs_again(tmp_path: Path) -> None:
    """With its files and their rights; nothing in it says when it was made."""
    source = tmp_path / "root.tar"
    there = [Entry(".", "dir"), Entry("usr/bin/x", mode=0o700), Entry("usr/y", mode=0o4755)]
    source.write_bytes(tar(there))
    for name in ("one", "two"):
        squash(source, tmp_path / name, 1_700_000_000)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    listed = subprocess.run(
        ["unsquashfs", "-UTC", "-lln", tmp_path / "one"], check=True, capture_output=True, text=True
    ).stdout
    found = {row.split()[-1]: row.split()[0] for row in listed.splitlines()}
    assert found["squashfs-root"] == "drwxr-xr-x"
    assert found["squashfs-root/usr/bin/x"] == "-rwx------"
    assert found["squashfs-root/usr/y"] == "-rwsr-xr-x"
