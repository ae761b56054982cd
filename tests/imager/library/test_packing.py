"""Packs: what goes in comes out, wherever holes and zeroes are; what is damaged does not."""

from __future__ import annotations

import hashlib
import os
import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ironwake.errors import RefusedError
from ironwake.pack import BLOCK, Block, Index, PackError
from ironwake_imager.library import packing

STRETCH = 1 << 20


def told(done: int, whole: int) -> None:
    assert 0 <= done <= whole


def packed(source: Path) -> tuple[packing.Packed, Path]:
    pack = source.with_suffix(".pack")
    with pack.open("wb") as target:
        return packing.pack(source, target, told), pack


def written(pack: Path, index: Index) -> bytes:
    """The whole plain content."""
    plain = bytearray(index.size)
    for place, octets in packing.unpack(pack, index):
        plain[place : place + len(octets)] = octets
    return bytes(plain)


@settings(max_examples=25)
@given(
    size=st.integers(1, 3 * STRETCH),
    data=st.lists(
        st.tuples(st.integers(0, 3 * STRETCH - 1), st.integers(1, 2 * BLOCK), st.booleans()),
        max_size=6,
    ),
    seed=st.integers(0, 1000),
)
def test_any_disk_comes_out_as_it_went_in(
    size: int, data: list[tuple[int, int, bool]], seed: int
) -> None:
    """Holes, written zeroes, noise, a last block that is shorter: the same bytes, the same hash."""
    dice = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "disk"
        with source.open("wb") as stream:
            for place, length, zero in data:
                stream.seek(place)
                stream.write(bytes(length) if zero else dice.randbytes(length))
            stream.truncate(size)
        plain = source.read_bytes()
        found, pack = packed(source)
        assert found.sha256 == hashlib.sha256(plain).hexdigest()
        assert found.index.packed == pack.stat().st_size
        assert written(pack, found.index) == plain
        assert packing.content_sha256(pack, found.index, told) == found.sha256
        for number in range(-(-size // BLOCK)):
            block = plain[number * BLOCK : (number + 1) * BLOCK]
            there = found.index.find(number)
            assert (there is None) == (not any(block))
            assert there is None or there.sha256 == hashlib.sha256(block).digest()


def test_only_what_is_wanted(tmp_path: Path) -> None:
    """Some blocks alone can be had, without the others."""
    source = tmp_path / "disk"
    source.write_bytes(os.urandom(40 * BLOCK))
    found, pack = packed(source)
    parts = dict(packing.unpack(pack, found.index, [3, 4, 20]))
    assert sorted(parts) == [3 * BLOCK, 20 * BLOCK]
    assert parts[3 * BLOCK] == source.read_bytes()[3 * BLOCK : 5 * BLOCK]


@pytest.mark.parametrize("at", [0, 1000, -1])
def test_a_pack_that_is_damaged(tmp_path: Path, at: int) -> None:
    """One octet is enough, wherever it is."""
    source = tmp_path / "disk"
    source.write_bytes(os.urandom(3 * BLOCK))
    found, pack = packed(source)
    raw = bytearray(pack.read_bytes())
    raw[at] ^= 1
    pack.write_bytes(raw)
    with pytest.raises(PackError, match=r"damaged|not what its index says"):
        written(pack, found.index)


def test_a_frame_that_holds_more_than_a_block(tmp_path: Path) -> None:
    """A bomb is not unpacked."""
    import zstandard

    frame = zstandard.ZstdCompressor().compress(bytes(1 << 30))
    block = Block(0, bytes(32), len(frame))
    pack = tmp_path / "pack"
    pack.write_bytes(frame)
    with pytest.raises(PackError):
        written(pack, Index(BLOCK, [block]))


def test_a_disk_that_changes_meanwhile(tmp_path: Path) -> None:
    """Its pack would be of no disk that ever was."""
    source = tmp_path / "disk"
    source.write_bytes(os.urandom(2 * STRETCH))

    def change(done: int, whole: int) -> None:
        os.utime(source, ns=(0, done))

    with (tmp_path / "pack").open("wb") as target, pytest.raises(RefusedError, match="changed"):
        packing.pack(source, target, change)
