"""A TCP port of one address, or a plain word about who has it."""

from __future__ import annotations

import contextlib
import errno
import resource
import socket
import struct
from pathlib import Path

from ironwake.errors import BrokenError, InputError

_LISTEN = "0A"
_WHERE = "IRONWAKE_HTTP_PORT"


def listen(address: str, port: int) -> socket.socket:
    """A bound socket. BrokenError names who has the port; InputError says what cannot be bound."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setblocking(False)
        sock.bind((address, port))
        sock.listen(1)  # two may bind with SO_REUSEADDR, only one may listen: find out here
    except OSError as error:
        sock.close()
        raise _plain(error, address, port) from error
    return sock


def _plain(error: OSError, address: str, port: int) -> InputError | BrokenError:
    place = f"TCP port {port} of {address}"
    if error.errno == errno.EADDRINUSE:
        who = owner(address, port) or "another program"
        return BrokenError(f"{place} is in use by {who}", f"stop it, or set {_WHERE}", _WHERE)
    if error.errno == errno.EACCES:
        step = "run as root, give CAP_NET_BIND_SERVICE, or set a port of 1024 or higher"
        return InputError(f"{place} may not be used by this user", step, _WHERE)
    if error.errno == errno.EADDRNOTAVAIL:
        step = "set IRONWAKE_ADDRESS to one that the interface has"
        return InputError(f"{address} is no address of this host", step, "IRONWAKE_ADDRESS")
    return BrokenError(f"{place} cannot be used: {error.strerror}", "", _WHERE)


def owner(address: str, port: int, proc: Path = Path("/proc")) -> str:
    """`nginx (pid 123)`: who listens there (proc(5)); "" where it cannot be seen."""
    inodes = _inodes(proc / "net/tcp", address, port) | _inodes(proc / "net/tcp6", "", port)
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for process in proc.glob("[0-9]*") if wanted else ():
        if wanted & _links(process / "fd"):
            with contextlib.suppress(OSError):  # it has ended this very moment
                return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
    return ""


def _links(folder: Path) -> set[str]:
    """What a process has open; nothing where it is another user's, or has ended meanwhile."""
    found = set()
    with contextlib.suppress(OSError):
        for item in folder.iterdir():
            with contextlib.suppress(OSError):
                found.add(str(item.readlink()))
    return found


def _inodes(table: Path, address: str, port: int) -> set[str]:
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:
        return set()
    mine = {"00000000"}
    if address:
        # The kernel prints the four bytes as one number of the host's byte order.
        mine.add(f"{struct.unpack('=I', socket.inet_aton(address))[0]:08X}")
    found = set()
    for line in lines:
        columns = line.split()
        host, _, number = columns[1].partition(":")
        if columns[3] == _LISTEN and int(number, 16) == port and (host in mine or not address):
            found.add(columns[9])
    return found


def room_for_connections() -> int:
    """How many connections this process may have: two descriptors each, and some to spare."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if most == resource.RLIM_INFINITY:
        return 1 << 16
    return max(1, (most - 64) // 2)
