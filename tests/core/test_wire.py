"""Dataclasses to JSON and back, strictly."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake import wire
from ironwake.errors import InputError
from ironwake.methods import METHODS
from ironwake.order import Order
from ironwake.profile import Method, Profile
from ironwake.report import Callback, ClaimRequest, HealthReport, Observations, Stage
from ironwake.view import View
from ironwake_testing.core import MAC, Bench

JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
)


def test_a_view_comes_back_equal(bench: Bench) -> None:
    """What the controller sends is what the services have."""
    view = bench.index().view
    assert wire.decode(View, wire.encode(view)) == view


def test_an_order_comes_back_equal(bench: Bench) -> None:
    """What the controller grants is what the agent reads, user and keys included."""
    grant = METHODS[Method.ARCHIVE].payload(bench.deployment, bench.machine, MAC, bench.policy)
    order = wire.decode(Order, grant.text)
    assert order.users == bench.deployment.parameters.users
    assert order.archive is not None
    assert order.archive.unpacked == 900_000_000
    assert wire.encode(order).decode() == grant.text


@given(JSON, st.sampled_from([View, Order, Callback, ClaimRequest, HealthReport, Observations]))
def test_any_json_is_taken_or_refused(data: Any, kind: type) -> None:
    """Whatever a peer sends: an instance, or an InputError; never another exception."""
    try:
        wire.load(kind, data)
    except InputError:
        return
    assert wire.encode(wire.load(kind, data))


@given(st.binary())
def test_any_bytes_are_taken_or_refused(raw: bytes) -> None:
    """The same for bytes that need not be JSON at all."""
    try:
        wire.decode(Callback, raw)
    except InputError:
        return


@pytest.mark.parametrize(
    ("data", "where", "words"),
    [
        ({"stage": "installing", "percnt": 3}, "percnt", "there is no field"),
        ({}, "stage", "missing"),
        ({"stage": "flying"}, "stage", "installed"),
        ({"stage": "log", "percent": "many"}, "percent", "a number is wanted"),
        ({"stage": "log", "facts": {"cpu": 3}}, "facts.cpu", "text is wanted"),
        ([], "", "an object is wanted"),
    ],
)
def test_a_mistake_is_named_with_its_field(data: Any, where: str, words: str) -> None:
    """An error says what is wrong, and where."""
    with pytest.raises(InputError) as caught:
        wire.load(Callback, data)
    assert caught.value.where == where
    assert words in str(caught.value)


def test_deep_nesting_is_refused_not_a_crash() -> None:
    """200,000 brackets must not end a service."""
    with pytest.raises(InputError):
        wire.decode(Callback, "[" * 200_000)


def test_true_is_no_number() -> None:
    """Python's bool is an int; a person's is not."""
    with pytest.raises(InputError):
        wire.load(Callback, {"stage": Stage.LOG.value, "percent": True})


def test_a_profile_reads_as_people_write_it() -> None:
    """The example of the docstring, as JSON."""
    text = json.dumps(
        {
            "release": "debian-12",
            "disk": {"match": "auto"},
            "parameters": {"users": [{"name": "a"}]},
        }
    )
    assert wire.decode(Profile, text).method is Method.ARCHIVE


@pytest.mark.parametrize(("field", "value"), [("percent", 10**400), ("message", "\ud800")])
def test_numbers_and_texts_that_nothing_can_hold_are_refused(field: str, value: Any) -> None:
    """A number beyond every float, and half a character, are the sender's mistake."""
    with pytest.raises(InputError) as caught:
        wire.load(Callback, {"stage": "log", field: value})
    assert caught.value.where == field
