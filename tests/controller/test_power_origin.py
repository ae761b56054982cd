"""A BMC that points elsewhere is not followed: no password, and no request, leaves for there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.errors import RefusedError
from ironwake_controller.power import drivers
from ironwake_controller.power.driver import Operation, Outcome, PowerState, Target
from ironwake_controller.power.origin import origin_of
from ironwake_testing.web import Web, web

DRIVER = drivers.find("redfish")
TARGET = Target("node1", ("52:54:00:77:00:10",))
PASSWORD = "canary-1"
ROOT, SYSTEMS = "/redfish/v1/", "/redfish/v1/Systems"
SYSTEM, RESET = f"{SYSTEMS}/1", f"{SYSTEMS}/1/Actions/ComputerSystem.Reset"


def bmc(made: Web, base: str = "") -> Web:
    """Give it one system that is off; its links begin with `base`."""
    made.pages = {
        ROOT: {
            "@odata.id": ROOT,
            "Id": "RootService",
            "Name": "root",
            "RedfishVersion": "1.6.0",
            "Systems": {"@odata.id": f"{base}{SYSTEMS}"},
        },
        SYSTEMS: {
            "@odata.id": SYSTEMS,
            "Name": "all",
            "Members@odata.count": 1,
            "Members": [{"@odata.id": f"{base}{SYSTEM}"}],
        },
        SYSTEM: {
            "@odata.id": SYSTEM,
            "Id": "1",
            "Name": "one",
            "PowerState": "Off",
            "Boot": {},
            "Actions": {
                "#ComputerSystem.Reset": {
                    "target": f"{base}{RESET}",
                    "ResetType@Redfish.AllowableValues": ["On", "ForceOff"],
                }
            },
        },
        RESET: {},
    }
    return made


@pytest.fixture
def pair() -> Iterator[tuple[Web, Web]]:
    """A BMC, and another server that answers as a BMC, too: what is sent there would work."""
    with ExitStack() as stack:
        own, other = stack.enter_context(web()), stack.enter_context(web())
        yield bmc(own), bmc(other)


def switch_on(own: Web) -> Outcome:
    settings = {"address": own.url, "user": "operator", "password": PASSWORD}
    return DRIVER.carry_out(Operation.ON, drivers.read(DRIVER, settings), TARGET)


def link(own: Web, page: str, *keys: str | int, to: str) -> None:
    """Let one link of a page lead to `to`."""
    *way, last = keys
    place = own.pages[page]
    for key in way:
        place = place[key]
    place[last] = to


@pytest.mark.parametrize("status", ["root", "systems", "system", "reset"])
def test_a_redirection_to_another_host_is_refused(pair: tuple[Web, Web], status: str) -> None:
    """At whichever step; what it was sent to hears nothing, and the person hears where that is."""
    own, other = pair
    path = {"root": ROOT, "systems": SYSTEMS, "system": SYSTEM, "reset": RESET}[status]
    own.moved[path] = f"{other.url}{path}"
    with pytest.raises(RefusedError, match=f"sends us to {other.url}") as caught:
        switch_on(own)
    assert other.asked == []
    assert own.url in caught.value.what
    assert caught.value.next_step
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    ("page", "keys", "path"),
    [
        (ROOT, ("Systems", "@odata.id"), SYSTEMS),
        (SYSTEMS, ("Members", 0, "@odata.id"), SYSTEM),
        (SYSTEM, ("Actions", "#ComputerSystem.Reset", "target"), RESET),
    ],
)
def test_a_link_to_another_host_is_refused(
    pair: tuple[Web, Web], page: str, keys: tuple[str | int, ...], path: str
) -> None:
    """An absolute `@odata.id`, or a target of an action, that is somebody else's."""
    own, other = pair
    link(own, page, *keys, to=f"{other.url}{path}")
    with pytest.raises(RefusedError, match="sends us to"):
        switch_on(own)
    assert other.asked == []


def test_links_and_redirections_within_the_bmc_are_followed(pair: tuple[Web, Web]) -> None:
    """Absolute ones too: some firmware writes all its links so."""
    own, _ = pair
    bmc(own, own.url)
    own.moved[SYSTEMS] = f"{own.url}{SYSTEMS}/"
    own.pages[f"{SYSTEMS}/"] = own.pages[SYSTEMS]
    assert switch_on(own).state is PowerState.OFF
    assert own.asked[-1][:2] == ("POST", RESET)


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("https://bmc1/x", True),
        ("https://BMC1:443/x", True),
        ("http://bmc1/x", False),
        ("https://bmc1:8443/x", False),
        ("https://bmc1.example/x", False),
        ("https:///x", False),
        ("https://bmc1:x/", False),
        ("file:///etc/shadow", False),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, same: bool) -> None:
    """RFC 6454: a port that is usual need not be written."""
    assert (origin_of(url) == origin_of("https://bmc1")) is same


@given(st.text(max_size=40))
def test_no_text_breaks_it(text: str) -> None:
    """What a BMC calls a URL may be anything."""
    origin_of(text)
    origin_of(f"http://{text}")
