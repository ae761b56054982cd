"""Send a window of datagrams with few system calls (UDP_SEGMENT, udp(7), since Linux 4.18)."""

from __future__ import annotations

import contextlib
import errno
import socket

_UDP_SEGMENT = 103  # linux/udp.h; Python 3.11's socket module does not name it
_MOST_SEGMENTS = 64  # UDP_MAX_SEGMENTS of older kernels
_MOST_OCTETS = 65507  # of one UDP send over IPv4
# The interface has no checksum offload, or the segments are over its MTU: one by one, then.
_NO_SEGMENTS = frozenset({errno.EINVAL, errno.EIO, errno.EOPNOTSUPP, errno.EMSGSIZE})
# A full buffer, or a network that is away just now: lost, as anything may be on the way. The
# transfer's timer sends it again, and gives up in the end.
_LOST = frozenset(
    {
        errno.EAGAIN,
        errno.ENOBUFS,
        errno.ECONNREFUSED,
        errno.EHOSTUNREACH,
        errno.EHOSTDOWN,
        errno.ENETUNREACH,
        errno.ENETDOWN,
    }
)


class Sender:
    """Sends over a connected, non-blocking UDP socket, in datagrams of `segment` octets."""

    def __init__(self, sock: socket.socket, segment: int) -> None:
        self._sock = sock
        self._send = sock.send
        self._segment = segment
        # As an option of the socket: a note with each window would cost more than the window.
        try:
            sock.setsockopt(socket.IPPROTO_UDP, _UDP_SEGMENT, segment)
            most = min(_MOST_SEGMENTS, _MOST_OCTETS // segment)
        except OSError:
            most = 1
        self._most = most * segment  # octets in one call

    def send(self, data: bytes | memoryview) -> None:
        """Send as datagrams, each of `segment` octets but the last. Raises OSError for what no
        other try would mend."""
        try:
            if len(data) <= self._most:
                self._send(data)
            else:
                for start in range(0, len(data), self._most):
                    self._send(data[start : start + self._most])
        except OSError as error:
            if error.errno in _LOST:
                return
            if error.errno not in _NO_SEGMENTS or not self._give_up_segments():
                raise
            self.send(data)  # what has been sent comes twice, which a client bears

    def _give_up_segments(self) -> bool:
        """Whether there is another way."""
        if self._most == self._segment:
            return False
        with contextlib.suppress(OSError):
            self._sock.setsockopt(socket.IPPROTO_UDP, _UDP_SEGMENT, 0)
        self._most = self._segment
        return True


def send_once(sock: socket.socket, data: bytes | memoryview, to: tuple[str, int]) -> None:
    """One datagram to somebody; raises OSError as `Sender.send` does."""
    try:
        sock.sendto(data, to)
    except OSError as error:
        if error.errno not in _LOST:
            raise
