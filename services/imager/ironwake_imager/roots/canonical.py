"""Writes a tree as the one form that images have: a tar.zst that is safe to unpack in its order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import zstandard

from ironwake.errors import BrokenError
from ironwake.rootfs import writer
from ironwake.rootfs.member import Kind, Member, shown
from ironwake.rootfs.tree import Inode, Tree
from ironwake_imager.roots.layers import Layer

# Level 10 packs as fast as a tree is read, and unpacks as fast as any.
_LEVEL = 10
_MOST_TOLD = 64 << 20  # bytes of a file that is asked for; dpkg's longest lists are 5 MB


@dataclass
class Written:
    """What is known after the writing.

    :ivar sha256: of the plain archive
    :ivar plain: its bytes
    :ivar contents: bytes of all files, holes left out
    :ivar told: what stands in the files that were asked for, by name
    """

    sha256: str = ""
    plain: int = 0
    contents: int = 0
    members: int = 0
    told: dict[str, bytes] = field(default_factory=dict)


def write(
    tree: Tree,
    layers: list[Layer],
    target: Path,
    asked: Iterable[str],
    progress: Callable[[float], None],
) -> Written:
    """Write all of the tree to `target`, with the contents that the layers have.

    :param asked: names of files whose contents are to be told
    :param progress: called with 0.0 to 1.0
    :raises BrokenError: a layer is another one than when it was judged
    """
    inodes = {path: tree.resolve(path) for path in asked}
    kept = {inode: bytearray() for inode in inodes.values() if inode is not None}
    members = list(tree.members())
    total = sum(member.stored for member, _ in members) or 1
    parameters = zstandard.ZstdCompressionParameters.from_level(
        _LEVEL, threads=-1, write_checksum=True
    )
    compressor = zstandard.ZstdCompressor(compression_params=parameters)
    with target.open("xb") as stream, compressor.stream_writer(stream, closefd=False) as packed:
        pack = _Pack(packed, kept, lambda count: progress(count / total))
        for member, _ in members:
            if member.kind is Kind.DIRECTORY:
                pack.put(writer.head(member))
        for place, layer in enumerate(layers):
            wanted = {
                inode.number: (member, inode)
                for member, inode in members
                if member.kind is Kind.FILE and inode.layer == place
            }
            _files(pack, layer, wanted)
        for member, _ in members:
            if member.kind not in (Kind.DIRECTORY, Kind.FILE):
                pack.put(writer.head(member))
        pack.put(writer.END)
    told = {path: bytes(kept[inode]) for path, inode in inodes.items() if inode is not None}
    return Written(pack.digest.hexdigest(), pack.plain, pack.contents, len(members), told)


class _Pack:
    """Takes the plain archive piece by piece."""

    def __init__(
        self,
        packed: zstandard.ZstdCompressionWriter,
        kept: Mapping[Inode, bytearray],
        progress: Callable[[int], None],
    ) -> None:
        self._packed = packed
        self._kept = kept
        self._progress = progress
        self.digest = hashlib.sha256()
        self.plain = 0
        self.contents = 0

    def put(self, data: bytes | memoryview) -> None:
        self.digest.update(data)
        self._packed.write(data)
        self.plain += len(data)

    def content(self, inode: Inode, piece: memoryview) -> None:
        self.put(piece)
        self.contents += len(piece)
        self._progress(self.contents)
        kept = self._kept.get(inode)
        if kept is not None:
            kept += piece[: max(0, _MOST_TOLD - len(kept))]


def _files(pack: _Pack, layer: Layer, wanted: Mapping[int, tuple[Member, Inode]]) -> None:
    """The files of one layer that are left in the end."""
    number, seen = -1, 0
    current: tuple[Member, Inode] | None = None
    left = 0
    for event in layer.read(contents=True):
        if not isinstance(event, Member):
            if current is not None:
                pack.content(current[1], event)
                left -= len(event)
                if not left:
                    pack.put(writer.padding(current[0]))
            continue
        number += 1
        if left:
            raise _changed(event)
        current = wanted.get(number)
        if current is not None:
            if event != current[1].member:
                raise _changed(event)
            pack.put(writer.head(current[0]))
            left = event.stored
            seen += 1
    if left or seen != len(wanted):
        raise _changed(None)


def _changed(member: Member | None) -> BrokenError:
    where = f" at {shown(member.path)}" if member else ""
    return BrokenError(f"the source was changed while it was read{where}", "import it again")
