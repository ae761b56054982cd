"""The ports that the services want: may we have them, and if not, whose are they?"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ironwake.errors import IronwakeError, RefusedError
from ironwake_runtime.settings import Settings

_LISTEN = "0A"  # TCP_LISTEN, net/tcp_states.h


@dataclass(frozen=True)
class Port:
    """One port of one service. `interface` is "" where the port is bound by address alone."""

    service: str
    protocol: str  # "udp" or "tcp"
    number: int
    setting: str
    address: str = ""
    interface: str = ""

    def __str__(self) -> str:
        return f"{self.protocol.upper()} port {self.number}"


def wanted(settings: Settings, address: str) -> tuple[Port, ...]:
    """All ports that `ironwake serve` opens with these settings.

    DHCP and TFTP hear broadcasts, so they take all addresses of one interface; the others take
    `address`, our own on the machines' network.
    """
    lan = settings.interface
    host, _, number = settings.controller_listen.rpartition(":")
    ports = [Port("controller", "tcp", int(number), "IRONWAKE_CONTROLLER_LISTEN", host.strip("[]"))]
    if settings.dhcp_mode != "off":
        for port, name in ((settings.dhcp_port, "DHCP"), (settings.dhcp_proxy_port, "DHCP_PROXY")):
            ports.append(Port("dhcp", "udp", port, f"IRONWAKE_{name}_PORT", interface=lan))
    ports += [
        Port("tftp", "udp", settings.tftp_port, "IRONWAKE_TFTP_PORT", interface=lan),
        Port("dns", "udp", settings.dns_port, "IRONWAKE_DNS_PORT", address),
        Port("dns", "tcp", settings.dns_port, "IRONWAKE_DNS_PORT", address),
        Port("http", "tcp", settings.http_port, "IRONWAKE_HTTP_PORT", address),
    ]
    return tuple(ports)


def problems(ports: Iterable[Port], proc: Path = Path("/proc")) -> tuple[IronwakeError, ...]:
    """One error for each port that cannot be opened, the process that has it named."""
    return tuple(error for port in ports if (error := _try(port, proc)) is not None)


def _try(port: Port, proc: Path) -> IronwakeError | None:
    try:
        with _bound(port):
            return None
    except OSError as error:
        number = error.errno
    if number == errno.EADDRINUSE:
        owner = holder(port, proc)
        return RefusedError(
            f"{port}, which the {port.service} service needs, is in use by "
            f"{owner or 'another program'}",
            f"stop {owner or 'that program'}, or choose another port with {port.setting}",
        )
    if number in (errno.EACCES, errno.EPERM):
        return RefusedError(
            f"{port}, which the {port.service} service needs, is not for this user",
            "run this as root, or with the capability NET_BIND_SERVICE",
        )
    what = os.strerror(number or 0).lower()
    where = port.address or port.interface
    return RefusedError(f"{port} on {where} cannot be opened: {what}", "see: ironwake doctor")


@contextlib.contextmanager
def _bound(port: Port) -> Iterator[None]:
    """Bind as the service would, and let go again."""
    udp = port.protocol == "udp"
    family = socket.AF_INET6 if ":" in port.address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM) as probe:
        if port.interface:
            # The same port on another interface (a hypervisor's own network) is no conflict.
            with contextlib.suppress(PermissionError):
                name = port.interface.encode()
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name)
        if not udp:  # connections of our predecessor that linger are no conflict either
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((port.address, port.number))
        if not udp:  # with SO_REUSEADDR, only listen(2) meets a listener on another address
            probe.listen(1)
        yield


def holder(port: Port, proc: Path = Path("/proc")) -> str:
    """The process that has the port, as "dnsmasq (pid 812)"; "" when it cannot be seen."""
    inodes = {
        inode
        for table in (port.protocol, f"{port.protocol}6")
        for inode in _inodes(proc / "net" / table, port)
    }
    links = {f"socket:[{inode}]" for inode in inodes}
    for process in sorted(proc.glob("[0-9]*"), key=lambda path: int(path.name)):
        if links & set(_open_files(process)):
            with contextlib.suppress(OSError):  # it ended just now
                return f"{_name(process)} (pid {process.name})"
    return ""


def _name(process: Path) -> str:
    """The program's name; for `python -m MODULE` the module's, which tells more."""
    words = (process / "cmdline").read_text(encoding="utf-8", errors="replace").split("\0")
    if "python" in words[0] and "-m" in words[1:-1]:
        return words[words.index("-m") + 1]
    return (process / "comm").read_text(encoding="utf-8", errors="replace").strip()


def _inodes(table: Path, port: Port) -> Iterator[str]:
    """Inodes of the sockets bound to this port, from /proc/net/{udp,tcp} (proc(5))."""
    try:
        lines = table.read_text(encoding="ascii").splitlines()[1:]
    except OSError:  # no IPv6
        return
    for line in lines:
        columns = line.split()
        number = int(columns[1].rpartition(":")[2], 16)
        if number == port.number and (port.protocol == "udp" or columns[3] == _LISTEN):
            yield columns[9]


def _open_files(process: Path) -> Iterator[str]:
    with contextlib.suppress(OSError):  # another user's, or gone
        for descriptor in (process / "fd").iterdir():
            with contextlib.suppress(OSError):
                yield str(descriptor.readlink())
