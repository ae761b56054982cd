"""Network interfaces of this host, read from the kernel (netdevice(7)); no external program."""

from __future__ import annotations

import asyncio
import fcntl
import ipaddress
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import structlog

from ironwake.errors import BrokenError, InputError, IronwakeError

T = TypeVar("T")

_LOOK = 2.0  # seconds between looks at an interface
_SIOCGIFFLAGS, _SIOCGIFADDR, _SIOCGIFNETMASK = 0x8913, 0x8915, 0x891B
_SIOCGIFMTU, _SIOCGIFHWADDR = 0x8921, 0x8927
_IFF_UP, _IFF_RUNNING = 0x1, 0x40  # linux/if.h


@dataclass(frozen=True)
class Interface:
    """`address` and `prefix` are its first IPv4 address; `index` is the kernel's number for it."""

    name: str
    index: int
    address: str
    prefix: int

    @property
    def network(self) -> ipaddress.IPv4Network:
        return ipaddress.IPv4Network(f"{self.address}/{self.prefix}", strict=False)


def candidates() -> tuple[Interface, ...]:
    """Interfaces with an IPv4 address, loopback left out."""
    found = (_read(name) for _, name in socket.if_nameindex() if name != "lo")
    return tuple(item for item in found if item is not None)


def find(name: str) -> Interface:
    """The interface of that name; InputError that names the candidates."""
    there = ", ".join(f"{i.name} ({i.address}/{i.prefix})" for i in candidates()) or "none"
    step = f"set IRONWAKE_INTERFACE to the one that the machines are on; there are: {there}"
    if not name:
        raise InputError("no network interface is named", step, "IRONWAKE_INTERFACE")
    if name not in {item for _, item in socket.if_nameindex()}:
        raise InputError(f"there is no network interface {name!r}", step, "IRONWAKE_INTERFACE")
    interface = _read(name)
    if interface is None:
        raise InputError(
            f"the network interface {name} has no IPv4 address",
            f"give it one, or {step}",
            "IRONWAKE_INTERFACE",
        )
    return interface


async def changed(
    name: str,
    before: T,
    look: Callable[[], T],
    log: structlog.stdlib.BoundLogger,
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> T:
    """What `look` finds at the interface, once that is something else than it was.

    While it is away it is waited for, and a cable may be out; both are said once.
    """
    trouble = ""
    while True:
        await pause(_LOOK)
        told, there = trouble, before
        try:
            there, trouble = look(), _trouble(name)
        except (IronwakeError, OSError) as error:
            trouble = str(error)
        if trouble and not told:
            log.warning("the interface is away", interface=name, error=trouble)
        elif told and not trouble:
            log.info("the interface is back", interface=name)
        if there != before:
            return there


async def watch(before: Interface, log: structlog.stdlib.BoundLogger) -> None:
    """Wait until the interface is another one: unplugged and back, or with a new address.

    Sockets stay with what they were opened on, so BrokenError then: whoever runs this service
    starts it anew.
    """
    there = await changed(before.name, before, lambda: find(before.name), log)
    raise BrokenError(
        f"the interface {before.name} has changed: it was number {before.index} with "
        f"{before.address}/{before.prefix}, now it is number {there.index} with "
        f"{there.address}/{there.prefix}",
        "this service starts anew on it",
    )


def _trouble(name: str) -> str:
    up, running = link_of(name)
    if not up:
        return f"the network interface {name} is off"
    return "" if running else f"the network interface {name} has no link"


def mac_of(name: str) -> str:
    """The interface's own MAC address; all zero for loopback."""
    return _query(_SIOCGIFHWADDR, name)[18:24].hex(":")


def mtu_of(name: str) -> int:
    """The largest packet that the interface takes, in bytes."""
    mtu: int = struct.unpack_from("i", _query(_SIOCGIFMTU, name), 16)[0]
    return mtu


def link_of(name: str) -> tuple[bool, bool]:
    """Whether the interface is switched on, and whether its cable leads to something that is."""
    (flags,) = struct.unpack_from("=H", _query(_SIOCGIFFLAGS, name), 16)
    return bool(flags & _IFF_UP), bool(flags & _IFF_RUNNING)


def _query(request: int, name: str) -> bytes:
    # Not from /sys: inside a network namespace that shows the interfaces of another one.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        return fcntl.ioctl(probe, request, struct.pack("256s", name.encode()[:15]))


def _read(name: str) -> Interface | None:
    try:
        address = socket.inet_ntoa(_query(_SIOCGIFADDR, name)[20:24])
        mask = socket.inet_ntoa(_query(_SIOCGIFNETMASK, name)[20:24])
        index = socket.if_nametoindex(name)
    except OSError:  # no IPv4 address, or gone since it was listed
        return None
    return Interface(name, index, address, ipaddress.IPv4Network(f"0.0.0.0/{mask}").prefixlen)
