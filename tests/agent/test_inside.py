"""The new system's names, with whatever links it brings."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ironwake.errors import BrokenError
from ironwake.firstboot import File
from ironwake_agent.inside import inside
from ironwake_agent.target import link, write


@pytest.mark.parametrize(
    ("links", "name", "follow", "found"),
    [
        ({}, "etc/new/file", False, "etc/new/file"),
        ({"etc/a": "/tmp"}, "etc/a/b", False, "tmp/b"),
        ({"etc/a": "../../../../tmp"}, "etc/a/b", False, "tmp/b"),
        ({"etc/a": "/tmp/b"}, "etc/a", False, "etc/a"),
        ({"etc/a": "/tmp/b"}, "etc/a", True, "tmp/b"),
        ({"lib": "usr/lib", "usr/lib": "/x"}, "lib/y", False, "x/y"),
        ({}, "/etc/../../b", False, "b"),
    ],
)
def test_links_stay_within(
    links: dict[str, str], name: str, follow: bool, found: str, tmp_path: Path
) -> None:
    """As a program would find it that has the new system for its root."""
    for place, to in links.items():
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).symlink_to(to)
    assert inside(tmp_path, name, follow=follow) == tmp_path / found


def test_a_ring_ends(tmp_path: Path) -> None:
    """Two links to each other are said, not followed for ever."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(BrokenError, match="ring"):
        inside(tmp_path, "a/file")


_NAMES = st.lists(st.sampled_from(["a", "b", "c", ".."]), min_size=1, max_size=4).map("/".join)


@settings(max_examples=100)
@given(st.dictionaries(_NAMES, st.tuples(st.sampled_from(["", "/"]), _NAMES), max_size=4), _NAMES)
def test_what_is_written_is_within(links: dict[str, tuple[str, str]], name: str) -> None:
    """Whatever links there are, a file and a link of ours land below the root."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "x/y/root")
        root.mkdir(parents=True)
        for place, (lead, to) in links.items():
            with suppress(BrokenError, OSError):  # a ring, or something is there
                path = inside(root, place)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.symlink_to(lead + to)
        with suppress(BrokenError, OSError):
            write(root, File(name, 0o644, "x"))
        with suppress(BrokenError, OSError):
            link(root, name, "/x")
        for above, only in (("x/y", "root"), ("x", "y"), (".", "x")):
            assert [path.name for path in Path(folder, above).iterdir()] == [only]
