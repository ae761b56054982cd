"""Magic packets: what they carry, and where they go."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import wakeonlan

from ironwake.errors import BrokenError, InputError
from ironwake.mac import Mac
from ironwake.site import Site
from ironwake_runtime import interfaces

_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9-]+)*")


@dataclass(frozen=True)
class Magic:
    """What is sent in one turn: a packet for each card of a machine, to each place.

    `targets` are the machine's own, besides those of all; `secureon` is 12 hexadecimal digits or
    "", `interface` where its network is, "" for where all machines are.
    """

    macs: tuple[Mac, ...]
    targets: tuple[str, ...] = ()
    interface: str = ""
    secureon: str = ""


Send = Callable[[Magic], None]


def sender(site: Callable[[], Site], targets: Sequence[str]) -> Send:
    """Sends by UDP port 9 to the broadcast address of the machine's network, from our own there.

    And to `targets` and the machine's own, by whichever way they are reached. One place that can't
    be reached takes nothing from the others; the error names all such.
    """

    def send(magic: Magic) -> None:
        wrong = []
        places: dict[str, str | None] = dict.fromkeys((*targets, *magic.targets))
        try:
            places |= _own(site(), magic)
        except InputError as error:
            wrong.append(f"by its own interface: {error.what}")
        for host, source in places.items():
            try:
                _send(magic, host, source)
            except OSError as error:
                origin = f" from {source}" if source else ""
                wrong.append(f"to {host}{origin}: {error.strerror or error}")
        if wrong:
            raise BrokenError(
                f"the magic packet for {magic.macs[0]} can't be sent {'; '.join(wrong)}",
                "see that IRONWAKE_INTERFACE is up and has this address, IRONWAKE_WAKE_TARGETS, "
                "and the machine's own targets and interface",
            )

    return send


def _send(magic: Magic, host: str, source: str | None) -> None:
    for mac in magic.macs:
        word = f"{mac}/{magic.secureon}" if magic.secureon else str(mac)
        # A socket for each: a host that refuses port 9 (ICMP) breaks the second sending of one.
        wakeonlan.wake(word, host=host, interface=source, family=socket.AF_INET)


def _own(site: Site, magic: Magic) -> dict[str, str]:
    """The broadcast address of the machine's network, and our address there to send from."""
    if magic.interface:
        found = interfaces.find(magic.interface)
        return {str(found.network.broadcast_address): found.address}
    return {broadcast(site): site.address}


def broadcast(site: Site) -> str:
    """The broadcast address of the machines' network."""
    network = ipaddress.IPv4Network(f"{site.address}/{site.prefix}", strict=False)
    return str(network.broadcast_address)


def check_target(host: str, where: str) -> None:
    """InputError unless it is an IPv4 address or a host's name."""
    numeric = bool(re.fullmatch(r"[0-9.]+", host))
    try:
        good = bool(ipaddress.IPv4Address(host)) if numeric else bool(_NAME.fullmatch(host))
    except ValueError:
        good = False
    if not good:
        raise InputError(
            f"{host!r:.80} is neither an IPv4 address nor a host's name",
            "write it as in 10.77.0.255",
            where,
        )


def targets_of(text: str) -> tuple[str, ...]:
    """The setting's addresses and names, with commas or blanks between them."""
    found = tuple(dict.fromkeys(text.replace(",", " ").split()))
    for host in found:
        check_target(host, "IRONWAKE_WAKE_TARGETS")
    return found
