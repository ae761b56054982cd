"""One door of the service: the way in, and both ways out."""

from __future__ import annotations

import select
import socket
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Final

from ironwake_dhcp.delivery import Frame, Source
from ironwake_dhcp.exchange import Outgoing
from ironwake_dhcp.offer import Door
from ironwake_dhcp.place import Place
from ironwake_dhcp.template import Frames
from ironwake_runtime import udp

_SOURCES: Final = 1024  # remembered
_Where = tuple[bytes, tuple[str, int]]  # the kernel's note of the way, and the sender


@dataclass(frozen=True)
class Carrier:
    """One door's way in and both ways out."""

    door: Door
    udp: socket.socket
    wire: socket.socket
    frames: Frames
    place: Place
    _sources: dict[_Where, Source | None] = field(default_factory=dict)
    _poll: select.poll = field(default_factory=select.poll)

    def __post_init__(self) -> None:
        self._poll.register(self.udp, select.POLLIN)

    def is_near(self) -> bool:
        """Wait a millisecond at most for the next datagram: whether one has come."""
        return bool(self._poll.poll(1))

    def source(
        self, ancillary: list[tuple[int, int, bytes]], sender: tuple[str, int]
    ) -> Source | None:
        """Where a datagram came from; None where that was another interface.

        Most come from the same few places, clients without an address above all.
        """
        where = (ancillary[0][2] if len(ancillary) == 1 else b"", sender)
        try:
            return self._sources[where]
        except KeyError:
            if len(self._sources) >= _SOURCES:
                self._sources.clear()
            found = self._sources[where] = self._source(ancillary, sender)
            return found

    def _source(
        self, ancillary: list[tuple[int, int, bytes]], sender: tuple[str, int]
    ) -> Source | None:
        came = udp.arrival(ancillary)
        if came is None or came.index != self.place.index:
            return None
        to_all = came.target != str(self.place.address)
        return Source(IPv4Address(sender[0]), sender[1], self.door, to_all)

    def send(self, outgoing: Outgoing) -> None:
        stencil, xid, _ = outgoing
        way = stencil.way
        if isinstance(way, Frame):
            self.wire.send(self.frames.filled(stencil, way, xid))
        else:
            # From the address by which clients and relays know us, whatever else the card has.
            note = udp.departure(self.place.index, str(self.place.address))
            self.udp.sendmsg((outgoing.payload,), (note,), 0, (str(way.address), way.port))
