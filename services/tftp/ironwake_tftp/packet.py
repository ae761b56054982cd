"""TFTP datagrams to frozen values and back, strictly (RFC 1350, 2347, 2348, 2349, 7440).

Own code instead of tftpy's classes: those raise `ValueError` on ``blksize=abc`` and
`UnicodeDecodeError` on a non-ASCII name, and either of them ends a server that trusts them.
Here a datagram is either one of the values below or a `MalformedPacketError`; nothing else is
raised, whatever the bytes are.

After this module there are no opcodes and no option spellings.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Mapping
from dataclasses import dataclass

MAX_REQUEST = 512  # RFC 2347: "The maximum size of a request packet is 512 octets"

_RRQ, _WRQ, _DATA, _ACK, _ERROR, _OACK = 1, 2, 3, 4, 5, 6
_HEADER = struct.Struct("!HH")


class ErrorCode(enum.IntEnum):
    """RFC 1350 section 5 and RFC 2347."""

    UNDEFINED = 0
    FILE_NOT_FOUND = 1
    ACCESS_VIOLATION = 2
    DISK_FULL = 3
    ILLEGAL_OPERATION = 4
    UNKNOWN_TID = 5
    FILE_EXISTS = 6
    NO_SUCH_USER = 7
    OPTION_REFUSED = 8


class Mode(enum.Enum):
    """How the bytes of a file are shown to the client."""

    OCTET = "octet"
    NETASCII = "netascii"  # the default of tftp-hpa's client


_MODES = {mode.value.encode(): mode for mode in Mode}


class MalformedPacketError(ValueError):
    """Remote fault: the datagram is not TFTP. `answerable` when an ERROR may go back."""

    def __init__(self, reason: str, *, answerable: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.answerable = answerable


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """RRQ. Options are those that make sense; a nonsensical value counts as not sent (RFC 2347)."""

    name: str
    mode: Mode
    blksize: int | None = None  # octets, 8..65464 (RFC 2348)
    windowsize: int | None = None  # blocks, 1..65535 (RFC 7440)
    timeout: int | None = None  # seconds, 1..255 (RFC 2349)
    tsize: bool = False  # the client wants to know the size (RFC 2349)


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """WRQ: always refused, so nothing but the name is kept."""

    name: str


@dataclass(frozen=True, slots=True)
class Ack:
    block: int  # as on the wire, 0..65535


@dataclass(frozen=True, slots=True)
class Error:
    code: int
    message: str


Packet = ReadRequest | WriteRequest | Ack | Error


def parse(data: bytes) -> Packet:
    """Read what a client may send to a server. Raises `MalformedPacketError`, nothing else."""
    if len(data) < 4:
        raise MalformedPacketError(f"a datagram of {len(data)} octets is too short")
    opcode = int.from_bytes(data[:2], "big")
    if opcode in (_RRQ, _WRQ):
        return _parse_request(data, write=opcode == _WRQ)
    if opcode == _ACK:
        return Ack(int.from_bytes(data[2:4], "big"))
    if opcode == _ERROR:
        # The text is for the log only. Firmware leaves out the final NUL; nothing hangs on it.
        text = data[4:].split(b"\0", 1)[0][:128].decode("ascii", "replace")
        return Error(int.from_bytes(data[2:4], "big"), text)
    raise MalformedPacketError(f"opcode {opcode} is not for a server that only sends")


def _parse_request(data: bytes, *, write: bool) -> ReadRequest | WriteRequest:
    if len(data) > MAX_REQUEST:
        raise MalformedPacketError(f"a request of {len(data)} octets is over 512", answerable=True)
    if data[-1] != 0:
        raise MalformedPacketError("the request does not end in NUL", answerable=True)
    fields = data[2:-1].split(b"\0")
    if len(fields) < 2 or not fields[0]:
        raise MalformedPacketError("the request has no file name or no mode", answerable=True)
    if not all(0x20 <= octet < 0x7F for octet in fields[0]):
        raise MalformedPacketError("the file name is not printable ASCII", answerable=True)
    name = fields[0].decode("ascii")
    if write:
        return WriteRequest(name)
    mode = _MODES.get(fields[1].lower())
    if mode is None:
        raise MalformedPacketError("the mode is neither octet nor netascii", answerable=True)
    options = _options(fields[2:])
    return ReadRequest(
        name=name,
        mode=mode,
        blksize=_number(options, b"blksize", 8, 65464),
        windowsize=_number(options, b"windowsize", 1, 65535),
        timeout=_number(options, b"timeout", 1, 255),
        # RFC 2349 has the client send 0; some send another number and mean the same.
        tsize=b"tsize" in options,
    )


def _options(fields: list[bytes]) -> Mapping[bytes, bytes]:
    """Pair up names and values. The first of two equal names holds; an empty name ends the list,
    because some ROMs pad their request with NULs."""
    options: dict[bytes, bytes] = {}
    for name, value in zip(fields[::2], fields[1::2], strict=False):
        if not name:
            break
        options.setdefault(name.lower(), value)
    return options


def _number(options: Mapping[bytes, bytes], name: bytes, low: int, high: int) -> int | None:
    raw = options.get(name, b"")
    # bytes.isdigit is ASCII only; the length bound keeps int() away from absurd input.
    if not raw.isdigit() or len(raw) > 10:
        return None
    value = int(raw)
    return value if low <= value <= high else None


def data_packet(block: int, payload: bytes | memoryview) -> bytes:
    """DATA. `block` is the absolute number; on the wire it rolls over to 0 after 65535."""
    return _HEADER.pack(_DATA, block & 0xFFFF) + payload


def ack_packet(block: int) -> bytes:
    """ACK, as clients send it; `block` as for `data_packet`."""
    return _HEADER.pack(_ACK, block & 0xFFFF)


def oack_packet(options: Mapping[str, int]) -> bytes:
    """OACK: the options that the server took, with its values (RFC 2347)."""
    pairs = (f"{name}\0{value}\0" for name, value in options.items())
    return _OACK.to_bytes(2, "big") + "".join(pairs).encode("ascii")


def error_packet(code: ErrorCode, message: str) -> bytes:
    """ERROR. The text is cut to 100 octets, so that an error never outgrows a request by much."""
    text = message.encode("ascii", "replace")[:100].replace(b"\0", b"?")
    return _HEADER.pack(_ERROR, code) + text + b"\0"


def netascii(content: bytes) -> bytes:
    """Show `content` as RFC 764 text: LF becomes CR LF, a bare CR becomes CR NUL."""
    return content.replace(b"\r", b"\r\0").replace(b"\n", b"\r\n")
