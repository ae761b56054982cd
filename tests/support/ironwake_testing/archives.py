"""Archives of root file systems for tests: sound ones, and whatever hostile ones."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from hypothesis import strategies as st

_TYPES = {
    "file": tarfile.REGTYPE,
    "dir": tarfile.DIRTYPE,
    "sym": tarfile.SYMTYPE,
    "hard": tarfile.LNKTYPE,
    "char": tarfile.CHRTYPE,
    "block": tarfile.BLKTYPE,
    "fifo": tarfile.FIFOTYPE,
}


class Entry(NamedTuple):
    """`kind` is one of file, dir, sym, hard, char, block, fifo; `uid` None: the test's own."""

    name: str
    kind: str = "file"
    link: str = ""
    data: bytes = b""
    mode: int = 0o755
    pax: Mapping[str, str] = {}


SYSTEM: tuple[Entry, ...] = (
    Entry("etc", "dir"),
    Entry("etc/passwd", data=b"root:x:0:0::/root:/bin/sh\n"),
    Entry("etc/os-release", "sym", "../usr/lib/os-release"),
    Entry("usr", "dir"),
    Entry("usr/lib", "dir"),
    Entry("usr/lib/os-release", data=b'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n'),
    Entry("usr/bin", "dir"),
    Entry("usr/bin/dash", data=b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\0\x3e\0" + bytes(100)),
    Entry("usr/bin/sh", "sym", "dash"),
    Entry("bin", "sym", "usr/bin"),
    Entry("boot", "dir"),
    Entry("boot/vmlinuz-6.1.0-1-amd64", data=b"kernel"),
    Entry("var/lib/dpkg", "dir"),
    Entry(
        "var/lib/dpkg/status",
        data=b"Package: dash\nStatus: install ok installed\nVersion: 0.5.12-2\n\n"
        b"Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n",
    ),
)
"""A small system that has a kernel, a shell for amd64 and a list of packages."""


def tar(entries: Iterable[Entry], form: int = tarfile.PAX_FORMAT, owner: int = 0) -> bytes:
    """A tar of exactly these members, in their order, whatever they are called."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
        for entry in entries:
            member = tarfile.TarInfo(entry.name)
            member.type, member.linkname, member.mode = (_TYPES[entry.kind], entry.link, entry.mode)
            member.uid = member.gid = owner
            member.devmajor, member.devminor = (1, 3) if entry.kind in ("char", "block") else (0, 0)
            member.pax_headers = dict(entry.pax)
            member.size = len(entry.data) if entry.kind == "file" else 0
            archive.addfile(member, io.BytesIO(entry.data))
    return stream.getvalue()


_PARTS = st.sampled_from(["a", "b", "c", "dev", "..", ".", "", "out"])
_NAMES = st.builds(
    lambda lead, parts: lead + "/".join(parts),
    st.sampled_from(["", "", "", "./", "/", "../", "//"]),
    st.lists(_PARTS, min_size=1, max_size=4),
)


def entries() -> st.SearchStrategy[list[Entry]]:
    """Archives of few names that meet often: links over folders, names through links, climbs."""
    entry = st.builds(
        lambda name, kind, link, data: Entry(name or "a", kind, link or "a", data),
        _NAMES,
        st.sampled_from(["file", "file", "dir", "dir", "sym", "sym", "hard", "fifo"]),
        _NAMES,
        st.binary(max_size=20),
    )
    return st.lists(entry, max_size=8)
