"""What a rack consists of: frozen, checked when made, written to `rack.json` and read back."""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

from ironwake.errors import BrokenError, InputError
from ironwake.mac import Mac
from ironwake_lab.firmware import FIRMWARE

# A rack's name is part of namespace names, a machine's of file names and QEMU options (where a
# comma would start the next property).
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,28}[a-z0-9])?")
_SMBIOS_TEXT = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}")
_DISK_SERIAL_BYTES = 20  # VIRTIO_BLK_ID_BYTES, virtio 1.2 §5.2.6.2
_SECTOR = 512
_LEAST_DISK = 1 << 20
_LEAST_MEMORY_MB = 256
_MOST_CARDS = 8
_NETWORK_BOOT = ("pxe", "http")  # the first one is every firmware's
_FILE = re.compile(r"[A-Za-z0-9._/-]{0,127}")  # the BOOTP file field: 128 with its final zero


def _check_name(name: str, what: str) -> None:
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r} is no name for a {what}",
            "use 1 to 30 lower-case letters, digits and hyphens, such as node1",
            "name",
        )


@dataclass(frozen=True)
class Card:
    """One network card; without a cable its link is down."""

    mac: str
    cabled: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "mac", str(Mac(self.mac)))


@dataclass(frozen=True)
class MachineSpec:
    """One machine: `disk_bytes` in bytes, `memory_mb` in MiB; empty texts get a derived value.

    `more_disks` are the sizes of others, whose serial numbers are the first one's with -2, -3, …
    `mac` is the short form of `cards` for one card with a cable; with both, it is the first card's.
    `network_boot` is what a UEFI machine's firmware knows of it: `pxe` (PXE, and HTTP Boot behind
    the disk), or `http` (HTTP Boot only). `disk_first` puts the disk before the network in the boot
    order. `ipv6_pxe=False` tells OVMF to leave IPv6 PXE out, as most firmware set-ups do by
    default. `twin_of` names the machine whose MAC addresses this one has as well, by mistake of
    its maker. `tpm` gives it a TPM 2.0 of its own.
    """

    name: str
    mac: str = ""
    firmware: str = "uefi"
    disk_bytes: int = 4 << 30
    more_disks: tuple[int, ...] = ()
    memory_mb: int = 1024
    cpus: int = 1
    uuid: str = ""
    serial: str = ""
    disk_serial: str = ""
    ipv6_pxe: bool = False
    cards: tuple[Card, ...] = ()
    network_boot: str = "pxe"
    disk_first: bool = False
    twin_of: str = ""
    tpm: bool = False

    def __post_init__(self) -> None:
        _check_name(self.name, "machine")
        object.__setattr__(self, "more_disks", tuple(self.more_disks))
        self._settle_cards()
        if self.firmware not in FIRMWARE:
            raise InputError(
                f"machine {self.name}: unknown firmware {self.firmware!r}",
                f"use one of: {', '.join(FIRMWARE)}",
                "firmware",
            )
        for size in (self.disk_bytes, *self.more_disks):
            if size < _LEAST_DISK or size % _SECTOR:
                raise InputError(
                    f"machine {self.name}: a disk of {size} bytes is too small or odd",
                    "use at least 1 MiB, in whole sectors of 512 bytes",
                    "disk_bytes",
                )
        if self.memory_mb < _LEAST_MEMORY_MB or self.cpus < 1:
            raise InputError(
                f"machine {self.name}: {self.memory_mb} MiB and {self.cpus} processors do not boot",
                f"give it at least {_LEAST_MEMORY_MB} MiB and one processor",
                "memory_mb",
            )
        if self.network_boot not in _NETWORK_BOOT[: 2 if FIRMWARE[self.firmware].uefi else 1]:
            raise InputError(
                f"machine {self.name}: {self.firmware} cannot boot by {self.network_boot!r}",
                "use pxe, or http on UEFI",
                "network_boot",
            )
        self._derive()

    @property
    def disks(self) -> tuple[tuple[str, int], ...]:
        """(serial number, bytes) of each disk."""
        more = ((f"{self.disk_serial}-{n}", size) for n, size in enumerate(self.more_disks, 2))
        return (self.disk_serial, self.disk_bytes), *more

    def _settle_cards(self) -> None:
        cards = tuple(self.cards) or (Card(self.mac),)
        mac = str(Mac(self.mac)) if self.mac else cards[0].mac
        if mac != cards[0].mac or len(cards) > _MOST_CARDS:
            raise InputError(
                f"machine {self.name}: {len(cards)} cards, the first {cards[0].mac}, and MAC {mac}",
                f"give cards (at most {_MOST_CARDS}) or the MAC of the only one",
                "cards",
            )
        object.__setattr__(self, "mac", mac)
        object.__setattr__(self, "cards", cards)

    def _derive(self) -> None:
        seed = f"ironwake-lab {self.mac}" + (f" {self.name}" if self.twin_of else "")
        derived = {
            "uuid": str(uuid.uuid5(uuid.NAMESPACE_OID, seed)),
            "serial": f"LAB-{self.name}",
            "disk_serial": f"disk-{self.name}"[:_DISK_SERIAL_BYTES],
        }
        for field, value in derived.items():
            object.__setattr__(self, field, getattr(self, field) or value)
        try:
            object.__setattr__(self, "uuid", str(uuid.UUID(self.uuid)))
        except ValueError:
            raise InputError(
                f"machine {self.name}: {self.uuid!r} is not a UUID",
                "write 32 hexadecimal digits, or leave it out",
                "uuid",
            ) from None
        for field in ("serial", "disk_serial"):
            if not _SMBIOS_TEXT.fullmatch(getattr(self, field)):
                raise InputError(
                    f"machine {self.name}: {getattr(self, field)!r} is no serial number",
                    "use letters, digits, spaces, dots, hyphens and underscores",
                    field,
                )
        if len(self.disks[-1][0]) > _DISK_SERIAL_BYTES:
            raise InputError(
                f"machine {self.name}: disk serial {self.disk_serial!r} is too long",
                f"a virtio disk has room for {_DISK_SERIAL_BYTES} characters",
                "disk_serial",
            )


@dataclass(frozen=True)
class RouterSpec:
    """The foreign DHCP server: addresses and a gateway, no name service.

    Such a router knows nothing of booting; some say something of it all the same. `boot_file` goes
    into the BOOTP file field, `option_67` into that option only, of every answer; `next_server`
    into siaddr (default: its own address, as dnsmasq and most routers; 0.0.0.0 leaves it empty).
    `advertise` answers IPv6 router solicitations: without an answer, iPXE of 2019 waits about
    13 s for one at each of its stages. `extra_lines` go into dnsmasq's configuration as they are.
    """

    address: str = "10.77.0.1"
    mac: str = "52:54:00:77:00:01"
    first: str = "10.77.0.100"
    last: str = "10.77.0.200"
    advertise: bool = True
    extra_lines: tuple[str, ...] = ()
    boot_file: str = ""
    option_67: str = ""
    next_server: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "mac", str(Mac(self.mac)))
        object.__setattr__(self, "extra_lines", tuple(self.extra_lines))
        object.__setattr__(self, "next_server", self.next_server or self.address)
        for field in ("address", "first", "last", "next_server"):
            try:
                IPv4Address(getattr(self, field))
            except ValueError:
                raise InputError(
                    f"{getattr(self, field)!r} is not an IPv4 address",
                    "write four numbers, such as 10.77.0.1",
                    field,
                ) from None
        if self.boot_file and self.next_server == "0.0.0.0":  # noqa: S104 (no address to bind)
            raise InputError(
                "router: dnsmasq sends its own address along with a boot file",
                "leave out next_server, or name another address",
                "next_server",
            )
        for field in ("boot_file", "option_67"):
            if not _FILE.fullmatch(getattr(self, field)):
                raise InputError(
                    f"router: {getattr(self, field)!r} is no name of a boot file",
                    "use up to 127 letters, digits, dots, hyphens, underscores and slashes",
                    field,
                )


@dataclass(frozen=True)
class RackSpec:
    """A whole rack; `router=None` leaves the network without any DHCP server."""

    name: str
    machines: tuple[MachineSpec, ...] = ()
    router: RouterSpec | None = RouterSpec()
    appliance: str = "10.77.0.2/24"
    appliance_mac: str = "52:54:00:77:00:02"

    def __post_init__(self) -> None:
        _check_name(self.name, "rack")
        object.__setattr__(self, "machines", tuple(self.machines))
        object.__setattr__(self, "appliance_mac", str(Mac(self.appliance_mac)))
        try:
            network = IPv4Interface(self.appliance).network
        except ValueError:
            raise InputError(
                f"{self.appliance!r} is not an address with a prefix length",
                "write it like 10.77.0.2/24",
                "appliance",
            ) from None
        router = self.router
        for address in (router.address, router.first, router.last) if router else ():
            if IPv4Address(address) not in network:
                raise InputError(
                    f"router: {address} is outside the rack's network {network}",
                    "choose addresses of that network",
                    "router",
                )
        self._check_unique()

    def _check_unique(self) -> None:
        taken: dict[str, str] = {self.appliance_mac: "the appliance"}
        if self.router:
            taken[self.router.mac] = "the router"
        for machine in self.machines:
            twin = f"machine {machine.twin_of}"
            macs = [card.mac for card in machine.cards if taken.get(card.mac) != twin]
            for value in (machine.name, *macs, machine.uuid):
                if value in taken:
                    raise InputError(
                        f"machine {machine.name}: {value} already belongs to {taken[value]}",
                        "give each machine its own name, MAC and UUID",
                        "machines",
                    )
                taken[value] = f"machine {machine.name}"

    @property
    def network(self) -> IPv4Network:
        """The rack's subnet."""
        return IPv4Interface(self.appliance).network

    def to_json(self) -> str:
        """For `rack.json`."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str = "") -> RackSpec:
        """The inverse of `to_json`; BrokenError when the text is none of ours."""
        try:
            data: dict[str, Any] = json.loads(text)
            machines = tuple(_machine(one) for one in data.pop("machines"))
            router = RouterSpec(**raw) if (raw := data.pop("router")) else None
            return cls(machines=machines, router=router, **data)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise BrokenError(
                f"this is no description of a rack ({error})",
                "remove the rack's directory and raise the rack again",
                where,
            ) from error


def _machine(data: dict[str, Any]) -> MachineSpec:
    cards = tuple(Card(**one) for one in data.pop("cards", ()))
    return MachineSpec(cards=cards, **data)
