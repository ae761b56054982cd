"""A root becomes an archive with all that its files have; the right one, mounted to be read."""

from __future__ import annotations

import io
import os
import stat
import struct
import subprocess
import tarfile
from pathlib import Path

import pytest
import zstandard

from ironwake.disk import Part
from ironwake.errors import GoneError, RefusedError
from ironwake_agent.capture import root as roots
from ironwake_agent.commands import CommandError
from ironwake_agent.image.volumes import Root, Volume
from tests.agent.capture.test_disk import Sink
from tests.agent.rig import Recorder

ROOT = Volume("/dev/vda2", "ext4", "1111-aa", "ROOT", Part(2, 1 << 20, 1 << 30, uuid="2222-bb"))
DATA = Volume("/dev/vdb1", "xfs", "3333-cc")
ESP = Volume("/dev/vda1", "vfat", "ABCD-0123")

# acl(5), as the kernel keeps it: version 2, then (tag, permissions, id) of each entry
_ENTRIES = ((0x01, 7, -1), (0x02, 6, 1234), (0x04, 5, -1), (0x10, 7, -1), (0x20, 1, -1))
ACL = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in _ENTRIES)


def archived(folder: Path) -> dict[str, tarfile.TarInfo]:
    sink = Sink()
    told: list[float] = []
    roots.pack(folder, sink, told.append)
    plain = folder.parent / "plain.tar"
    with plain.open("wb") as stream:
        zstandard.ZstdDecompressor().copy_stream(io.BytesIO(bytes(sink.content)), stream)
    with tarfile.open(plain) as tar:
        return {member.name.removeprefix("./"): member for member in tar}


def test_all_that_a_file_has_is_in_the_archive(tmp_path: Path) -> None:
    """Hard links, holes, attributes, modes, pipes, links; neither swap files nor sockets."""
    root = tmp_path / "root"
    for name in ("etc", "opt"):
        (root / name).mkdir(parents=True)
    (root / "etc/fstab").write_text(
        "UUID=1111-AA / ext4 defaults 0 1\n/swapfile none swap sw 0 0\n"
    )
    (root / "swapfile").write_bytes(b"secrets of the memory")
    (root / "opt/one").write_text("one")
    os.setxattr(root / "opt/one", "user.note", b"kept")
    os.setxattr(root / "opt/one", "system.posix_acl_access", ACL)
    os.link(root / "opt/one", root / "opt/two")
    with (root / "opt/holes").open("wb") as stream:
        stream.truncate(50 << 20)
        stream.seek(20 << 20)
        stream.write(b"in the middle")
    os.mkfifo(root / "opt/pipe")
    os.mknod(root / "opt/socket", stat.S_IFSOCK | 0o600)
    (root / "opt/link").symlink_to("../etc")
    (root / "opt/one").chmod(0o4751)
    found = archived(root)
    assert found["opt/two"].islnk()
    assert found["opt/two"].linkname == "./opt/one"
    assert found["opt/one"].mode == 0o4751
    headers = found["opt/one"].pax_headers
    assert headers["SCHILY.xattr.user.note"] == "kept"
    assert "user:1234:rw-" in headers["SCHILY.acl.access"]
    assert not [key for key in headers if "posix_acl" in key]  # not a second time
    assert "GNU.sparse.realsize" in found["opt/holes"].pax_headers
    assert found["opt/pipe"].isfifo()
    assert found["opt/link"].linkname == "../etc"
    assert "swapfile" not in found
    assert "opt/socket" not in found


def test_an_end_in_the_middle_ends_both_programs(tmp_path: Path) -> None:
    """Cancelled by a person, or refused by the appliance: neither tar nor zstd is left."""
    (tmp_path / "large").write_bytes(os.urandom(8 << 20))

    class Refusing:
        def write(self, data: bytes) -> None:  # noqa: ARG002 (a `Sink`)
            raise GoneError("over")

    with pytest.raises(GoneError):
        roots.pack(tmp_path, Refusing(), lambda _: None)
    words = ["ps", "--ppid", str(os.getpid()), "-o", "comm="]
    left = subprocess.run(words, capture_output=True, text=True, check=False).stdout.split()
    assert not {"tar", "zstd"} & set(left)


def test_a_root_is_chosen_by_what_no_restart_changes() -> None:
    """By an id or a label; `auto` only where there is one; a name of none is refused."""

    def look(one: Volume) -> Root | None:
        return Root(one) if one is ROOT else None

    for name in ("auto", "UUID=1111-AA", "LABEL=ROOT", "PARTUUID=2222-bb"):
        assert roots.choose(look, (ESP, ROOT, DATA), name) == Root(ROOT)
    with pytest.raises(RefusedError, match="/dev/vdb1 \\(xfs\\) has no system in it"):
        roots.choose(look, (ROOT, DATA), "UUID=3333-cc")
    with pytest.raises(RefusedError, match="there is no file system UUID=none"):
        roots.choose(look, (ROOT,), "UUID=none")
    with pytest.raises(RefusedError, match="no root file system is here"):
        roots.choose(look, (ESP, DATA), "auto")
    with pytest.raises(RefusedError, match="2 roots are here"):
        roots.choose(Root, (ROOT, DATA), "auto")


def test_all_is_mounted_to_be_read_and_unmounted(tmp_path: Path) -> None:
    """What fstab names is mounted below it, in its order; the ESP and what is elsewhere is not."""
    (tmp_path / "etc").mkdir()
    for name in ("srv/data", "boot/efi", "mnt/net"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "etc/fstab").write_text(
        "# comment\nUUID=3333-cc /srv/data xfs defaults,subvol=@x 0 2\nUUID=1111-aa / ext4 x 0 1\n"
        "UUID=ABCD-0123 /boot/efi vfat umask=0077 0 1\nhost:/x /mnt/net nfs ro 0 0\n"
        "UUID=9 /x ext4\n"
    )
    run = Recorder()
    with roots.mounted(run, Root(ROOT), (ESP, ROOT, DATA), tmp_path):
        pass
    assert run.calls == [
        ("mount", "-t", "ext4", "-o", "ro", "/dev/vda2", str(tmp_path)),
        ("mount", "-t", "xfs", "-o", "ro,nouuid,subvol=@x", "/dev/vdb1", f"{tmp_path}/srv/data"),
        ("umount", f"{tmp_path}/srv/data"),
        ("umount", str(tmp_path)),
    ]


def test_a_file_system_that_was_not_closed_is_refused(tmp_path: Path) -> None:
    """Its journal would have to be replayed: that is a write. What was mounted is unmounted."""
    run = Recorder(broken={"mount": "mount ended with 32: cannot mount /dev/vda2 read-only"})
    with (
        pytest.raises(RefusedError, match=r"cannot be mounted for reading alone.*shut it down"),
        roots.mounted(run, Root(ROOT), (ROOT,), tmp_path),
    ):
        raise CommandError("never reached")
    assert run.programs == ["mount"]


def test_a_link_in_the_way_leads_nowhere(tmp_path: Path) -> None:
    """A root's folder that is a link is not mounted on: it could be one of ours."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "srv").symlink_to("/etc")
    (tmp_path / "etc/fstab").write_text("UUID=3333-cc /srv xfs defaults 0 2\n")
    run = Recorder()
    with (
        pytest.raises(RefusedError, match="/srv of fstab is no folder"),
        roots.mounted(run, Root(ROOT), (ROOT, DATA), tmp_path),
    ):
        raise CommandError("never reached")
    assert run.programs == ["mount", "umount"]
