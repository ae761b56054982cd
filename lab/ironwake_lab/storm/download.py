"""One TFTP download, as firmware does it (RFC 1350, 2347, 2348, 2349, 7440). Pure.

edk2's way with a block that is not the expected one: it acknowledges the last good one at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ironwake_lab.storm.roms import Manners

_DATA, _ERROR, _OACK = 3, 5, 6
_KEPT = 1 << 16  # octets: scripts are read, loaders are only counted
_ABORT = b"\x00\x05\x00\x08User aborted the transfer\x00"


def request(name: str, manners: Manners) -> bytes:
    """The RRQ."""
    pairs = "".join(f"{option}\0{value}\0" for option, value in manners.options)
    return b"\x00\x01" + f"{name}\0octet\0{pairs}".encode("ascii")


@dataclass(slots=True)
class Download:
    """`probe`: only the size is wanted, so the OACK is answered with ERROR 8.

    `size`: octets so far. `over` once it has ended, `error` says how if not well.
    """

    name: str
    manners: Manners
    port: int
    probe: bool = False
    size: int = 0
    content: bytearray = field(default_factory=bytearray)
    over: bool = False
    error: str = ""
    server: int = 0  # its port, once it has answered
    repeats: int = 0
    _block: int = 1  # the next one
    _blksize: int = 512
    _window: int = 1
    _run: int = 0
    _last: bytes = b""  # what is repeated when nothing comes
    _silences: int = 0

    @property
    def pause(self) -> float:
        """Seconds of silence until `late`."""
        return self.manners.pauses[min(self._silences, len(self.manners.pauses) - 1)]

    def begin(self) -> bytes:
        """The request, to port 69."""
        self._last = request(self.name, self.manners)
        return self._last

    def receive(self, payload: bytes, port: int) -> bytes | None:
        """A datagram of the server's; what it is answered with, to the port that it came from."""
        if len(payload) < 4 or self.over:
            return None
        if self.server == 0:
            self.server = port
        elif port != self.server:
            return None  # another transfer of a repeated request: it will notice
        kind = payload[1]
        if kind == _DATA:
            return self._data(payload)
        if kind == _OACK and self._block == 1 and not self._run:
            return self._options(payload)
        if kind == _ERROR:
            words = payload[4:].split(b"\0", 1)[0].decode("ascii", "replace")
            self._end(f"{self.name}: error {payload[3]} {words}")
        return None

    def _data(self, payload: bytes) -> bytes | None:
        block, length = (payload[2] << 8) | payload[3], len(payload) - 4
        if block != self._block & 0xFFFF or length > self._blksize:
            self.repeats += 1
            return self._acknowledge(self._block - 1)
        self._silences = 0
        self.size += length
        if self.size <= _KEPT:
            self.content += payload[4:]
        self._block += 1
        self._run += 1
        if length < self._blksize:
            self.over = True
        elif self._run < self._window:
            return None
        return self._acknowledge(block)

    def _acknowledge(self, block: int) -> bytes:
        self._run = 0
        self._last = b"\x00\x04" + (block & 0xFFFF).to_bytes(2, "big")
        return self._last

    def _options(self, payload: bytes) -> bytes:
        words = payload[2:].split(b"\0")
        given = dict(zip(words[::2], words[1::2], strict=False))
        if self.probe:
            self.size = _number(given.get(b"tsize"), 0)
            self.over = True
            return _ABORT
        self._silences = 0
        self._blksize = _number(given.get(b"blksize"), 512)
        self._window = _number(given.get(b"windowsize"), 1)
        return self._acknowledge(0)

    def late(self) -> bytes | None:
        """Nothing came for `pause` seconds: what is said again, to `server` or port 69."""
        self._silences += 1
        self._run = 0
        if self._silences >= len(self.manners.pauses):
            self._end(f"{self.name}: no answer")
            return None
        return self._last

    def _end(self, error: str) -> None:
        self.over, self.error = True, error


def _number(value: bytes | None, otherwise: int) -> int:
    if value is None or not value.isdigit() or len(value) > 10:
        return otherwise
    return max(int(value), 1)
