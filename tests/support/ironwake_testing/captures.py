"""Reads UDP payloads out of the recorded captures of real firmware, with nothing but `struct`."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

CAPTURES = Path(__file__).parents[2] / "captures"
DHCP_PORTS = {67, 68, 4011}


@dataclass(frozen=True)
class Datagram:
    """One UDP datagram: where it stands in which file, and what is in it."""

    file: str
    frame: int
    source: str
    source_port: int
    target: str
    target_port: int
    payload: bytes

    @property
    def is_request(self) -> bool:
        """Whether a DHCP client sent it (BOOTREQUEST)."""
        return self.payload[0] == 1


def frames(path: Path) -> Iterator[bytes]:
    """The Ethernet frames of a classic little-endian pcap file."""
    data = path.read_bytes()
    magic, _, _, _, _, _, link = struct.unpack_from("<IHHiIII", data)
    assert (magic, link) == (0xA1B2C3D4, 1), path
    position = 24
    while position < len(data):
        _, _, kept, _ = struct.unpack_from("<IIII", data, position)
        yield data[position + 16 : position + 16 + kept]
        position += 16 + kept


def datagrams(path: Path, ports: Collection[int] = DHCP_PORTS) -> Iterator[Datagram]:
    """The datagrams of one capture to these ports, in order."""
    for number, frame in enumerate(frames(path)):
        if frame[12:14] != b"\x08\x00" or frame[23] != 17:
            continue
        start = 14 + (frame[14] & 15) * 4
        source_port, target_port, length, _ = struct.unpack_from("!HHHH", frame, start)
        if target_port in ports:
            yield Datagram(
                path.name,
                number,
                ".".join(str(octet) for octet in frame[26:30]),
                source_port,
                ".".join(str(octet) for octet in frame[30:34]),
                target_port,
                frame[start + 8 : start + length],
            )


def everything(ports: Collection[int] = DHCP_PORTS) -> list[Datagram]:
    """Every datagram of every capture to these ports."""
    return [item for path in sorted(CAPTURES.glob("*.pcap")) for item in datagrams(path, ports)]


def requests() -> list[Datagram]:
    """Every DHCP request that a client sent."""
    return [item for item in everything() if item.is_request]
