"""A small site for the DHCP tests: one address, some machines, everything built."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

from ironwake.deployment import Deployment
from ironwake.firmware import FIRMWARE
from ironwake.lifecycle import State
from ironwake.mac import Mac
from ironwake.machine import Machine
from ironwake.names import HostName
from ironwake.profile import Profile
from ironwake.release import find
from ironwake.site import Shelf, Site, Stored
from ironwake.view import Entry, Index, View
from ironwake_dhcp.offer import Door, boot, proxy
from ironwake_dhcp.packet import Request
from ironwake_dhcp.reply import Quiet, Reply

ADDRESS = "10.77.0.1"
NODE = Mac("52:54:00:77:00:10")
SITE = Site(ADDRESS, 24)
BIOS, EDK2, HTTP, IPXE = (
    next(row for row in FIRMWARE if row.name == name)
    for name in ("bios-pxe", "uefi-amd64-pxe", "uefi-amd64-http", "bios-ipxe")
)

_ITEMS = (
    ("ramdisk-generic", "kernel"),
    ("ramdisk-generic", "initrd"),
    ("debian-12", "archive"),
    ("debian-12", "installer-kernel"),
    ("debian-12", "installer-initrd"),
    ("loaders", "sb/shimx64.efi"),
    ("loaders", "sb/shimaa64.efi"),
    ("loaders", "ipxe/undionly.kpxe"),
    ("loaders", "ipxe/snponly.efi"),
    ("ramdisk-generic", "tools"),
)
SHELF = Shelf(
    tuple(
        Stored(manifest, role, f"{number:064x}", 1000, role)
        for number, (manifest, role) in enumerate(_ITEMS)
    ),
    {"debian-12": {"unpacked_bytes": "1000"}},
)


def entry(mac: str = NODE, state: State | None = State.ARMED, *, locked: bool = False) -> Entry:
    """One machine, with a deployment in `state` unless that is None."""
    name = HostName("node-" + mac.replace(":", "")[-4:])
    machine = Machine(name, (Mac(mac),), locked=locked)
    if state is None:
        return Entry(machine)
    deployment = Deployment(
        f"d-{name}",
        name,
        "plain",
        "0" * 64,
        Profile("debian-12"),
        state,
        "a" * 64,
        "b" * 64,
        release=find("debian-12"),
    )
    return Entry(machine, deployment)


def index(*entries: Entry, version: int = 1, site: Site = SITE, shelf: Shelf = SHELF) -> Index:
    return Index(View(version, site, shelf, entries))


def armed(*macs: str) -> Index:
    """A site where all these machines are armed."""
    return index(*(entry(mac) for mac in macs or (NODE,)))


def known_at(item: Entry, address: str) -> Entry:
    """The machine with an address that the controller knows already."""
    return replace(item, address=address)


def proxied(request: Request, door: Door, index: Index) -> Reply | Quiet:
    """What a proxy answers, with nothing remembered of earlier requests."""
    return proxy(request, door, IPv4Address(index.view.site.address), boot(request, index))
