"""The table of a medium: written and read again, and nothing in it leads out of the medium."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.artifact import Artifact, ArtifactError
from ironwake.iso.image import Place, Tree
from ironwake.iso.table import Table, decode, encode

HOLDER = Artifact("a" * 64, 10_000)
PLACES = st.builds(Place, st.integers(0, 5000), st.integers(0, 5000))
TREES = st.builds(
    Tree,
    st.dictionaries(st.text(max_size=30), PLACES, max_size=8),
    st.dictionaries(st.text(max_size=10), st.text(max_size=10), max_size=4),
    st.booleans(),
)


@given(TREES)
def test_a_table_is_read_as_it_was_written(tree: Tree) -> None:
    """Each place, each link, and the holder."""
    assert decode(encode(Table(HOLDER, tree))) == Table(HOLDER, tree)


@pytest.mark.parametrize(
    "change",
    [
        {"files": {"a": [9_999, 2]}},
        {"files": {"a": [-1, 2]}},
        {"files": {"a": [0, -2]}},
        {"files": {"a": [0]}},
        {"files": {"a": ["0", "1"]}},
        {"files": []},
        {"links": {"a": 1}, "files": 3},
        {"sha256": "../../etc/passwd"},
        {"form": 2},
    ],
)
def test_a_table_that_is_wrong(change: dict[str, Any]) -> None:
    """Places outside of the holder, other forms, other things altogether."""
    document = json.loads(encode(Table(HOLDER, Tree({"a": Place(0, 1)}))))
    with pytest.raises(ArtifactError):
        decode(json.dumps({**document, **change}).encode())


@given(st.binary(max_size=200))
def test_what_is_no_table(raw: bytes) -> None:
    """Only ArtifactError is raised."""
    with pytest.raises(ArtifactError):
        decode(raw)
