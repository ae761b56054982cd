"""The ports that services want: opening them, a plain word about who has one that is taken, and
how long a peer may be silent.

Standard library and the core only: container health checks import this every few seconds.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ironwake.errors import BrokenError, InputError, IronwakeError, RefusedError

_PROC = Path("/proc")
_LISTEN = "0A"  # TCP_LISTEN, net/tcp_states.h
_ANY = "00000000"


@dataclass(frozen=True)
class Port:
    """One port of one service; `protocol` is "udp" or "tcp", `setting` the one that chooses it.

    `address` is "" where it is bound on all addresses, `interface` where it is on all interfaces.
    """

    service: str
    protocol: str
    number: int
    setting: str
    address: str = ""
    interface: str = ""

    def __str__(self) -> str:
        return f"{self.protocol.upper()} port {self.number}"


def endpoint(text: str, setting: str) -> tuple[str, int]:
    """Address and port of "127.0.0.1:8080" or "[::1]:8080"; InputError where it is neither."""
    host, _, number = text.rpartition(":")
    if not host or not (number.isascii() and number.isdigit()) or int(number) > 65535:
        raise InputError(
            f"{text!r} is not an address and a port", "write it as 127.0.0.1:8080", setting
        )
    return host.strip("[]"), int(number)


@contextlib.contextmanager
def opening(port: Port) -> Iterator[None]:
    """Around bind(2) and listen(2): what keeps a service from its port is said by `refusal`."""
    try:
        yield
    except OSError as error:
        raise refusal(port, error) from error


def refusal(port: Port, error: OSError) -> IronwakeError:
    """Why the port cannot be opened, in words, the process that has it named."""
    wants = f"{port}, which the {port.service} service needs, is"
    if error.errno == errno.EADDRINUSE:
        who = holder(port)
        return RefusedError(
            f"{wants} in use by {who or 'another program'}",
            f"stop {who or 'that program'}, or choose another port with {port.setting}",
            port.setting,
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        step = "run this as root, or with the capability NET_BIND_SERVICE"
        return RefusedError(f"{wants} not for this user", step, port.setting)
    if error.errno == errno.EADDRNOTAVAIL:
        step = "use one that the interface has"
        return InputError(f"{port.address} is no address of this host", step, port.setting)
    what = (error.strerror or str(error)).lower()
    where = port.address or port.interface
    step = "see: ironwake doctor"
    return BrokenError(f"{port} on {where} cannot be opened: {what}", step, port.setting)


def set_stall(sock: socket.socket, seconds: float) -> None:
    """Let the kernel drop a peer that has acknowledged nothing for so long (tcp(7))."""
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))


def holder(port: Port, proc: Path = _PROC) -> str:
    """The process that has the port, as "dnsmasq (pid 812)"; "" when it cannot be seen."""
    wanted = _links(port.protocol, port.number, port.address, proc)
    if not wanted:
        return ""
    for process in sorted(proc.glob("[0-9]*"), key=lambda path: int(path.name)):
        if wanted & _open_files(process):
            with contextlib.suppress(OSError):  # it ended just now
                return f"{_name(process)} (pid {process.name})"
    return ""


def holds(protocol: str, number: int, pid: int, proc: Path = _PROC) -> bool:
    """Whether process `pid` has a "udp" or "tcp" socket bound to that port."""
    return bool(_links(protocol, number, "", proc) & _open_files(proc / str(pid)))


def _name(process: Path) -> str:
    """The program's name; for `python -m MODULE` the module's, which tells more."""
    words = (process / "cmdline").read_text(encoding="utf-8", errors="replace").split("\0")
    if "python" in words[0] and "-m" in words[1:-1]:
        return words[words.index("-m") + 1]
    return (process / "comm").read_text(encoding="utf-8", errors="replace").strip()


def _links(protocol: str, number: int, address: str, proc: Path) -> set[str]:
    """Where the descriptors of the sockets on this port lead to, from /proc/net (proc(5))."""
    return {
        f"socket:[{inode}]"
        for table in (protocol, f"{protocol}6")
        for inode in _inodes(proc / "net" / table, number, address)
    }


def _inodes(table: Path, number: int, address: str) -> Iterator[str]:
    try:
        lines = table.read_text(encoding="ascii").splitlines()[1:]
    except OSError:  # no IPv6
        return
    for line in lines:
        columns = line.split()
        host, _, port = columns[1].rpartition(":")
        if int(port, 16) != number or (table.name[:3] == "tcp" and columns[3] != _LISTEN):
            continue
        if len(host) > len(_ANY) or host in (_ANY, _as_printed(address)) or not address:
            yield columns[9]


def _as_printed(address: str) -> str:
    """An IPv4 address as the kernel prints it: four bytes as one number of the host's order."""
    try:
        return f"{struct.unpack('=I', socket.inet_aton(address))[0]:08X}"
    except OSError:
        return ""


def _open_files(process: Path) -> set[str]:
    found = set()
    with contextlib.suppress(OSError):  # another user's, or gone
        for descriptor in (process / "fd").iterdir():
            with contextlib.suppress(OSError):
                found.add(str(descriptor.readlink()))
    return found
