"""Networks: a card is one card, however it is written."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ironwake.errors import InputError
from ironwake.mac import Mac
from ironwake.methods import script
from ironwake.parameters.network import Device, Kind, Network
from ironwake.profile import Method
from ironwake_testing.core import MAC, Bench

OTHER = Mac("aa:bb:cc:dd:ee:f0")
NOTATIONS = (str(OTHER), "AA-BB-CC-DD-EE-F0", "aabb.ccdd.eef0", "AABBCCDDEEF0")


@pytest.mark.parametrize("word", NOTATIONS)
def test_a_mac_address_has_one_spelling(word: str) -> None:
    """In each kind of device, whatever was written."""
    for kind, vlan in ((Kind.CARD, 0), (Kind.BOND, 0), (Kind.VLAN, 7), (Kind.BRIDGE, 0)):
        (device,) = Network((Device("a", kind, (word,), vlan=vlan),)).devices
        assert device.of == (OTHER,)


@pytest.mark.parametrize("word", NOTATIONS)
def test_a_card_in_two_notations_is_used_twice(word: str) -> None:
    """Two bonds cannot both have it, nor can one have it twice."""
    bonds = (Device("a", Kind.BOND, (str(OTHER),)), Device("b", Kind.BOND, (word,)))
    for devices in (bonds, (Device("a", Kind.BOND, (str(OTHER), word)),)):
        with pytest.raises(InputError, match="in another device already"):
            Network(devices)


def test_a_device_may_be_called_like_a_mac_address() -> None:
    """The name of a device above is meant then, and stays as it is."""
    devices = (Device("aabbccddeef0"), Device("v", Kind.VLAN, ("aabbccddeef0",), vlan=7))
    assert Network(devices).devices == devices


def test_the_card_that_booted_is_boot_and_its_address() -> None:
    """Both are the same card, once it is known which one it is."""
    vlan = Device("v", Kind.VLAN, (str(MAC),), vlan=7)
    network = Network((Device("lan", Kind.BOND, ("boot", str(OTHER))), vlan))
    assert network.at(MAC).devices[1].of == ("boot",)
    assert network.at(Mac("52:54:00:77:00:99")) == network
    twice = Network((Device("a", Kind.BOND, ("boot",)), Device("b", Kind.BRIDGE, (str(MAC),))))
    with pytest.raises(InputError, match="boot is in another device already") as caught:
        twice.at(MAC)
    assert caught.value.where == "devices[1].of"


def test_an_installer_is_told_of_each_card_once(bench: Bench) -> None:
    """A VLAN by the booting card's address, beside a bond of `boot`, is the same card's; and what
    uses that card twice is refused before anything is started.
    """
    there = bench.with_method(Method.SCRIPT)
    vlan = Device("v", Kind.VLAN, (str(MAC),), vlan=7)
    for first in (Device("lan", Kind.BOND), Device("lan")):
        told = _told(there, Network((first, vlan)))
        assert {word for device in told.devices for word in device.of} == {"boot"}
    with pytest.raises(InputError) as caught:
        _told(there, Network((Device("a"), Device("b", of=(str(MAC),)))))
    assert caught.value.where == "network.devices[1].of"


def _told(bench: Bench, network: Network) -> Network:
    parameters = replace(bench.deployment.parameters, network=network)
    deployment = replace(bench.deployment, parameters=parameters)
    return script.install(deployment, bench.machine, MAC, bench.policy).parameters.network
