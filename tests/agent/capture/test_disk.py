"""A disk becomes a pack of what is used on it, and nothing of the disk is changed."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ironwake import freespace
from ironwake.disk import Disk, Part
from ironwake.errors import BrokenError, GoneError
from ironwake.pack import BLOCK, Index
from ironwake_agent.capture import disk as disks
from ironwake_agent.image.zstd import Compressor, Decompressor, FrameError

MIB = 1 << 20


class Sink:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.content = bytearray()

    def write(self, data: bytes) -> None:
        self.content += data


def packed(path: Path, free: disks.Free = ()) -> tuple[Index, bytes, str]:
    sink = Sink()
    with disks.opened(str(path)) as file:
        read = disks.pack(file, path.stat().st_size, free, sink, lambda _: None, threads=2)
    return Index.decode(read.index.encode()), bytes(sink.content), read.sha256


def unpacked(index: Index, pack: bytes) -> bytes:
    """The disk again; each block is compared with its hash."""
    room, place = bytearray(index.size), 0
    with Decompressor() as zstd:
        for block in index.blocks:
            start, length = index.extent(block.number)
            plain = memoryview(room)[start : start + length]
            frame = bytearray(pack[place : place + block.length])
            zstd.frames(memoryview(frame), plain)
            assert hashlib.sha256(plain).digest() == block.sha256
            place += block.length
    assert place == len(pack)
    return bytes(room)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 40 * BLOCK),
    st.lists(st.tuples(st.integers(0, 40 * BLOCK), st.binary(min_size=1, max_size=64))),
    st.lists(st.integers(0, 80), max_size=6),
)
def test_what_is_packed_is_the_disk_without_what_is_free(
    tmp_path_factory: pytest.TempPathFactory,
    size: int,
    written: list[tuple[int, bytes]],
    edges: list[int],
) -> None:
    """Byte for byte, of any size; what is free reads as zeroes, and the whole hash says so."""
    path = tmp_path_factory.mktemp("disk") / "disk"
    content = bytearray(size)
    for place, data in written:
        content[place : place + len(data)] = data
    del content[size:]
    path.write_bytes(content)
    marks = sorted({edge * BLOCK // 2 for edge in edges})
    free = [(start, end - start) for start, end in zip(marks[::2], marks[1::2], strict=False)]
    for start, length in free:
        stop = min(start + length, size)
        content[start:stop] = bytes(max(stop - start, 0))
    index, pack, sha256 = packed(path, free)
    assert unpacked(index, pack) == bytes(content)
    assert sha256 == hashlib.sha256(content).hexdigest()
    for block in index.blocks:
        assert any(content[block.number * BLOCK :][:BLOCK])


def made(path: Path, *options: str, size: int = 64 * MIB) -> None:
    """An ext4 of noise that was deleted, with a file that was not."""
    noise = random.Random(5).randbytes(MIB)
    with path.open("wb") as stream:
        for _ in range(size // MIB):
            stream.write(noise)
    folder = path.parent / "content"
    folder.mkdir()
    (folder / "kept").write_bytes(random.Random(6).randbytes(3 * MIB + 7))
    words = ["mke2fs", "-q", "-F", "-t", "ext4", "-E", "nodiscard", "-d", str(folder), *options]
    subprocess.run([*words, str(path)], check=True)


def free_of(path: Path) -> list[tuple[int, int]]:
    file = os.open(path, os.O_RDONLY)
    try:
        return list(freespace.free(lambda place, count: os.pread(file, count, place)))
    finally:
        os.close(file)


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("-b", "1024"),
        ("-O", "^64bit"),
        ("-O", "^flex_bg,^metadata_csum,^64bit"),
        ("-O", "^has_journal"),
        ("-O", "none"),
    ],
)
def test_a_file_system_is_whole_without_what_it_calls_free(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    """e2fsck finds nothing wrong, the file is there, and next to nothing of the noise is."""
    path = tmp_path / "fs"
    made(path, *options)
    index, pack, _ = packed(path, free_of(path))
    again = tmp_path / "again"
    again.write_bytes(unpacked(index, pack))
    subprocess.run(["e2fsck", "-f", "-n", str(again)], check=True, capture_output=True)
    words = ["debugfs", "-R", "cat /kept", str(again)]
    kept = subprocess.run(words, check=True, capture_output=True).stdout
    assert kept == random.Random(6).randbytes(3 * MIB + 7)
    assert index.held < 16 * MIB


def patched(place: int, mask: int) -> Callable[[Path], None]:
    def patch(path: Path) -> None:
        with path.open("r+b") as stream:
            stream.seek(1024 + place)
            value = stream.read(1)[0]
            stream.seek(1024 + place)
            stream.write(bytes([value ^ mask]))

    return patch


@pytest.mark.parametrize(
    "spoil",
    [
        patched(0x3A, 0x01),  # not closed
        patched(0x3A, 0x02),  # has errors
        patched(0x60, 0x04),  # its journal was not replayed
        patched(0x60, 0x10),  # its maps stand elsewhere
        patched(0x38, 0xFF),  # none at all
    ],
)
def test_a_file_system_that_was_not_closed_is_read_whole(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    """Its maps may be older than its files: nothing counts as free."""
    path = tmp_path / "fs"
    made(path, size=16 * MIB)
    assert free_of(path)
    spoil(path)
    assert free_of(path) == []


@given(st.binary(min_size=1024, max_size=4096), st.integers(0, 1023))
def test_no_superblock_is_read_beyond_its_file_system(head: bytes, place: int) -> None:
    """Whatever stands there: an answer, without more memory than there is disk."""
    raw = bytearray(1024) + bytearray(head)
    raw[1024 + 0x38 : 1024 + 0x3A] = b"\x53\xef"
    raw[1024 + 0x3A : 1024 + 0x3C] = b"\x01\x00"
    raw[1024 + 0x60 : 1024 + 0x68] = bytes(8)
    raw[1024 + place] ^= 1
    found = freespace.free(lambda at, count: bytes(raw[at : at + min(count, len(raw))]))
    assert list(found) == []


def test_only_its_own_partitions_say_what_is_free(tmp_path: Path) -> None:
    """Free ranges stand where the partition stands; one outside of the disk says nothing."""
    fs, path = tmp_path / "fs", tmp_path / "disk"
    made(fs, size=16 * MIB)
    path.write_bytes(bytes(MIB) + fs.read_bytes())
    disk = Disk(str(path), 17 * MIB, parts=(Part(1, MIB, 16 * MIB), Part(2, 30 * MIB, MIB)))
    with disks.opened(str(path)) as file:
        found = disks.unused(file, disk)
        assert found == [(MIB + start, length) for start, length in free_of(fs)]
        cut = replace(disk, parts=(Part(1, MIB, 8 * MIB),))
        assert all(start + length <= 9 * MIB for start, length in disks.unused(file, cut))


def test_a_disk_that_ends_early_is_no_image(tmp_path: Path) -> None:
    """Fewer bytes than the kernel said: the order fails, and says where."""
    path = tmp_path / "disk"
    path.write_bytes(b"x" * BLOCK)
    with disks.opened(str(path)) as file, pytest.raises(BrokenError, match="ends at byte 65536"):
        disks.pack(file, 2 * BLOCK, (), Sink(), lambda _: None, threads=1)


def test_an_end_in_the_middle_stops_the_reading(tmp_path: Path) -> None:
    """Cancelled by a person: the threads end with it."""
    path = tmp_path / "disk"
    path.write_bytes(b"x" * (64 * BLOCK))

    def told(done: int) -> None:
        raise GoneError("over")

    with disks.opened(str(path)) as file, pytest.raises(GoneError):
        disks.pack(file, 64 * BLOCK, (), Sink(), told, threads=2)


def test_a_frame_is_of_one_block_at_the_most() -> None:
    """The room for it is as large as a pack allows."""
    press = Compressor()
    noise = memoryview(bytearray(random.Random(1).randbytes(BLOCK)))
    assert len(press.frame(noise)) <= BLOCK + 1024
    with pytest.raises(FrameError):
        press.frame(memoryview(bytearray(BLOCK + 1)))
