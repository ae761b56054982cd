"""A machine's network as AutoYaST's networking section: cards get their names by MAC addresses."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_interface

from ironwake.errors import InputError
from ironwake.families.base import Install
from ironwake.families.suse.yastxml import Data
from ironwake.mac import Mac
from ironwake.parameters.network import BOOT, Device, Kind

Map = dict[str, Data]
_MOST_IN_BOND = 10  # bonding_slave0 to 9


def check(devices: tuple[Device, ...]) -> None:
    """InputError for what AutoYaST has no words for."""
    for number, device in enumerate(devices):
        if device.kind is Kind.BOND and len(device.of) > _MOST_IN_BOND:
            raise InputError(
                f"AutoYaST takes {_MOST_IN_BOND} devices in a bond",
                "name fewer",
                f"network.devices[{number}].of",
            )


def section(install: Install, *, managed: bool) -> Map:
    """The networking section: nothing of the network that the installer itself had stays.

    :param managed: by NetworkManager, which has it from files of its own
    """
    network = install.parameters.network
    devices = network.devices or (Device("uplink", dhcp=True),)
    check(devices)
    cards = _cards(devices, install.mac)
    busy = {
        below
        for device in devices
        if device.kind in (Kind.BOND, Kind.BRIDGE)
        for below in device.of
    }
    dns: Map = {
        "dhcp_hostname": False,
        "hostname": install.hostname,
        "domain": install.domain,
    }
    if network.name_servers:
        dns["nameservers"] = list(network.name_servers)
    if network.search:
        dns["searchlist"] = [str(one) for one in network.search]
    rows: Map = {"keep_install_network": False, "managed": managed, "dns": dns}
    if managed:
        return rows
    rows |= {
        "interfaces": [
            *(_interface(one, cards, install.mac, busy) for one in devices),
            *_carriers(devices, cards),
        ],
        "net-udev": [
            {"name": name, "rule": "ATTR{address}", "value": card} for card, name in cards.items()
        ],
    }
    routes: list[Data] = [
        {"destination": "default", "device": one.name, "gateway": one.gateway, "netmask": "-"}
        for one in devices
        if one.gateway
    ]
    if routes:
        rows["routing"] = {"routes": routes}
    return rows


def _cards(devices: tuple[Device, ...], mac: Mac) -> dict[str, str]:
    """MAC address → the name that this card gets: the device's, or one of its own."""
    named = {device.name for device in devices}
    cards = {_mac(one.of[0], mac): one.name for one in devices if one.kind is Kind.CARD}
    for device in devices:
        for below in device.of:
            if below not in named and _mac(below, mac) not in cards:
                cards[_mac(below, mac)] = f"net{_mac(below, mac).replace(':', '')}"
    return cards


def _carriers(devices: tuple[Device, ...], cards: dict[str, str]) -> Iterator[Data]:
    """Cards that have no device of their own: what stands on them brings them up."""
    own = {device.name for device in devices}
    for name in cards.values():
        if name not in own:
            yield {"name": name, "bootproto": "none", "startmode": "hotplug"}


def _interface(device: Device, cards: dict[str, str], mac: Mac, busy: set[str]) -> Map:
    below = [cards.get(_mac(one, mac), one) if _is_card(one) else one for one in device.of]
    rows: Map = {"name": device.name, "startmode": "auto", **_addresses(device)}
    if device.name in busy:
        rows["startmode"] = "hotplug"
    if device.mtu:
        rows["mtu"] = str(device.mtu)
    if device.kind is Kind.BOND:
        rows["bonding_master"] = "yes"
        rows["bonding_module_opts"] = f"mode={device.mode} miimon=100"
        rows |= {f"bonding_slave{number}": one for number, one in enumerate(below)}
    if device.kind is Kind.BRIDGE:
        rows |= {"bridge": "yes", "bridge_ports": " ".join(below), "bridge_stp": "off"}
    if device.kind is Kind.VLAN:
        rows |= {"etherdevice": below[0], "vlan_id": str(device.vlan)}
    return rows


def _addresses(device: Device) -> Map:
    if device.dhcp and not device.addresses:
        return {"bootproto": "dhcp"}
    if not device.addresses:
        return {"bootproto": "none"}
    # One by DHCP and others besides is an interface with DHCP and aliases.
    first, *others = device.addresses
    rows: Map = {"bootproto": "dhcp"} if device.dhcp else {"bootproto": "static", **_address(first)}
    if device.dhcp:
        others = list(device.addresses)
    aliases: Map = {
        f"alias{number}": {
            "IPADDR": str(ip_interface(one).ip),
            "PREFIXLEN": str(ip_interface(one).network.prefixlen),
            "LABEL": f"{number}",
        }
        for number, one in enumerate(others)
    }
    return rows | ({"aliases": aliases} if aliases else {})


def _address(text: str) -> Map:
    address = ip_interface(text)
    return {"ipaddr": str(address.ip), "prefixlen": str(address.network.prefixlen)}


def _is_card(below: str) -> bool:
    return below == BOOT or ":" in below


def _mac(below: str, mac: Mac) -> str:
    return str(mac if below == BOOT else Mac(below))
