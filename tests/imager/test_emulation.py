"""Programs of another architecture: whether this host runs them, and what it is told to do so."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from ironwake.errors import RefusedError
from ironwake.firmware import Architecture
from ironwake_imager import emulation
from ironwake_runtime.apt import host_architecture
from ironwake_testing import packages

BINFMT = Path("/proc/sys/fs/binfmt_misc")
OTHER = next(one for one in Architecture if one != host_architecture())
EMULATOR = {Architecture.ARM64: "qemu-aarch64-static", Architecture.AMD64: "qemu-x86_64-static"}
# As Debian's own packages tell the kernel, of 64-bit ARM.
DEBIAN = Path("/usr/lib/binfmt.d/qemu-aarch64.conf")


def test_the_registration_is_like_debians() -> None:
    """The same magic and mask as in the distribution's package, and the flags that we need."""
    text = emulation.registration(Architecture.ARM64, "/usr/bin/qemu-aarch64-static").decode()
    _, name, kind, offset, magic, mask, interpreter, flags = text.split(":")
    assert (name, kind, offset) == ("qemu-ironwake", "M", "")
    assert interpreter == "/usr/bin/qemu-aarch64-static"
    assert "F" in flags
    assert len(re.findall(r"\\x[0-9a-f]{2}", magic)) == len(re.findall(r"\\x", mask)) == 20
    if DEBIAN.is_file():
        fields = DEBIAN.read_text().strip().split(":")
        assert (magic, mask) == (fields[4], fields[5])


@pytest.mark.root
def test_own_programs_need_no_words() -> None:
    """Building for the host's own architecture goes the straight way."""
    assert emulation.prefix(Architecture(host_architecture())) == []


@pytest.mark.root
def test_a_host_without_an_emulator_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Before anything is downloaded: the command that helps stands in the refusal."""
    if emulation.runs(OTHER):
        pytest.skip("this host runs such programs by itself")
    (tmp_path / "chroot").symlink_to("/usr/sbin/chroot")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RefusedError, match=f"cannot run the programs of {OTHER}") as caught:
        emulation.prefix(OTHER)
    assert "apt-get install qemu-user-static" in caught.value.next_step


@pytest.mark.root
def test_the_emulator_is_found_from_inside_any_root(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With an emulator on the path, other programs run, and the host's registrations stay."""
    ask = ["unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "binfmt_misc"]
    if subprocess.run([*ask, "none", BINFMT], check=False).returncode:
        pytest.skip("this kernel has one binfmt_misc for all: since Linux 6.7, namespaces have own")
    name = "usr/bin/" + EMULATOR[OTHER]
    program = packages.take(name, "qemu-user-static", "bookworm", tmp_path / "emulator")
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    before = sorted(BINFMT.iterdir())
    words = emulation.prefix(OTHER)
    assert emulation.runs(OTHER, words)
    assert sorted(BINFMT.iterdir()) == before
