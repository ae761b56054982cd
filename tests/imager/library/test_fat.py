"""Names in a FAT file system: those of each width, and hostile ones."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake_imager.library.fat import Fat, FatError
from tests.imager.library import disks

MIB = disks.MIB


def made(folder: Path, bits: str, size: int, files: int = 1) -> bytearray:
    """The octets of an EFI system partition."""
    path = folder / "fat"
    path.write_bytes(b"")
    with path.open("r+b") as stream:
        stream.truncate(size)
    disks.run("mkfs.vfat", "-F", bits, path)
    disks.run("mmd", "-i", path, "::/EFI", "::/EFI/BOOT", "::/EFI/debian")
    for number in range(files):
        (folder / f"f{number}").write_bytes(b"x")
    names = [folder / f"f{number}" for number in range(files)]
    disks.run("mcopy", "-i", path, *names, "::/EFI/BOOT")
    disks.run("mcopy", "-i", path, names[0], "::/EFI/BOOT/BOOTX64.EFI")
    disks.run("mcopy", "-i", path, names[0], "::/EFI/debian/a-long-name.efi")
    return bytearray(path.read_bytes())


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytearray:
    return made(tmp_path_factory.mktemp("fat"), "12", MIB)


def fat(raw: bytes | bytearray) -> Fat:
    return Fat(lambda place, length: bytes(raw[place : place + length]))


@pytest.mark.parametrize(("bits", "size"), [("12", MIB), ("16", 16 * MIB), ("32", 40 * MIB)])
def test_names_of_each_width(tmp_path: Path, bits: str, size: int) -> None:
    """The loader is found, also in a folder of several clusters."""
    found = fat(made(tmp_path, bits, size, 100))
    names = found.names("EFI", "BOOT")
    assert "BOOTX64.EFI" in names
    assert len(names) == 101
    assert found.names("EFI", "ABSENT") == ()
    assert found.names() == ()


def test_a_folder_without_an_end(small: bytearray) -> None:
    """Clusters that lead back to themselves are followed once."""
    raw = bytearray(small)
    sector, reserved = struct.unpack_from("<H", raw, 11)[0], struct.unpack_from("<H", raw, 14)[0]
    table = reserved * sector
    for cluster in range(2, 40):  # 12 bits each: all of them say "2"
        place = table + cluster * 3 // 2
        word = struct.unpack_from("<H", raw, place)[0]
        word = (word & 0x000F) | 2 << 4 if cluster % 2 else (word & 0xF000) | 2
        struct.pack_into("<H", raw, place, word)
    with pytest.raises(FatError, match="no end"):
        fat(raw).names("EFI", "BOOT")


@given(st.binary(max_size=2000))
def test_no_fat_at_all(raw: bytes) -> None:
    """Random octets are refused, or are an empty folder; never anything else."""
    try:
        fat(raw.ljust(510, b"\0")[:510] + b"\x55\xaa" + raw).names("EFI", "BOOT")
    except FatError:
        return


@given(st.lists(st.tuples(st.integers(0, 40_000), st.integers(0, 255)), max_size=8))
def test_a_fat_with_octets_changed(small: bytearray, changes: list[tuple[int, int]]) -> None:
    """Names, or a refusal; and in bounded time."""
    raw = bytearray(small)
    for place, value in changes:
        raw[place] = value
    try:
        fat(raw).names("EFI", "BOOT")
    except FatError:
        return
