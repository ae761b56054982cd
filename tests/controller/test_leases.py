"""Leases as the dhcp service tells them: names, listings, and reservations made of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from ironwake.ipv4 import Address
from ironwake.lease import Lease, Leases
from ironwake.report import Seen
from tests.controller.appliance import MAC, Appliance, FakeClock, Opened

OTHER, PHONE = "52:54:00:77:00:11", "52:54:00:aa:00:01"
NETWORK, FAR = "10.77.0.0/24", "10.78.0.0/24"
HOUR = 3600.0
YEAR = timedelta(days=365)
POOL: dict[str, Any] = {
    "dhcp_mode": "server",
    "dhcp_pool": "10.77.0.100-10.77.0.199",
    "dhcp_router": "10.77.0.254",
}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Appliance]:
    """An appliance that is its network's DHCP server."""
    made = Appliance(tmp_path, **POOL)
    try:
        yield made
    finally:
        made.close()


def lease(
    appliance: Appliance, last: int, mac: str, *, since: float = 0.0, hostname: str = ""
) -> Lease:
    """One hour of 10.77.0.`last`, from now on."""
    now = appliance.clock.day.timestamp()
    address = Address(f"10.77.0.{last}")
    return Lease(address, mac, NETWORK, now + HOUR, hostname, now - 1000 + since)


def tell(appliance: Appliance, *items: Lease, first: str = "", last: str = "") -> None:
    appliance.good(
        "POST", "/internal/leases", Leases(items, appliance.clock.day.timestamp(), first, last)
    )


def names(appliance: Appliance) -> list[tuple[str, str]]:
    """What the view has for DNS."""
    return [(str(one.address), one.hostname) for one in appliance.view().leases]


def test_a_lease_is_a_machines_address_at_once(served: Appliance) -> None:
    """Machines are where their lease is; other clients are named; both by the view."""
    served.enrol()
    before = served.view().version
    tell(served, lease(served, 100, MAC), lease(served, 101, PHONE, hostname="phone"))
    assert served.view().entries[0].address == "10.77.0.100"
    assert names(served) == [("10.77.0.100", ""), ("10.77.0.101", "phone")]
    assert served.view().version > before


def test_a_renewal_is_no_news(served: Appliance) -> None:
    """The data plane is not troubled by what changes no name."""
    tell(served, lease(served, 101, PHONE, hostname="phone"))
    before = served.view().version
    served.clock.pass_time(600)
    tell(served, lease(served, 101, PHONE, hostname="phone"))
    assert served.view().version == before


def test_names_go_when_their_time_is_over(served: Appliance) -> None:
    """Released, declined, run out, or gone from the whole list."""
    everyone = ("0.0.0.0", "255.255.255.255")
    kept = lease(served, 104, PHONE, hostname="stays")
    gone = [lease(served, n, f"52:54:00:aa:00:{n:02}", hostname=f"c{n}") for n in (10, 11, 12)]
    tell(served, kept, *gone)
    assert len(names(served)) == 4
    now = served.clock.day.timestamp()
    tell(served, Lease(gone[0].address, gone[0].mac, NETWORK, now, "c10", 0.0))
    tell(served, Lease(gone[1].address, "", NETWORK, now + 600))
    assert set(names(served)) == {("10.77.0.12", "c12"), ("10.77.0.104", "stays")}
    tell(served, kept, first=everyone[0], last=everyone[1])
    assert names(served) == [("10.77.0.104", "stays")]
    served.clock.pass_time(HOUR + 1)
    served.house.housekeeping.look()
    assert names(served) == []


@pytest.mark.parametrize("leap", [YEAR, -YEAR])
def test_a_leap_of_the_time_of_day_ends_no_lease(served: Appliance, leap: timedelta) -> None:
    """Names and addresses stay until the lease's own time is over, and not for longer."""
    tell(served, lease(served, 101, PHONE, hostname="phone"))
    served.clock.day += leap
    served.house.housekeeping.look()
    assert names(served) == [("10.77.0.101", "phone")]
    listed = served.good("GET", "/v1/leases")["items"][0]
    assert listed["state"] == "live"
    assert listed["expires"][:4] == str((served.clock.day + timedelta(hours=1)).year)
    served.clock.pass_time(HOUR - 1)
    served.house.housekeeping.look()
    assert names(served) == [("10.77.0.101", "phone")]
    served.clock.pass_time(2)
    served.house.housekeeping.look()
    assert names(served) == []


@pytest.mark.parametrize("off", [YEAR, -YEAR])
def test_the_tellers_clock_may_be_off(served: Appliance, off: timedelta) -> None:
    """Another host's, or our own before it leapt on the way: what is left is what counts."""
    ours = served.clock.day
    served.clock.day += off
    item, said = lease(served, 101, PHONE, hostname="phone"), served.clock.day.timestamp()
    served.clock.day = ours
    served.good("POST", "/internal/leases", Leases((item,), said))
    listed = served.good("GET", "/v1/leases")["items"][0]
    assert listed["state"] == "live"
    assert listed["first_seen"][:4] == str((ours - timedelta(seconds=1000)).year)
    served.clock.pass_time(HOUR + 1)
    assert served.good("GET", "/v1/leases")["items"][0]["state"] == "over"


def test_what_ended_before_1970_by_our_clock_is_over(served: Appliance) -> None:
    """A teller whose clock is far ahead has old leases, too: they are no mistake of its."""
    old = dataclasses.replace(lease(served, 101, PHONE), since=0.0, expires=5.0)
    now = served.clock.day.timestamp()
    served.good("POST", "/internal/leases", Leases((old,), now + YEAR.total_seconds()))
    assert served.good("GET", "/v1/leases")["items"][0]["state"] == "over"


@pytest.mark.parametrize("away", [timedelta(minutes=59), timedelta(minutes=61)], ids=str)
def test_after_the_host_restarted_leases_go_by_the_time_of_day(
    opened: Opened, tmp_path: Path, away: timedelta
) -> None:
    """Until the dhcp service tells them anew, there is nothing else to go by."""
    clock = FakeClock()
    first = opened(tmp_path, clock, **POOL)
    tell(first, lease(first, 101, PHONE, hostname="phone"))
    first.close()
    clock.boot, clock.steady = "boot-2", 7.0
    clock.day += away
    second = opened(tmp_path, clock, **POOL)
    assert bool(names(second)) == (away < timedelta(hours=1))


def test_what_could_not_be_written_is_made_up_for(served: Appliance) -> None:
    """A look that finds the disk full is repeated as a whole when there is room again."""
    tell(served, lease(served, 101, PHONE, hostname="phone"))
    assert names(served) == [("10.77.0.101", "phone")]
    served.clock.pass_time(HOUR + 1)
    engine = served.house.store.engine
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only=ON")
    with pytest.raises(OperationalError):
        served.house.housekeeping.look()
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only=OFF")
    served.house.housekeeping.look()
    assert names(served) == []


def test_a_part_of_the_list_is_whole_for_its_range_only(served: Appliance) -> None:
    """Ten thousand leases come in parts; each takes away what its own range has no more."""
    low, high = lease(served, 100, PHONE), lease(served, 150, OTHER)
    tell(served, low, high)
    tell(served, first="10.77.0.101", last="255.255.255.255")
    listed = served.good("GET", "/v1/leases")["items"]
    assert [one["address"] for one in listed] == ["10.77.0.100"]


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("10.77.0", "10.77.0.255"),
        ("10.77.0.0", ""),
        ("", "10.77.0.255"),
        ("10.77.0.0", "2001:db8::1"),
        ("10.77.0.9", "10.77.0.1"),
    ],
)
def test_a_range_that_is_none_is_refused(served: Appliance, first: str, last: str) -> None:
    """Whoever tells it hears which; what was known stays."""
    tell(served, lease(served, 100, PHONE))
    reply = served.call("POST", "/internal/leases", Leases((), 0.0, first, last))
    assert reply.status_code == 422, reply.text
    assert "no range of addresses" in reply.text
    assert len(served.good("GET", "/v1/leases")["items"]) == 1


@pytest.mark.parametrize("expires", [float("nan"), float("inf"), -1.0, 1e18])
def test_a_lease_without_a_proper_end_is_refused(served: Appliance, expires: float) -> None:
    """It could be neither kept nor shown."""
    wrong = Lease(Address("10.77.0.100"), PHONE, NETWORK, expires)
    assert (
        served.call(
            "POST", "/internal/leases", Leases((wrong,), served.clock.day.timestamp())
        ).status_code
        == 422
    )
    assert served.good("GET", "/v1/leases")["items"] == []


def test_an_address_passes_on(served: Appliance) -> None:
    """A machine that was there before is not found where another client is now."""
    served.enrol()
    served.see(Seen.ADDRESS, client="10.77.0.101")
    assert served.view().entries[0].address == "10.77.0.101"
    tell(served, lease(served, 101, PHONE))
    assert served.view().entries[0].address == ""


def test_leases_are_listed_with_their_machine(served: Appliance) -> None:
    """By address as a number, filtered, in pages, with what they are and whose."""
    served.enrol()
    served.enrol("node2", OTHER, reservations={OTHER: "10.77.0.20"})
    tell(
        served,
        lease(served, 100, MAC),
        lease(served, 20, OTHER),
        lease(served, 9, PHONE, hostname="phone"),
        Lease(Address("10.78.0.7"), "", FAR, served.clock.day.timestamp() + 5),
    )
    items = served.good("GET", "/v1/leases")["items"]
    assert [one["address"][-3:] for one in items] == ["0.9", ".20", "100", "0.7"]
    assert [one["machine"] for one in items] == [None, "node2", "node1", None]
    assert [one["reserved"] for one in items] == [False, True, False, False]
    assert [one["state"] for one in items] == ["live"] * 3 + ["in use by a stranger"]
    for query, count in (
        ("machine=node1", 1),
        (f"mac={PHONE.replace(':', '-').upper()}", 1),
        ("subnet=10.78.0.0/24", 1),
        ("subnet=10.77.0.0/24", 3),
        ("machine=nobody", 0),
    ):
        assert len(served.good("GET", f"/v1/leases?{query}")["items"]) == count, query
    first = served.good("GET", "/v1/leases?limit=3")
    assert first["next"] == "10.77.0.100"
    rest = served.good("GET", f"/v1/leases?limit=3&after={first['next']}")
    assert (len(rest["items"]), rest["next"]) == (1, None)


def test_a_reservation_is_one_machines(served: Appliance) -> None:
    """In a network that we serve, not another's, not ours, for a card that the machine has."""
    served.enrol(reservations={MAC: "10.77.0.20"})
    assert served.view().entries[0].address == "10.77.0.20"
    for value, status, word in (
        ({OTHER: "10.77.0.20"}, 409, "belongs to node1"),
        ({OTHER: "10.77.0.2"}, 409, "belongs to the appliance"),
        ({OTHER: "10.99.0.1"}, 409, "no host's address"),
        ({OTHER: "10.77.0.255"}, 409, "no host's address"),
        ({OTHER: "10.77.0.0"}, 409, "no host's address"),
        ({OTHER: "10.77.0.254"}, 409, "belongs to the router of 10.77.0.0/24"),
        ({PHONE: "10.77.0.21"}, 422, "no card of this machine"),
        ({OTHER: "10.77.0"}, 422, "not an IPv4 address"),
    ):
        reply = served.call(
            "POST", "/v1/machines", {"name": "node2", "macs": [OTHER], "reservations": value}
        )
        assert (reply.status_code, word in reply.text) == (status, True), reply.text
    served.enrol("node2", OTHER)
    changed = served.good("PATCH", "/v1/machines/node2", {"reservations": {OTHER: "10.77.0.21"}})
    assert changed["reservations"] == {OTHER: "10.77.0.21"}
    assert (
        served.call(
            "PATCH", "/v1/machines/node2", {"reservations": {OTHER: "10.77.0.20"}}
        ).status_code
        == 409
    )


@pytest.mark.parametrize(
    ("address", "word"),
    [("10.77.0.2", "the appliance"), ("10.77.0.0", "no host's"), ("10.77.0.255", "no host's")],
)
def test_beside_a_router_some_addresses_are_nobodys_either(
    appliance: Appliance, address: str, word: str
) -> None:
    """A proxy's reservation tells where a machine will be: not at our address, nor at an edge."""
    wish = {"name": "node1", "macs": [MAC], "reservations": {MAC: address}}
    reply = appliance.call("POST", "/v1/machines", wish)
    assert (reply.status_code, word in reply.text) == (409, True), reply.text
    wish["reservations"] = {MAC: "192.168.5.7"}  # the other server knows more networks than we do
    assert appliance.call("POST", "/v1/machines", wish).status_code == 201


def came_up(appliance: Appliance) -> None:
    """Three machines, switched on in the order c, a, b."""
    for number, name in enumerate(("a", "b", "c")):
        appliance.enrol(name, f"52:54:00:77:00:1{number}")
    for since, last, number in ((1, 130, 2), (2, 110, 0), (3, 120, 1)):
        card = f"52:54:00:77:00:1{number}"
        tell(appliance, lease(appliance, last, card, since=float(since)))


def test_leases_become_reservations_in_the_order_of_coming_up(served: Appliance) -> None:
    """As they are, or numbered anew; nothing is written before it is said; then all of it."""
    came_up(served)
    tell(served, lease(served, 11, PHONE))
    plain = served.good("POST", "/v1/leases/reserve", {"all": True})
    assert [(one["machine"], one["address"]) for one in plain["items"]] == [
        ("c", "10.77.0.130"),
        ("a", "10.77.0.110"),
        ("b", "10.77.0.120"),
    ]
    assert served.good("GET", "/v1/machines/a")["reservations"] == {}
    wish = {"all": True, "first": "10.77.0.10", "write": True}
    written = served.good("POST", "/v1/leases/reserve", wish)
    assert [(one["machine"], one["address"]) for one in written["items"]] == [
        ("c", "10.77.0.10"),
        ("a", "10.77.0.12"),  # the phone has .11
        ("b", "10.77.0.13"),
    ]
    assert served.good("GET", "/v1/machines/b")["reservations"] == {
        "52:54:00:77:00:11": "10.77.0.13"
    }
    assert served.good("POST", "/v1/leases/reserve", wish)["items"] == []
    # Two that change places are no conflict.
    turned = {"machines": ["a", "c"], "first": "10.77.0.10", "write": True}
    served.good("PATCH", "/v1/machines/c", {"reservations": {}})
    served.good("POST", "/v1/leases/reserve", turned)
    assert served.good("GET", "/v1/machines/c")["reservations"] == {
        "52:54:00:77:00:12": "10.77.0.10"
    }


@pytest.mark.parametrize(
    ("wish", "status", "word"),
    [
        ({}, 422, "name machines, or all"),
        ({"all": True, "machines": ["a"]}, 422, "name machines, or all"),
        ({"machines": ["x"]}, 404, "no machine"),
        ({"machines": ["late"]}, 409, "late never had a lease"),
        ({"all": True, "first": "10.99.0.1"}, 404, "in none of our subnets"),
        ({"all": True, "first": "10.77.0.252"}, 409, "no room for 3 machines"),
        ({"machines": ["a"], "first": "10.77.0.254"}, 409, "a would get 10.77.0.255"),
    ],
)
def test_what_cannot_be_reserved_is_said(
    served: Appliance, wish: dict[str, object], status: int, word: str
) -> None:
    """And nothing of it is written."""
    came_up(served)
    served.enrol("late", "52:54:00:77:00:99")
    reply = served.call("POST", "/v1/leases/reserve", {**wish, "write": True})
    assert (reply.status_code, word in reply.text) == (status, True), reply.text
    assert served.good("GET", "/v1/machines/a")["reservations"] == {}


def test_a_conflict_stands_in_the_history(served: Appliance) -> None:
    """Also where no machine of ours is concerned: somebody has to look for the other one."""
    served.see(Seen.CONFLICT, mac="", address="10.77.0.105", reason="it answers")
    assert [event.kind for event in served.history()] == ["conflict"]
    assert "10.77.0.105 is in use" in served.history()[0].message


def test_a_wrong_file_of_subnets_ends_the_start(tmp_path: Path) -> None:
    """The controller says it with file, line and field, as the dhcp service does."""
    file = tmp_path / "subnets.yaml"
    file.write_text("subnets:\n  - network: 10.77.0.0/24\n    router: 10.78.0.1\n")
    with pytest.raises(Exception, match=r"subnets\.yaml:3: subnets\[0\]\.router: the router"):
        Appliance(tmp_path / "state", dhcp_mode="server", dhcp_subnets=file)
