"""The view in parts: what changed is sent and encoded alone, and the whole comes out the same."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from ironwake import wire
from ironwake.mac import Mac
from ironwake.machine import Machine
from ironwake.names import HostName
from ironwake.site import Site
from ironwake.view import Entry, Pieces, View, ViewChange, joined_change
from tests.controller.appliance import Appliance

_SITE = Site("10.77.0.2", 24)


def _entry(number: int, address: str = "") -> Entry:
    return Entry(
        Machine(HostName(f"node{number}"), (Mac(f"52:54:00:00:00:{number:02x}"),)), None, address
    )


def _changes() -> SearchStrategy[list[tuple[int, str]]]:
    """Of machine N: an address that it gets, or "gone"."""
    return st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["", "10.77.0.9", "gone"])))


@settings(deadline=None)
@given(st.lists(_changes(), max_size=6))
def test_parts_make_the_whole(steps: list[list[tuple[int, str]]]) -> None:
    """Whatever changes, the parts taken one after the other are the view, and encode to it."""
    pieces = Pieces(View(0, _SITE))
    there: dict[str, Entry] = {}
    for version, step in enumerate(steps, 1):
        news: dict[str, Entry] = {}
        gone: set[str] = set()
        for number, what in step:
            entry = _entry(number, what)
            name = str(entry.machine.name)
            if what == "gone":
                news.pop(name, None)
                gone.add(name)
            else:
                news[name] = entry
                gone.discard(name)
        for name in gone:
            there.pop(name, None)
        there.update(news)
        part = View(version, _SITE, entries=tuple(news.values()))
        change = ViewChange(part, version - 1, tuple(sorted(gone)))
        raw = joined_change(change, [wire.encode(entry) for entry in part.entries])
        assert raw == wire.encode(change)
        whole = pieces.take(wire.decode(ViewChange, raw))
        assert whole == View(version, _SITE, entries=tuple(there[n] for n in sorted(there)))
        assert pieces.encode(whole) == wire.encode(whole)


def _since(appliance: Appliance, after: int) -> ViewChange:
    path = f"/internal/view/changes?after={after}"
    return wire.decode(ViewChange, appliance.call("GET", path).content)


def test_only_what_changed_is_sent(appliance: Appliance) -> None:
    """After one machine is locked, the change has that one only; who is behind gets all since."""
    appliance.enrol("node1")
    appliance.enrol("node2", "52:54:00:77:00:11")
    first = _since(appliance, -1)
    assert (first.since, len(first.view.entries)) == (-1, 2)
    appliance.call("POST", "/v1/machines/node2/lock")
    second = _since(appliance, first.view.version)
    assert second.since == first.view.version
    assert [(e.machine.name, e.machine.locked) for e in second.view.entries] == [("node2", True)]
    appliance.call("DELETE", "/v1/machines/node1")
    third = _since(appliance, first.view.version)
    assert ([e.machine.name for e in third.view.entries], third.gone) == (["node2"], ("node1",))
    pieces = Pieces(first.view)
    assert pieces.take(third) == appliance.view()


def test_a_version_of_another_history_gets_the_whole(appliance: Appliance) -> None:
    """After a restart, or a restored copy, nothing is known of what a service has."""
    appliance.enrol("node1")
    version = appliance.view().version
    for other in (version + 5, version - 1_000_000, 0):
        assert _since(appliance, other).since == -1


def test_what_was_removed_and_enrolled_again_is_there(appliance: Appliance) -> None:
    """Its name is not among the gone ones then."""
    appliance.enrol("node1")
    version = _since(appliance, -1).view.version
    appliance.call("DELETE", "/v1/machines/node1")
    _since(appliance, version)
    appliance.enrol("node1", "52:54:00:77:00:12")
    change = _since(appliance, version)
    assert change.gone == ()
    assert [e.machine.macs for e in change.view.entries] == [(Mac("52:54:00:77:00:12"),)]
