"""Network interfaces of this host, read from the kernel (netdevice(7)); no external program."""

from __future__ import annotations

import fcntl
import ipaddress
import socket
import struct
from dataclasses import dataclass

from ironwake.errors import InputError

_SIOCGIFADDR, _SIOCGIFNETMASK = 0x8915, 0x891B
_SIOCGIFMTU, _SIOCGIFHWADDR = 0x8921, 0x8927


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


def mac_of(name: str) -> str:
    """The interface's own MAC address; all zero for loopback."""
    return _query(_SIOCGIFHWADDR, name)[18:24].hex(":")


def mtu_of(name: str) -> int:
    """The largest packet that the interface takes, in bytes."""
    mtu: int = struct.unpack_from("i", _query(_SIOCGIFMTU, name), 16)[0]
    return mtu


def _query(request: int, name: str) -> bytes:
    # Not from /sys: inside a network namespace that shows the interfaces of another one.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        return fcntl.ioctl(probe, request, struct.pack("256s", name.encode()[:15]))


def _read(name: str) -> Interface | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            address = _ask(probe, _SIOCGIFADDR, name)
            mask = _ask(probe, _SIOCGIFNETMASK, name)
            index = socket.if_nametoindex(name)
        except OSError:  # no IPv4 address, or gone since it was listed
            return None
    return Interface(name, index, address, ipaddress.IPv4Network(f"0.0.0.0/{mask}").prefixlen)


def _ask(probe: socket.socket, request: int, name: str) -> str:
    reply = fcntl.ioctl(probe, request, struct.pack("256s", name.encode()[:15]))
    return socket.inet_ntoa(reply[20:24])
