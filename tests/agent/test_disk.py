"""On a real file system: made, mounted, unpacked, unmounted, and clean."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from ironwake.errors import RefusedError
from ironwake.order import Archive
from ironwake_agent import commands, prepare
from ironwake_agent.unpack import unpack
from tests.agent.rig import BIOS

pytestmark = pytest.mark.root


def _archive() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("usr/bin/ping")
        member.size, member.mode, member.uid = 4, 0o4755, 1234
        member.pax_headers = {"SCHILY.xattr.user.origin": "archive"}
        tar.addfile(member, io.BytesIO(b"ping"))
    return subprocess.run(
        ["zstd", "-q", "-c"], input=stream.getvalue(), stdout=subprocess.PIPE, check=True
    ).stdout


def test_owners_modes_and_attributes_reach_the_disk(tmp_path: Path) -> None:
    """What the archive says of a file is what the new system's file system says of it."""
    image, target = tmp_path / "root.img", tmp_path / "target"
    with image.open("wb") as stream:
        stream.truncate(64 << 20)
    make = next(one for one in BIOS.commands if one.words[0] == "mkfs.ext4")
    commands.run(*make.words[:-1], str(image))
    data = _archive()
    work = replace(BIOS, places=(replace(BIOS.places[0], device=str(image)),))
    prepare.mount(commands.run, work, target)
    try:
        item = Archive("http://unused", hashlib.sha256(data).hexdigest(), len(data), 4)
        unpack(item, iter([data]), target, lambda _: None)
        status = (target / "usr/bin/ping").stat()
        assert (status.st_uid, status.st_mode & 0o7777) == (1234, 0o4755)
        assert os.getxattr(target / "usr/bin/ping", "user.origin") == b"archive"
        (loop,) = commands.run("losetup", "--noheadings", "-O", "NAME", "-j", str(image)).split()
        with pytest.raises(RefusedError, match=loop):
            prepare.claim(loop)  # it is mounted: nobody may have it for himself
    finally:
        prepare.unmount(commands.run, target, print)
    assert not os.path.ismount(target)
    commands.run("e2fsck", "-f", "-n", str(image))
