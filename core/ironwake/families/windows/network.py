"""A machine's network as Windows' answer file has it: cards by their MAC addresses."""

from __future__ import annotations

from ipaddress import ip_interface
from typing import Any

from ironwake.errors import InputError
from ironwake.families.base import Install
from ironwake.mac import Mac
from ironwake.parameters.network import BOOT, Device, Kind


def components(install: Install) -> dict[str, Any]:
    """Components of the pass specialize; none where the card that booted asks DHCP for all.

    :raises InputError: for a bond, a VLAN, a bridge or an MTU
    """
    told = install.parameters.network
    found: dict[str, Any] = {}
    cards = [_card(device, install.mac, number) for number, device in enumerate(told.devices)]
    if cards:
        found["TCPIP"] = {"Interfaces": {"Interface": cards}}
    names: dict[str, Any] = {}
    if told.search:
        names["DNSSuffixSearchOrder"] = {"DomainName": tuple(map(str, told.search))}
    if told.name_servers:
        macs = [card["Identifier"] for card in cards] or [_written(install.mac)]
        servers = {"IpAddress": tuple(told.name_servers)}
        names["Interfaces"] = {
            "Interface": [{"Identifier": mac, "DNSServerSearchOrder": servers} for mac in macs]
        }
    return found | ({"DNS-Client": names} if names else {})


def _card(device: Device, booted: Mac, number: int) -> dict[str, Any]:
    where = f"network.devices[{number}]"
    if device.kind is not Kind.CARD:
        raise InputError(
            f"Windows' set-up makes no {device.kind}",
            "make it in scripts.post",
            f"{where}.kind",
        )
    if device.mtu:
        raise InputError("Windows' set-up sets no MTU", "set it in scripts.post", f"{where}.mtu")
    mac = booted if device.of[0] == BOOT else Mac(device.of[0])
    card: dict[str, Any] = {
        "Identifier": _written(mac),
        "Ipv4Settings": {"DhcpEnabled": str(device.dhcp).lower()},
    }
    if any(ip_interface(address).version == 6 for address in device.addresses):
        card["Ipv6Settings"] = {"DhcpEnabled": "false"}
    if device.addresses:
        card["UnicastIpAddresses"] = {"IpAddress": tuple(device.addresses)}
    if device.gateway:
        everywhere = "::/0" if ":" in device.gateway else "0.0.0.0/0"
        route = {
            "Identifier": "0",
            "Metric": "10",
            "NextHopAddress": device.gateway,
            "Prefix": everywhere,
        }
        card["Routes"] = {"Route": [route]}
    return card


def _written(mac: Mac) -> str:
    return str(mac).replace(":", "-").upper()
