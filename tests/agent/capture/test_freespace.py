"""XFS, btrfs and NTFS without what they call free are whole, and next to nothing else is kept."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake import freespace

MIB = 1 << 20
KEPT = random.Random(6).randbytes(3 * MIB + 7)
_NAMES = [f"file-{number:04d}" for number in range(400)]


def call(*words: str | Path, cwd: Path | None = None) -> bytes:
    return subprocess.run(words, check=True, capture_output=True, cwd=cwd).stdout


def free_of(path: Path) -> list[freespace.Run]:
    file = os.open(path, os.O_RDONLY)
    try:
        return list(freespace.free(lambda place, count: os.pread(file, count, place)))
    finally:
        os.close(file)


def noise(path: Path, size: int) -> None:
    """What was there before."""
    data = random.Random(5).randbytes(MIB)
    with path.open("wb") as stream:
        for _ in range(size // MIB):
            stream.write(data)


def tree(folder: Path) -> Path:
    """A file, and many small ones."""
    folder.mkdir()
    (folder / "kept").write_bytes(KEPT)
    for name in _NAMES:
        (folder / name).write_bytes(name.encode() * 400)
    return folder


def make_xfs(path: Path, *options: str, size: int = 400 * MIB) -> None:
    noise(path, size)
    content = tree(path.parent / "content")
    rows = [f"{file.name} ---644 0 0 {file}" for file in sorted(content.iterdir())]
    proto = path.parent / "proto"
    proto.write_text("\n".join(("/", "0 0", "d--755 0 0", *rows, "$", "")))
    call("mkfs.xfs", "-q", "-f", "-K", "-p", proto, *options, path)


def make_btrfs(path: Path, *options: str, size: int = 256 * MIB) -> None:
    noise(path, size)
    content = tree(path.parent / "content")
    call("mkfs.btrfs", "-q", "-f", "-K", "-r", content, *options, path)


def make_ntfs(path: Path, *options: str, size: int = 64 * MIB) -> None:
    noise(path, size)
    call("mkntfs", "-q", "-F", "-f", *options, path)
    content = tree(path.parent / "content")
    for name in ("kept", *_NAMES[:40]):
        call("ntfscp", "-q", path, content / name, name)


def judge_xfs(path: Path) -> bytes:
    call("xfs_repair", "-n", "-f", path)
    return b""


def judge_btrfs(path: Path) -> bytes:
    call("btrfs", "check", "--check-data-csum", "--readonly", path)
    into = path.parent / "restored"
    into.mkdir()
    call("btrfs", "restore", path, into)
    return (into / "kept").read_bytes()


def judge_ntfs(path: Path) -> bytes:
    call("ntfsfix", "-n", path)
    return call("ntfscat", path, "kept")


def cleared(path: Path, to: Path) -> int:
    """The same with noise of another kind where it is free; bytes that are not."""
    shutil.copyfile(path, to)
    data = random.Random(7).randbytes(MIB)
    held, end = path.stat().st_size, 0
    with to.open("r+b") as stream:
        for start, length in free_of(path):
            assert start >= end, "ranges stand in order, and none on another"
            end = start + length
            held -= length
            stream.seek(start)
            for at in range(0, length, MIB):
                stream.write(data[: min(MIB, length - at)])
    assert to.stat().st_size == path.stat().st_size
    return held


CASES = [
    (make_xfs, judge_xfs, (), 110),
    (make_xfs, judge_xfs, ("-m", "crc=0"), 110),
    (make_xfs, judge_xfs, ("-b", "size=1024", "-d", "agcount=5"), 110),
    (make_xfs, judge_xfs, ("-s", "size=4096", "-m", "rmapbt=1,reflink=1"), 110),
    (make_btrfs, judge_btrfs, (), 60),
    (make_btrfs, judge_btrfs, ("-m", "single", "-n", "4096"), 60),
    (make_btrfs, judge_btrfs, ("-M",), 60),
    (make_ntfs, judge_ntfs, (), 16),
    (make_ntfs, judge_ntfs, ("-c", "65536"), 24),
]


@pytest.mark.parametrize(("make", "judge", "options", "most"), CASES)
def test_a_file_system_is_whole_without_what_it_calls_free(
    tmp_path: Path,
    make: Callable[..., None],
    judge: Callable[[Path], bytes],
    options: tuple[str, ...],
    most: int,
) -> None:
    """Its own checker finds nothing wrong, a file is there, and little else is kept."""
    path, again = tmp_path / "fs", tmp_path / "again"
    make(path, *options)
    held = cleared(path, again)
    assert judge(again) in (b"", KEPT)
    assert held < most * MIB


def patched(place: int, mask: int) -> Callable[[Path], None]:
    def patch(path: Path) -> None:
        with path.open("r+b") as stream:
            stream.seek(place)
            value = stream.read(1)[0]
            stream.seek(place)
            stream.write(bytes([value ^ mask]))

    return patch


@pytest.mark.parametrize(
    ("make", "spoil"),
    [
        (make_xfs, patched(126, 1)),  # mkfs was cut off
        (make_xfs, patched(219, 0x10)),  # needs repair
        (make_btrfs, patched(0x10060, 1)),  # has a log
        (make_btrfs, patched(0x10078, 1)),  # the sum is another one
        (make_btrfs, patched(0x10088, 2)),  # stands on three devices
        (make_btrfs, patched(0x100BD, 0x20)),  # unknown features
        (make_ntfs, patched(0x30, 1)),  # its table is elsewhere
        (make_ntfs, patched(0x0B, 1)),  # odd sectors
    ],
)
def test_what_is_not_as_it_should_be_is_read_whole(
    tmp_path: Path, make: Callable[..., None], spoil: Callable[[Path], None]
) -> None:
    """Nothing counts as free."""
    path = tmp_path / "fs"
    make(path)
    assert free_of(path)
    spoil(path)
    assert free_of(path) == []


def test_two_marks_are_none(tmp_path: Path) -> None:
    """What was made over another file system leaves nobody knows what of its maps."""
    path = tmp_path / "fs"
    make_xfs(path)
    with path.open("r+b") as stream:
        stream.seek(0x438)
        stream.write(b"\x53\xef")
    assert free_of(path) == []


@contextmanager
def mounted(path: Path, kind: str) -> Iterator[Path]:
    here = path.parent / "here"
    here.mkdir(exist_ok=True)
    call("mount", "-t", kind, "-o", "loop", path, here)
    try:
        yield here
    finally:
        call("umount", here)


@pytest.mark.root
@pytest.mark.parametrize(
    ("make", "judge", "kind"),
    [(make_xfs, judge_xfs, "xfs"), (make_btrfs, judge_btrfs, "btrfs")],
)
def test_a_file_system_in_use_is_read_whole(
    tmp_path: Path, make: Callable[..., None], judge: Callable[[Path], bytes], kind: str
) -> None:
    """As when its power is cut: what its log has is not in its maps. Once closed, they count."""
    path, cut, again = (tmp_path / name for name in ("fs", "cut", "again"))
    make(path)
    with mounted(path, kind) as here:
        for name in _NAMES:
            (here / name).unlink()
        with (here / "new").open("wb") as stream:
            stream.write(KEPT)
            os.fsync(stream.fileno())
        shutil.copyfile(path, cut)
    assert free_of(cut) == []
    cleared(path, again)
    assert judge(again) in (b"", KEPT)


@given(st.binary(min_size=512, max_size=512), st.sampled_from(["XFSB", "NTFS", "btrfs"]))
def test_whatever_stands_there_is_an_answer(head: bytes, kind: str) -> None:
    """No maps that lead beyond the file system, and no exception."""
    raw = bytearray(head) + bytearray(70 << 10)
    place = {"XFSB": 0, "NTFS": 3, "btrfs": 0x10040}[kind]
    mark = {"XFSB": b"XFSB", "NTFS": b"NTFS    ", "btrfs": b"_BHRfS_M"}[kind]
    raw[0x10000 : 0x10000 + 512] = head
    raw[place : place + len(mark)] = mark
    assert list(freespace.free(lambda at, n: bytes(raw[at : at + min(n, len(raw))]))) == []
