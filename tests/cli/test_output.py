"""Tables, sizes, progress lines and event streams, as text."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from ironwake_cli import bars, output
from ironwake_cli.api import sse


def test_columns_line_up_and_nothing_is_cut() -> None:
    """Scripts find whole words; empty cells are a dash."""
    rows = [("node1", ("52:54:00:77:00:10",), True, {"rack": "a3"}), ("n", (), False, {})]
    assert output.table(("NAME", "MAC", "LOCKED", "LABELS"), rows) == (
        "NAME   MAC                LOCKED  LABELS",
        "node1  52:54:00:77:00:10  yes     rack=a3",
        "n      -                  no      -",
    )


def test_facts_leave_out_what_is_empty() -> None:
    """One line per fact that there is."""
    assert output.facts([("name", "node1"), ("serial", ""), ("macs", ["a", "b"])]) == (
        "name  node1",
        "macs  a,b",
    )


def test_sizes_are_for_people() -> None:
    """Decimal units, as disks have them."""
    assert [output.size(n) for n in (0, 999, 1000, 311_400_000, 2 * 10**12)] == [
        "0 B",
        "999 B",
        "1 kB",
        "311 MB",
        "2.0 TB",
    ]


def test_progress_without_a_terminal_is_lines() -> None:
    """A new message is a line; one that only counts is told every tenth of the way."""
    told: list[str] = []
    progress = bars.lines(told.append)
    progress("debian-12", None, "asking the mirror")
    progress("debian-12", None, "asking the mirror")
    for hundredth in range(101):
        progress("debian-12", hundredth / 100, "unpacking")
    assert told[0] == "debian-12: asking the mirror"
    assert told[1] == "debian-12 0%: unpacking"
    assert told[-1] == "debian-12 100%: unpacking"
    assert len(told) == 12


def test_an_event_stream_is_read() -> None:
    """Comments keep it alive, data may have several lines, an unfinished event does not count."""
    text = ': alive\n\nid: 3\ndata: {"a":\ndata: 1}\n\nevent: x\ndata: {"b": 2}\n\ndata: {"c"'
    assert list(sse(text.split("\n"))) == [
        None,
        {"event_id": "3", "a": 1},
        {"event_id": "3", "b": 2},
    ]


_JSON = st.dictionaries(st.text(max_size=5), st.one_of(st.integers(), st.text(max_size=20)))


@given(st.lists(_JSON, max_size=5))
def test_every_event_that_was_sent_is_read(documents: list[dict[str, object]]) -> None:
    """Whatever stands in the documents, they come out as they went in, in order."""
    lines: list[str] = []
    for number, document in enumerate(documents):
        lines += [f"id: {number}", f"data: {json.dumps(document)}", ""]
    found = [event for event in sse(lines) if event is not None]
    assert found == [{"event_id": str(n), **d} for n, d in enumerate(documents)]
