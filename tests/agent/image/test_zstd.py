"""zstd's frames as a stream: whatever the pieces, in memory of one size."""

from __future__ import annotations

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from ironwake_agent.image.zstd import FrameError, Stream


def pieces(packed: bytes, room: int, step: int) -> list[bytes]:
    found: list[bytes] = []
    with Stream(room) as stream:
        for at in range(0, len(packed), step):
            found += [bytes(piece) for piece in stream.feed(packed[at : at + step])]
        found += [bytes(piece) for piece in stream.close()]
    return found


@given(st.lists(st.binary(max_size=3000), min_size=1), st.integers(1, 4096), st.integers(1, 500))
def test_frames_come_out_in_any_pieces(frames: list[bytes], room: int, step: int) -> None:
    """Several frames, cut anywhere, give their contents; each piece but the last fills its room."""
    packed = b"".join(zstandard.compress(frame) for frame in frames)
    found = pieces(packed, room, step)
    assert b"".join(found) == b"".join(frames)
    assert all(len(piece) == room for piece in found[:-1])
    assert all(found)


@given(st.binary(max_size=3000), st.data())
def test_a_frame_that_is_cut_off_is_an_error(plain: bytes, data: st.DataObject) -> None:
    """However much of it came, half a frame is never taken for a whole one."""
    packed = zstandard.compress(plain)
    cut = data.draw(st.integers(0, len(packed) - 1))
    with pytest.raises(FrameError, match="cut off"):
        pieces(packed[:cut], 1000, 100)


@given(st.binary(min_size=4, max_size=300))
def test_other_bytes_are_an_error(noise: bytes) -> None:
    """What is no frame ends in an error, and in no other way."""
    with pytest.raises(FrameError, match="cannot be decompressed"):
        pieces(b"no frame" + noise, 1000, 100)


def test_a_window_that_is_too_long_is_refused() -> None:
    """A small machine's memory is not the archive's to take."""
    wish = zstandard.ZstdCompressionParameters(window_log=28, compression_level=1)
    packer = zstandard.ZstdCompressor(compression_params=wish).compressobj()
    packed = packer.compress(bytes(1 << 20)) + packer.flush()
    with pytest.raises(FrameError, match="memory"):
        pieces(packed, 1 << 16, 1 << 16)
