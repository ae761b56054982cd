"""A machine's network as NetworkManager's keyfiles: cards by their MAC addresses.

One file is one connection (nm-settings-keyfile(5)). What stands on what is said by the names of
devices: cards have none of ours, so a VLAN's or a bridge's card gets a connection of its own, and
is named there by its connection's UUID.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from ipaddress import ip_address, ip_interface

from ironwake.firstboot import File
from ironwake.mac import Mac
from ironwake.parameters.network import BOOT, Device, Kind, Network

FOLDER = "etc/NetworkManager/system-connections"
_SPACE = uuid.UUID("6d3d1c44-52a3-4f44-9a33-6e1d3b1f7f6a")  # of our connections' ids
Group = tuple[str, dict[str, str]]


def files(network: Network, mac: Mac) -> tuple[File, ...]:
    """The keyfiles, for a machine that booted from `mac`; without devices, its card asks DHCP."""
    devices = network.devices or (Device("uplink", dhcp=True),)
    return tuple(
        File(f"{FOLDER}/{name}.nmconnection", 0o600, _text(groups))
        for name, groups in _connections(devices, network, mac)
    )


def _connections(
    devices: tuple[Device, ...], network: Network, mac: Mac
) -> Iterator[tuple[str, list[Group]]]:
    names = {device.name: device for device in devices}
    owners = {
        below: device
        for device in devices
        if device.kind in (Kind.BOND, Kind.BRIDGE)
        for below in device.of
    }
    cards = {  # address → what its connection is called
        _mac(device.of[0], mac): device.name for device in devices if device.kind is Kind.CARD
    }
    for device in devices:
        yield device.name, _device(device, owners.get(device.name), cards, network, mac)
    carried = {
        below: None for device in devices for below in device.of if below not in names
    }  # in order, each once
    for below in carried:
        card = _mac(below, mac)
        if card not in cards:
            cards[card] = name = _card_name(card)
            head = _head(name, "ethernet", owners.get(below))
            yield name, [head, ("ethernet", {"mac-address": card.upper()}), *_no_address()]


def _device(
    device: Device,
    owner: Device | None,
    cards: dict[str, str],
    network: Network,
    mac: Mac,
) -> list[Group]:
    kind = "ethernet" if device.kind is Kind.CARD else str(device.kind)
    head = _head(device.name, kind, owner)
    if device.kind is not Kind.CARD:
        head[1]["interface-name"] = device.name
    groups = [head]
    ethernet = {}
    if device.kind is Kind.CARD:
        ethernet["mac-address"] = _mac(device.of[0], mac).upper()
    if network.carries(device, mac):
        ethernet["cloned-mac-address"] = mac.upper()
    if device.mtu:
        ethernet["mtu"] = str(device.mtu)
    if ethernet:
        groups.append(("ethernet", ethernet))
    if device.kind is Kind.BOND:
        groups.append(("bond", {"mode": device.mode, "miimon": "100"}))
    if device.kind is Kind.BRIDGE:
        groups.append(("bridge", {"stp": "false"}))
    if device.kind is Kind.VLAN:
        parent = _parent(device.of[0], cards, network, mac)
        groups.append(("vlan", {"id": str(device.vlan), "parent": parent}))
    if owner is None:
        groups += _addresses(device, network)
    return groups


def _parent(below: str, cards: dict[str, str], network: Network, mac: Mac) -> str:
    """A device's name; of a card, which has none, its connection's UUID."""
    kinds = {one.name: one.kind for one in network.devices}
    if below in kinds:
        return _id(below) if kinds[below] is Kind.CARD else below
    card = _mac(below, mac)
    return _id(cards.get(card) or _card_name(card))


def _head(name: str, kind: str, owner: Device | None) -> Group:
    rows = {"id": name, "uuid": _id(name), "type": kind}
    if owner:
        # "master" and "slave-type": as every version reads them.
        rows |= {"master": owner.name, "slave-type": str(owner.kind)}
    return "connection", rows


def _addresses(device: Device, network: Network) -> list[Group]:
    if not device.dhcp and not device.addresses:
        return _no_address()
    groups = []
    for version in (4, 6):
        own = [text for text in device.addresses if ip_interface(text).version == version]
        rows = {"method": "auto" if device.dhcp else "manual" if own else "disabled"}
        if version == 6 and not own and not device.dhcp:
            rows["method"] = "link-local"
        rows |= {f"address{number}": text for number, text in enumerate(own, 1)}
        if device.gateway and ip_address(device.gateway).version == version:
            rows["gateway"] = device.gateway
        servers = [one for one in network.name_servers if ip_address(one).version == version]
        named = rows["method"] in ("auto", "manual")
        if servers and named:
            rows["dns"] = "".join(f"{one};" for one in servers)
        if network.search and named:
            rows["dns-search"] = "".join(f"{one};" for one in network.search)
        groups.append((f"ipv{version}", rows))
    return groups


def _no_address() -> list[Group]:
    return [("ipv4", {"method": "disabled"}), ("ipv6", {"method": "disabled"})]


def _mac(below: str, mac: Mac) -> str:
    return str(mac if below == BOOT else Mac(below))


def _card_name(card: str) -> str:
    return f"card-{card.replace(':', '')}"


def _id(name: str) -> str:
    return str(uuid.uuid5(_SPACE, name))


def _text(groups: list[Group]) -> str:
    return "\n".join(
        f"[{name}]\n" + "".join(f"{key}={value}\n" for key, value in rows.items())
        for name, rows in groups
    )
