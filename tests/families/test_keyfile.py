"""NetworkManager's keyfiles: cards by MAC addresses, and what stands on them by names."""

from __future__ import annotations

from configparser import ConfigParser

import pytest

from ironwake import keyfile
from ironwake.parameters.network import BondMode, Device, Kind, Network
from ironwake_testing.core import MAC

OTHER = "52:54:00:12:34:57"


def read(network: Network) -> dict[str, ConfigParser]:
    """The connections by their names, each read as NetworkManager's reader does."""
    found = {}
    for file in keyfile.files(network, MAC):
        assert file.mode == 0o600  # others are not read at all
        parser = ConfigParser(interpolation=None, strict=True)
        parser.read_string(file.text)
        found[file.path.removeprefix(f"{keyfile.FOLDER}/").removesuffix(".nmconnection")] = parser
    return found


def test_without_devices_the_card_that_booted_asks_dhcp() -> None:
    """By its address: what the kernel calls it may change."""
    found = read(Network())
    assert list(found) == ["uplink"]
    assert found["uplink"]["ethernet"]["mac-address"] == str(MAC).upper()
    assert found["uplink"]["ipv4"]["method"] == "auto"
    assert "interface-name" not in found["uplink"]["connection"]


def test_a_static_card_has_addresses_gateway_and_name_servers() -> None:
    """Each in the section of its version."""
    card = Device(
        "lan", addresses=("192.0.2.7/24", "192.0.2.8/24", "2001:db8::7/64"), gateway="192.0.2.1"
    )
    found = read(Network((card,), ("192.0.2.53", "2001:db8::53")))["lan"]
    assert dict(found["ipv4"]) == {
        "method": "manual",
        "address1": "192.0.2.7/24",
        "address2": "192.0.2.8/24",
        "gateway": "192.0.2.1",
        "dns": "192.0.2.53;",
    }
    assert found["ipv6"]["address1"] == "2001:db8::7/64"
    assert found["ipv6"]["dns"] == "2001:db8::53;"
    assert "gateway" not in found["ipv6"]


def test_a_bond_a_vlan_on_it_and_a_bridge() -> None:
    """Members name what they belong to; a VLAN names what it stands on."""
    network = Network(
        (
            Device("team", Kind.BOND, ("boot", OTHER), mode=BondMode.LACP),
            Device("office", Kind.VLAN, ("team",), dhcp=True, vlan=20),
            Device("guests", Kind.BRIDGE, ("52:54:00:12:34:58",), dhcp=True, mtu=9000),
        )
    )
    found = read(network)
    member = found["card-525400123457"]
    assert member["ethernet"]["mac-address"] == OTHER
    assert (member["connection"]["master"], member["connection"]["slave-type"]) == ("team", "bond")
    assert found["team"]["bond"]["mode"] == "802.3ad"
    assert found["team"]["ipv4"]["method"] == "disabled"
    assert dict(found["office"]["vlan"]) == {"id": "20", "parent": "team"}
    assert found["office"]["connection"]["interface-name"] == "office"
    assert found["guests"]["ethernet"]["mtu"] == "9000"
    assert len({one["connection"]["uuid"] for one in found.values()}) == len(found) == 6


def test_what_the_card_that_booted_is_in_has_its_address() -> None:
    """Else DHCP would take the machine for a stranger: what it is in has one of its own."""
    network = Network(
        (
            Device("team", Kind.BOND, ("boot", OTHER)),
            Device("lan", Kind.BRIDGE, ("team",), dhcp=True),
            Device("guests", Kind.BRIDGE, ("52:54:00:12:34:58",), dhcp=True),
        )
    )
    found = read(network)
    for name in ("team", "lan"):
        assert found[name]["ethernet"]["cloned-mac-address"] == str(MAC).upper()
    assert "ethernet" not in found["guests"]


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("below", ["boot", "lan", str(MAC)])
def test_a_vlan_on_a_card_names_the_cards_connection(below: str, own: bool) -> None:
    """A card has no name that we know, so its connection's UUID stands for it; there is one for
    each card, however it is called.
    """
    devices = [Device("lan", dhcp=True)] if own or below == "lan" else []
    found = read(Network((*devices, Device("v7", Kind.VLAN, (below,), dhcp=True, vlan=7))))
    assert len(found) == 2
    card = found["lan" if devices else "card-525400770010"]
    assert found["v7"]["vlan"]["parent"] == card["connection"]["uuid"]
    assert card["ethernet"]["mac-address"] == str(MAC).upper()
