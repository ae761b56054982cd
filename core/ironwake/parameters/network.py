"""A machine's network: addresses on cards, bonds, VLANs and bridges.

network:
  devices:
    - {name: uplink, kind: bond, of: [boot, 52:54:00:12:34:57], mode: 802.3ad}
    - {name: office, kind: vlan, of: [uplink], vlan: 20, addresses: [192.0.2.7/24],
       gateway: 192.0.2.1}
  name_servers: [192.0.2.1]
  search: [site.example]

`boot` is the card that the machine booted from; other cards are named by their MAC addresses,
never by what a kernel calls them. What stands on something comes after it. Without `devices` the
card that booted asks DHCP.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from ipaddress import ip_address, ip_interface

from ironwake.errors import InputError
from ironwake.mac import Mac
from ironwake.names import DomainName

BOOT = "boot"  # the card that the machine booted from
_NAME = re.compile(r"[a-z][a-z0-9]{0,14}", re.ASCII)  # the kernel's bound for a name is 15


class Kind(StrEnum):
    CARD = "card"
    BOND = "bond"
    VLAN = "vlan"
    BRIDGE = "bridge"


class BondMode(StrEnum):
    """As the kernel's bonding driver calls them."""

    BALANCE_RR = "balance-rr"
    ACTIVE_BACKUP = "active-backup"
    BALANCE_XOR = "balance-xor"
    BROADCAST = "broadcast"
    LACP = "802.3ad"
    BALANCE_TLB = "balance-tlb"
    BALANCE_ALB = "balance-alb"


@dataclass(frozen=True)
class Device:
    """A card, or what stands on cards.

    `of`: the card that is meant (kind card: one), or the devices below: names, MAC addresses, or
    `boot`. `addresses`: with the prefix, as in 192.0.2.7/24; none and not `dhcp`: it carries others
    only. `mtu` in bytes, 0 for the usual one.
    """

    name: str
    kind: Kind = Kind.CARD
    of: tuple[str, ...] = (BOOT,)
    dhcp: bool = False
    addresses: tuple[str, ...] = ()
    gateway: str = ""
    vlan: int = 0
    mode: BondMode = BondMode.ACTIVE_BACKUP
    mtu: int = 0

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or self.name == BOOT:
            raise InputError(
                f"{self.name!r:.60} is no name of a device",
                "use 1 to 15 lower-case letters and digits, a letter first; not boot",
                "name",
            )
        if not self.of or (len(self.of) > 1 and self.kind in (Kind.CARD, Kind.VLAN)):
            raise InputError(
                f"{self.name} is a {self.kind} of {len(self.of)} devices", "give one", "of"
            )
        if (self.kind is Kind.VLAN) is not (0 < self.vlan < 4095):
            raise InputError(
                f"{self.vlan} is no number of a VLAN here",
                "give 1 to 4094, with kind: vlan",
                "vlan",
            )
        if self.mtu and not 576 <= self.mtu <= 9216:
            raise InputError(f"{self.mtu} is no MTU", "give 576 to 9216 bytes", "mtu")
        self._check_addresses()

    def _check_addresses(self) -> None:
        for text in self.addresses:
            _check(ip_interface, text, "addresses", "192.0.2.7/24")
            if "/" not in text:
                raise InputError(
                    f"{text} has no prefix", "write it as in 192.0.2.7/24", "addresses"
                )
        if self.gateway:
            _check(ip_address, self.gateway, "gateway", "192.0.2.1")
            if not self.addresses:
                raise InputError(
                    f"{self.name} has a gateway and no address", "give addresses", "gateway"
                )


@dataclass(frozen=True)
class Network:
    """All devices, and how names are resolved where DHCP does not say it.

    MAC addresses in `of` are written as `Mac` writes them, whatever was stated.
    """

    devices: tuple[Device, ...] = ()
    name_servers: tuple[str, ...] = ()
    search: tuple[DomainName, ...] = ()

    def __post_init__(self) -> None:
        for server in self.name_servers:
            _check(ip_address, server, "name_servers", "192.0.2.1")
        known: set[str] = set()
        used: set[str] = set()
        settled: list[Device] = []
        for number, device in enumerate(self.devices):
            where = f"devices[{number}]"
            if device.name in known:
                raise InputError(f"the name {device.name} is given twice", "give each once", where)
            of = tuple(_below(device, below, known, used, f"{where}.of") for below in device.of)
            settled.append(replace(device, of=of))
            known.add(device.name)
        object.__setattr__(self, "devices", tuple(settled))
        gateways = [one.gateway for one in self.devices if one.gateway]
        if len({":" in one for one in gateways}) < len(gateways):
            raise InputError(
                "two devices have a gateway", "give one for IPv4, one for IPv6", "devices"
            )

    def at(self, boot: Mac) -> Network:
        """As it is on the machine that booted from this card: its address stands as `boot`.

        :raises InputError: the card is in two devices then
        """
        devices = tuple(
            replace(one, of=tuple(BOOT if below == boot else below for below in one.of))
            for one in self.devices
        )
        return replace(self, devices=devices)

    def carries(self, device: Device, boot: Mac) -> bool:
        """Whether a bond or a bridge has the card that the machine booted from below it.

        It has that card's address then: systemd makes one up for each of them, and DHCP would take
        the machine for a stranger.
        """
        names = {one.name: one for one in self.devices}
        todo = list(device.of) if device.kind in (Kind.BOND, Kind.BRIDGE) else []
        while todo:
            below = todo.pop()
            if below in (BOOT, boot):
                return True
            todo += names[below].of if below in names else ()
        return False


def _below(device: Device, below: str, known: set[str], used: set[str], where: str) -> str:
    """What it stands on: `boot`, a device above, or a `Mac`."""
    if (device.kind is Kind.CARD or below not in known) and below != BOOT:
        try:
            below = Mac(below)
        except InputError:
            raise InputError(
                f"{below!r:.60} is neither boot, nor a MAC address, nor a device above",
                "name what it stands on",
                where,
            ) from None
    # A VLAN shares what it stands on; bonds and bridges take it for themselves.
    if below in used and device.kind is not Kind.VLAN:
        raise InputError(f"{below} is in another device already", "use it once", where)
    if device.kind is not Kind.VLAN:
        used.add(below)
    return below


def _check(kind: type | object, text: str, where: str, example: str) -> None:
    try:
        kind(text)  # type: ignore[operator]
    except ValueError:
        raise InputError(
            f"{text!r:.60} is no address", f"write it as in {example}", where
        ) from None
