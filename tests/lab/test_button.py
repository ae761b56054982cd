"""What the power button takes for a magic packet."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ironwake.mac import Mac
from ironwake_lab.button import woken

NODE1, NODE2 = "52:54:00:77:00:10", "52:54:00:77:00:11"
MAGIC = b"\xff" * 6 + Mac(NODE1).packed * 16


@given(before=st.binary(max_size=100), after=st.binary(max_size=100))
def test_found_anywhere(before: bytes, after: bytes) -> None:
    """A magic packet counts wherever it lies in the frame, also behind more ff bytes."""
    assert NODE1 in woken(before + MAGIC + after, [NODE2, NODE1])
    assert woken(b"\xff" * 3 + MAGIC, [NODE1]) == [NODE1]


@given(frame=st.binary(max_size=300))
def test_noise_wakes_nobody(frame: bytes) -> None:
    """Frames without a whole magic packet wake no machine."""
    assert woken(frame, [NODE1]) == []
    assert woken(frame + MAGIC[:-1], [NODE1]) == []


def test_only_the_named_machine() -> None:
    """One machine's magic packet leaves the others alone."""
    assert woken(MAGIC, [NODE2]) == []
