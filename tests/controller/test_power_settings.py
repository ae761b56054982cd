"""A machine's power driver and its settings: kept, shown, and refused where they can't be right."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from ironwake import wire
from ironwake.errors import InputError
from ironwake_controller.power import drivers
from ironwake_controller.power.driver import Driver, Operation
from tests.controller.appliance import Appliance
from tests.controller.equipped import CANARY, POWER, Hands


def test_secrets_are_shown_as_set_and_kept_sealed(equipped: Appliance, tmp_path: Path) -> None:
    """Neither the API nor the database file says a password; the key is this user's alone."""
    shown = equipped.good("GET", POWER)
    assert shown["settings"] == {"address": "https://10.0.0.7", "user": "me", "password": "set"}
    assert shown["can"] == [str(operation) for operation in Operation]
    assert (tmp_path / "secrets" / "power.key").stat().st_mode & 0o777 == 0o600
    with equipped.house.store.read() as connection:
        (row,) = connection.execute(text("select power from machines")).scalars()
    assert "10.0.0.7" in row
    assert CANARY not in row


def test_the_view_has_nothing_of_it(equipped: Appliance) -> None:
    """The data plane has no business with BMCs."""
    raw = wire.encode(equipped.view()).decode()
    assert "redfish" not in raw
    assert "10.0.0.7" not in raw


def test_other_settings_bring_no_old_secret_along(equipped: Appliance) -> None:
    """Who changes the address only would else have the old password sent there."""
    equipped.good("PUT", POWER, {"driver": "redfish", "settings": {"address": "10.6.6.6"}})
    assert "password" not in equipped.good("GET", POWER)["settings"]
    equipped.good("POST", f"{POWER}/on")
    hands = equipped.house.hands
    assert isinstance(hands, Hands)
    assert CANARY not in str(hands.jobs[-1].settings)


def test_without_a_driver_it_is_wake_on_lan(equipped: Appliance) -> None:
    """As before it had one; forgetting twice is the same."""
    assert equipped.call("DELETE", POWER).status_code == 204
    assert equipped.call("DELETE", POWER).status_code == 204
    shown = equipped.good("GET", POWER)
    assert (shown["driver"], shown["settings"], shown["can"]) == ("wol", {}, ["on"])


@pytest.mark.parametrize(
    "body",
    [
        {"driver": "redfish", "settings": {"address": "10.0.0.7", "password": [CANARY]}},
        {"driver": "redfish", "settings": {"address": "10.0.0.7", "password": {"x": CANARY}}},
        {"driver": "webhook", "settings": {"on": {"url": "http://x/"}, "secrets": CANARY}},
        {"driver": "webhook", "settings": {"headers": {"a": CANARY, "b c": CANARY}}},
        {"driver": "wol", "settings": {"secureon": CANARY}},
        {"driver": "ipmi", "settings": {"address": "x", "password": CANARY * 2}},
        {"driver": "redfish", "settings": CANARY},
    ],
)
def test_a_refusal_repeats_no_secret(equipped: Appliance, body: Any) -> None:
    """What is wrong with a password is told by its field."""
    reply = equipped.call("PUT", POWER, body)
    assert reply.status_code == 422
    assert CANARY not in reply.text
    assert reply.json()["detail"]


_TEXT = st.sampled_from([CANARY, "", "10.0.0.7", "on", "http://x/${a}", "a:1", "\n", "$"])
_NAME = st.sampled_from(["a", "mac", "b c", "X-Key", ""])
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | _TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_NAME, inner, max_size=2),
    max_leaves=6,
)
_CALL = st.fixed_dictionaries({"url": st.just("http://plug/${mac}")}, optional={"body": _TEXT})


def _read(driver: Driver, settings: dict[str, Any]) -> tuple[Any, InputError | None]:
    try:
        return drivers.read(driver, settings), None
    except InputError as error:
        return None, error


@given(driver=st.sampled_from(drivers.DRIVERS), data=st.data())
def test_any_settings_are_kept_as_they_are_or_refused_in_words(
    driver: Driver, data: st.DataObject
) -> None:
    """What is read once is read again just so; nothing that is shown or said is a secret."""
    names = [field.name for field in dataclasses.fields(driver.settings)]
    values = dict.fromkeys(names, _JSON | _TEXT | _CALL)
    given_settings = data.draw(st.fixed_dictionaries({}, optional=values))
    settings, error = _read(driver, given_settings)
    if error is not None:
        field = error.where.partition(".")[0].partition("[")[0]
        assert field not in driver.secrets or CANARY not in str(error)
        return
    assert drivers.read(driver, wire.dump(settings)) == settings
    shown = drivers.shown(driver, settings)
    assert all(shown[name] == "set" for name in driver.secrets if name in shown)
