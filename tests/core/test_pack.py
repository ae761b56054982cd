"""The index of a pack: what stands where, to the octet and back."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.pack import BLOCK, CHUNK, LARGEST_FRAME, Block, Index, PackError

_SHA = hashlib.sha256(b"").digest()


@st.composite
def _indexes(draw: st.DrawFn) -> Index:
    numbers = sorted(draw(st.sets(st.integers(0, 80))))
    size = (max(numbers, default=0) + draw(st.integers(1, 9))) * BLOCK - draw(
        st.integers(0, BLOCK - 1)
    )
    lengths = st.integers(1, LARGEST_FRAME)
    return Index(size, [Block(number, _SHA, draw(lengths)) for number in numbers])


@given(_indexes())
def test_an_index_survives_its_own_bytes(index: Index) -> None:
    """What is decoded is what was encoded."""
    again = Index.decode(index.encode())
    assert (again.size, again.blocks) == (index.size, index.blocks)


@given(_indexes(), st.sets(st.integers(0, 90)))
def test_pieces_cover_what_is_wanted(index: Index, wanted: set[int]) -> None:
    """Each wanted block comes once, from its own place in the pack, never over 1 MiB at a time."""
    offsets, at = {}, 0
    for block in index.blocks:
        offsets[block.number] = at
        at += block.length
    pieces = list(index.pieces(wanted))
    seen = [block.number for piece in pieces for block in piece.blocks]
    assert seen == [block.number for block in index.blocks if block.number in wanted]
    for piece in pieces:
        numbers = [block.number for block in piece.blocks]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert numbers[0] // CHUNK == numbers[-1] // CHUNK
        assert piece.offset == offsets[numbers[0]]


@given(_indexes())
def test_blocks_and_gaps_are_the_whole_disk(index: Index) -> None:
    """Every byte of the disk is either in a block or in a gap."""
    extents = [*index.gaps(), *(index.extent(block.number) for block in index.blocks)]
    end = 0
    for start, length in sorted(extents):
        assert start == end
        assert length > 0
        end = start + length
    assert end == index.size


@given(st.binary(max_size=300))
def test_any_bytes_are_an_index_or_refused(tail: bytes) -> None:
    """Whatever is read is an index or a PackError."""
    for raw in (tail, b"IWPACK1\n" + tail):
        try:
            index = Index.decode(raw)
        except PackError:
            continue
        assert Index.decode(index.encode()).blocks == index.blocks


def test_blocks_out_of_order_are_refused() -> None:
    """An index that names a block twice could be written twice."""
    with pytest.raises(PackError, match="not in its place"):
        Index(10 * BLOCK, [Block(3, _SHA, 9), Block(3, _SHA, 9)])
