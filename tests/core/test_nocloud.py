"""cloud-init's seed: files, networks, accounts, and the form that it sends home."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ironwake import nocloud
from ironwake.errors import InputError
from ironwake.mac import Mac
from ironwake.parameters import Parameters
from ironwake.parameters.network import BondMode, Device, Kind, Network
from ironwake.report import Stage

MAC = Mac("52:54:00:77:00:10")
OTHER = "52:54:00:12:34:57"
FORM = "application/x-www-form-urlencoded; charset=utf-8"


def entry(network: Network, section: str, name: str) -> dict[str, object]:
    found: dict[str, object] = nocloud.network_config(network, MAC)[section][name]
    return found


def test_without_devices_the_card_that_booted_asks_dhcp() -> None:
    """By its MAC address: another card with a link is not it."""
    found = nocloud.network_config(Network(name_servers=("192.0.2.1",)), MAC)
    assert found == {
        "version": 2,
        "ethernets": {
            "boot0": {
                "match": {"macaddress": MAC},
                "dhcp4": True,
                "dhcp-identifier": "mac",
                "nameservers": {"addresses": ["192.0.2.1"]},
            }
        },
    }


def test_a_bond_keeps_the_address_of_the_card_that_booted() -> None:
    """Else DHCP would take the machine for a stranger."""
    up = Device("up", Kind.BOND, ("boot", OTHER), dhcp=True, mode=BondMode.LACP)
    found = nocloud.network_config(Network((up, Device("lan", Kind.BRIDGE, ("up",)))), MAC)
    assert found["bridges"]["lan"]["macaddress"] == MAC
    assert found["bonds"]["up"]["macaddress"] == MAC
    assert found["bonds"]["up"]["parameters"]["mode"] == "802.3ad"
    below = found["bonds"]["up"]["interfaces"]
    assert [found["ethernets"][name]["match"]["macaddress"] for name in below] == [MAC, OTHER]
    assert all(found["ethernets"][name]["dhcp4"] is False for name in below)


def test_a_card_is_one_entry_however_it_is_named() -> None:
    """`boot`, its own name, and its MAC address are the same card."""
    network = Network(
        (
            Device("lan", addresses=("192.0.2.7/24",), gateway="192.0.2.1"),
            Device("one", Kind.VLAN, ("lan",), vlan=1),
            Device("two", Kind.VLAN, (str(MAC),), vlan=2),
            Device("three", Kind.VLAN, ("boot",), vlan=3),
        )
    )
    found = nocloud.network_config(network, MAC)
    assert list(found["ethernets"]) == ["lan"]
    assert [found["vlans"][name]["link"] for name in ("one", "two", "three")] == ["lan"] * 3
    late = Network((Device("v", Kind.VLAN, ("boot",), vlan=4), Device("lan", dhcp=True)))
    assert nocloud.network_config(late, MAC)["vlans"]["v"]["link"] == "lan"
    twice = Network((Device("a"), Device("b", of=(str(MAC),))))
    with pytest.raises(InputError, match="used twice"):
        nocloud.network_config(twice, MAC)


def test_addresses_have_their_routes_and_the_resolver() -> None:
    """Of a bridge on a VLAN, as of anything else; both families have a way out."""
    network = Network(
        (
            Device("office", Kind.VLAN, vlan=20),
            Device(
                "br", Kind.BRIDGE, ("office",), addresses=("2001:db8::7/64",),
                gateway="2001:db8::1", mtu=9000,
            ),
        ),
        ("2001:db8::53",),
    )  # fmt: skip
    bridge = entry(network, "bridges", "br")
    assert bridge["interfaces"] == ["office"]
    assert bridge["routes"] == [{"to": "::/0", "via": "2001:db8::1"}]
    assert bridge["nameservers"] == {"addresses": ["2001:db8::53"]}
    assert bridge["mtu"] == 9000
    assert "nameservers" not in entry(network, "vlans", "office")


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=40), max_size=5))
def test_whatever_is_said_comes_back_equal(words: dict[str, str]) -> None:
    """Of a YAML reader and of a JSON reader: control characters, surrogates' pairs and all."""
    seed = nocloud.seed("i1", "node1", words, {})
    for name, wanted in {"user-data": words, "meta-data": None, "vendor-data": {}}.items():
        parsed = nocloud.parse(name, seed[name])
        assert parsed == (wanted if wanted is not None else parsed)
        assert (yaml.safe_load(seed[name]) or {}) == parsed
        assert parsed == json.loads(seed[name].removeprefix(nocloud.HEADER) or "{}")


def test_the_seed_has_every_file() -> None:
    """One that is missing would be asked for eleven times."""
    seed = nocloud.seed("i1", "node1", {}, {"version": 2})
    assert sorted(seed) == sorted(nocloud.FILES)
    assert seed["vendor-data"] == ""


@pytest.mark.parametrize(
    ("name", "text"),
    [("user-data", "{}"), ("meta-data", "a: b"), ("network-config", ""), ("vendor-data", "[" * 9)],
)
def test_what_is_no_file_of_a_seed_is_refused(name: str, text: str) -> None:
    """With its name."""
    with pytest.raises(InputError) as error:
        nocloud.parse(name, text)
    assert error.value.where == name


def test_nobody_is_an_account_too() -> None:
    """An empty list would be invalid, and none would make cloud-init's usual account."""
    assert nocloud.users(Parameters()) == [{"name": "root", "lock_passwd": True}]


def test_the_form_that_is_sent_home() -> None:
    """Which machine has finished, and its host key: what a first login wants to compare."""
    body = urlencode(
        {"instance_id": "d1", "fqdn": "a.b", "pub_key_ed25519": "ssh-ed25519 AAAA root@a\n"}
    ).encode()
    heard = nocloud.heard(FORM, body, Stage.WORKING)
    assert heard is not None
    assert (heard.stage, heard.step, heard.id) == (Stage.WORKING, "cloud-init", "phone-d1")
    assert heard.message == "cloud-init has finished on a.b; its host key is ssh-ed25519 AAAA"
    assert nocloud.heard("application/json", body, Stage.WORKING) is None
    assert nocloud.heard(FORM, b"hostname=a", Stage.WORKING) is None


@given(st.binary(max_size=200))
def test_any_form_is_taken(body: bytes) -> None:
    """A stranger's bytes raise nothing."""
    nocloud.heard(FORM, body, Stage.WORKING)
