"""A fragment of a person's own is joined to what we tell."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ironwake.families import fragment


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        ),
    )
)
def test_joining_with_nothing_changes_nothing(value: object) -> None:
    """Mappings and lists with their empty ones are themselves."""
    empty: object = {} if isinstance(value, dict) else [] if isinstance(value, list) else value
    assert fragment.joined(value, empty) == value
    assert fragment.joined(empty, value) == value
