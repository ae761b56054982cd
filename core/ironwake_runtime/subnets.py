"""The subnets of DHCP server mode, as the settings tell: a file of many, or the own network's pool.

The dhcp service gives addresses by them; the controller checks reservations by them.
"""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path
from typing import TypeVar

from ironwake.errors import InputError
from ironwake.ipv4 import Address, Network, Range
from ironwake.subnet import Subnet, Subnets
from ironwake_runtime import yamlfile
from ironwake_runtime.settings import Settings

T = TypeVar("T", Range, Address)

_EXAMPLE = "subnets: [{network: 192.0.2.0/24, pools: [192.0.2.100-192.0.2.199]}]"


def of(settings: Settings, own: IPv4Network) -> tuple[Subnet, ...]:
    """Every subnet; () unless we are the DHCP server.

    :param own: the network that our interface is in
    :raises InputError: a setting, or a line of the file, that can't be right
    """
    if settings.dhcp_mode != "server":
        return ()
    if settings.dhcp_subnets is None:
        return (_own(settings, own),)
    if settings.dhcp_pool or settings.dhcp_router:
        raise InputError(
            "the own network's pool is set beside a file of subnets",
            f"write it into {settings.dhcp_subnets}, and unset IRONWAKE_DHCP_POOL and "
            "IRONWAKE_DHCP_ROUTER",
            "IRONWAKE_DHCP_SUBNETS",
        )
    return read(settings.dhcp_subnets)


def read(path: Path) -> tuple[Subnet, ...]:
    """The subnets of a file; InputError with "<file>:<line>" and the field."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror}",
            f"write it: {_EXAMPLE}",
            "IRONWAKE_DHCP_SUBNETS",
        ) from None
    return parse(raw, path)


def parse(raw: bytes, path: Path) -> tuple[Subnet, ...]:
    """What a file has in it; InputError as of `read`."""
    try:
        return yamlfile.parse(Subnets, raw, _EXAMPLE).subnets
    except InputError as error:
        raise yamlfile.placed(error, str(path)) from None


def _own(settings: Settings, own: IPv4Network) -> Subnet:
    """The short form: one pool and one router."""
    pool = _read(Range, settings.dhcp_pool, "IRONWAKE_DHCP_POOL")
    router = None
    if settings.dhcp_router:
        router = _read(Address, settings.dhcp_router, "IRONWAKE_DHCP_ROUTER")
    try:
        return Subnet(Network(str(own)), (pool,), router=router)
    except InputError as error:
        field = "ROUTER" if error.where == "router" else "POOL"
        raise InputError(error.what, error.next_step, f"IRONWAKE_DHCP_{field}") from None


def _read(kind: type[T], text: str, name: str) -> T:
    try:
        return kind(text)
    except InputError as error:
        raise InputError(error.what, error.next_step, name) from None
