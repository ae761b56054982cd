"""Subnets and reservations: what a person wrote is right, or it is said where it is not."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake import wire
from ironwake.errors import InputError
from ironwake.ipv4 import Address, Network, Range
from ironwake.machine import Machine
from ironwake.names import label_of
from ironwake.subnet import Route, Subnet, Subnets

MAC = "52:54:00:77:00:10"


def subnets(**fields: object) -> Subnets:
    """One subnet as a file has it, after a first that is right."""
    first = {"network": "192.0.2.0/24"}
    return wire.load(Subnets, {"subnets": [first, {"network": "10.77.0.0/24", **fields}]})


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"network": "10.77.0.1/24"}, "network"),
        ({"network": "10.77.0.0/31"}, "network"),
        ({"network": "192.0.0.0/16"}, "network"),
        ({"pools": ["10.77.0.9-10.77.0.5"]}, "pools[0]"),
        ({"pools": ["10.77.0.9"]}, "pools[0]"),
        ({"pools": ["10.77.0.0-10.77.0.5"]}, "pools[0]"),
        ({"pools": ["10.77.0.9-10.77.0.255"]}, "pools[0]"),
        ({"pools": ["10.77.0.5-10.77.0.9", "10.77.0.9-10.77.0.12"]}, "pools[0]"),
        ({"lease_seconds": 5}, "lease_seconds"),
        ({"router": "10.78.0.1"}, "router"),
        ({"dns": ["224.0.0.1"]}, "dns[0]"),
        ({"ntp": ["ntp.example"]}, "ntp[0]"),
        ({"routes": [{"to": "10.0.0.0/8", "via": "10.78.0.1"}]}, "routes[0].via"),
        ({"routes": [{"to": f"10.{n}.1.0/24", "via": "10.77.0.1"} for n in range(40)]}, "routes"),
        ({"domain": "Not_A_Domain"}, "domain"),
        ({"gateway": "10.77.0.1"}, "gateway"),
    ],
)
def test_a_mistake_is_told_with_its_field(fields: dict[str, object], where: str) -> None:
    """Each is refused, and the field is named as it stands in the file."""
    with pytest.raises(InputError) as caught:
        subnets(**fields)
    assert caught.value.where == f"subnets[1].{where}"


def test_routes_are_told_as_rfc_3442_wants() -> None:
    """Its own examples: as many octets as the prefix covers; the default route comes last."""
    encoded = {
        "0.0.0.0/0": "00",
        "10.0.0.0/8": "080a",
        "10.0.0.0/24": "180a0000",
        "10.17.0.0/16": "100a11",
        "10.27.129.0/24": "180a1b81",
        "10.229.0.128/25": "190a e500 80",
        "10.198.122.47/32": "200a c67a 2f",
    }
    for text, octets in encoded.items():
        route = Route(Network(text), Address("10.77.0.1"))
        assert route.encoded == bytes.fromhex(octets) + bytes((10, 77, 0, 1))
    told = Subnet(
        Network("10.77.0.0/24"),
        router=Address("10.77.0.1"),
        routes=(Route(Network("10.0.0.0/8"), Address("10.77.0.254")),),
    )
    assert told.static_routes == bytes.fromhex("080a0a4d00fe000a4d0001")


@given(st.integers(0, 2**32 - 1), st.integers(8, 30), st.data())
def test_a_pool_is_inside_its_network(base: int, prefix: int, data: st.DataObject) -> None:
    """Whatever the network: a pool of its hosts is taken, and gives each of them once."""
    network = IPv4Network((base, prefix), strict=False)
    if network.is_multicast or network.is_reserved or network.is_loopback or base >> 24 == 0:
        return
    low, high = int(network[1]), int(network[-2])
    first = data.draw(st.integers(low, high))
    last = data.draw(st.integers(first, min(high, first + 50)))
    pool = Range(f"{IPv4Address(first)}-{IPv4Address(last)}")
    subnet = Subnet(Network(str(network)), (pool,))
    assert [int(one) for one in subnet.addresses()] == list(range(first, last + 1))
    assert all(subnet.has(one) for one in subnet.addresses())


def test_a_reservation_is_for_a_card_of_the_machine() -> None:
    """Written in any notation, kept in one; a card or an address that can't be is refused."""
    given = {"52-54-00-77-00-10": " 10.77.0.5"}
    machine = wire.load(Machine, {"name": "node1", "macs": [MAC], "reservations": given})
    assert machine.reservations == {MAC: "10.77.0.5"}
    assert wire.load(Machine, wire.dump(machine)) == machine
    for wrong in ({"52:54:00:77:00:11": "10.77.0.5"}, {MAC: "10.77"}, {"x": "10.77.0.5"}):
        with pytest.raises(InputError):
            wire.load(Machine, {"name": "node1", "macs": [MAC], "reservations": wrong})
    two = {"name": "node1", "macs": [MAC, "52:54:00:77:00:11"]}
    same = {MAC: "10.77.0.5", "52:54:00:77:00:11": "10.77.0.5"}
    with pytest.raises(InputError, match="reserved for two cards"):
        wire.load(Machine, {**two, "reservations": same})


@given(st.binary(max_size=100))
def test_whatever_a_client_calls_itself_is_a_label_or_nothing(raw: bytes) -> None:
    """It goes into DNS and listings: only what a host name may have is left."""
    label = label_of(raw)
    assert label == "" or (label == label_of(label.encode()) and len(label) <= 63)
    assert set(label) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert not label.startswith("-")
    assert not label.endswith("-")
