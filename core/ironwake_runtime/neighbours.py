"""Which card has this address? The kernel's neighbour table (RFC 826's cache) knows.

A client that sends us a unicast packet has asked for our MAC address before, and the kernel learned
its own from that question: the entry is there when its first packet is.
"""

from __future__ import annotations

from pathlib import Path

from ironwake.errors import InputError
from ironwake.mac import Mac

_TABLE = Path("/proc/net/arp")
_COMPLETE = 0x2  # ATF_COM


def lookup(address: str) -> Mac | None:
    """The MAC address of an IPv4 neighbour, or None where the kernel does not know it."""
    for line in _TABLE.read_text().splitlines()[1:]:
        columns = line.split()
        if columns[0] == address and int(columns[2], 16) & _COMPLETE:
            try:
                return Mac(columns[3])
            except InputError:  # all zero: an entry that is still being asked for
                return None
    return None
