"""The TFTP read requests of the recorded captures."""

from __future__ import annotations

import struct
from pathlib import Path

from ironwake_tftp.packet import ReadRequest, parse

CAPTURES = Path(__file__).parent.parent / "captures"


def requests() -> list[tuple[bytes, ReadRequest]]:
    """Each request to port 69: its datagram, and what the parser makes of it."""
    found = []
    for path in sorted(CAPTURES.glob("*.pcap")):
        for frame in _frames(path.read_bytes()):
            if frame[12:14] != b"\x08\x00" or frame[23] != 17:
                continue
            start = 14 + (frame[14] & 15) * 4
            _, port, length, _ = struct.unpack_from("!HHHH", frame, start)
            if port == 69:
                data = frame[start + 8 : start + length]
                packet = parse(data)
                assert isinstance(packet, ReadRequest), data
                found.append((data, packet))
    return found


def _frames(data: bytes) -> list[bytes]:
    position, frames = 24, []
    while position < len(data):
        (kept,) = struct.unpack_from("<I", data, position + 8)
        frames.append(data[position + 16 : position + 16 + kept])
        position += 16 + kept
    return frames
