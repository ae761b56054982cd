"""Send a window of datagrams with few system calls (UDP_SEGMENT, udp(7), since Linux 4.18)."""

from __future__ import annotations

import errno
import itertools
import socket
import struct

from ironwake_tftp.transfer import Address, Datagram

_UDP_SEGMENT = 103  # linux/udp.h; Python 3.11's socket module does not name it
_MOST_SEGMENTS = 64  # UDP_MAX_SEGMENTS of older kernels
_MOST_OCTETS = 65507  # of one UDP send over IPv4
# The interface has no checksum offload, or the segments are over its MTU: one by one, then.
_NO_SEGMENTS = frozenset({errno.EINVAL, errno.EIO, errno.EOPNOTSUPP, errno.EMSGSIZE})


class Sender:
    """Sends through any non-blocking UDP socket; remembers when the kernel can't do segments."""

    def __init__(self) -> None:
        self._segments = True

    def send(self, sock: socket.socket, datagrams: list[Datagram]) -> None:
        """Send in order. What the socket's buffer has no room for is lost, as on any network:
        the transfer's timer sends it again. Raises OSError when an address can't be reached."""
        try:
            for addr, group in itertools.groupby(datagrams, key=lambda item: item[1]):
                self._send_to(sock, [data for data, _ in group], addr)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise

    def _send_to(self, sock: socket.socket, group: list[bytes], addr: Address) -> None:
        while group:
            size = len(group[0])
            count = self._run_length(group, size)
            if count == 1:
                sock.sendto(group[0], addr)
            else:
                self._send_segments(sock, group[:count], size, addr)
            group = group[count:]

    def _run_length(self, group: list[bytes], size: int) -> int:
        """How many go out at once: all of one size, but that the last may be shorter."""
        if not self._segments:
            return 1
        most = max(1, min(_MOST_SEGMENTS, _MOST_OCTETS // size, len(group)))
        for n in range(1, most):
            if len(group[n]) != size:
                return n + 1 if len(group[n]) < size else n
        return most

    def _send_segments(
        self, sock: socket.socket, group: list[bytes], size: int, addr: Address
    ) -> None:
        wanted = [(socket.IPPROTO_UDP, _UDP_SEGMENT, struct.pack("=H", size))]
        try:
            sock.sendmsg(group, wanted, 0, addr)
        except OSError as error:
            if error.errno not in _NO_SEGMENTS:
                raise
            self._segments = False
            for data in group:
                sock.sendto(data, addr)
