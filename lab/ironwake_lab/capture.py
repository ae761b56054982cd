"""All frames on a rack's bridge while a `with` block runs: in memory, and as a pcap file."""

from __future__ import annotations

import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ironwake.errors import BrokenError
from ironwake.mac import Mac
from ironwake_lab.wire import open_tap, timestamp

# The pcap file format with nanoseconds (draft-ietf-opsawg-pcap), link type 1: Ethernet.
_PCAP_HEADER = struct.pack("=IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 0x40000, 1)
_FRAME_BYTES = 0x40000
_ROOM_FOR_TIME = socket.CMSG_SPACE(16)
_TCP_HEADERS = 128
_ETHERTYPE_IPV4 = 0x0800
_UDP = b"\x11"


@dataclass(frozen=True)
class Frame:
    """One frame: Ethernet header first, no checksum; `length` is that on the wire, in bytes.

    The bytes may be fewer: TCP is cut short unless asked for. `time` is the kernel's, in seconds
    since 1970.
    """

    time: float
    data: bytes
    length: int

    @property
    def destination(self) -> bytes:
        return self.data[0:6]

    @property
    def source(self) -> bytes:
        return self.data[6:12]

    @property
    def ethertype(self) -> int:
        return int.from_bytes(self.data[12:14], "big")

    @property
    def udp_ports(self) -> tuple[int, int] | None:
        """Source and destination port of UDP over IPv4; None for everything else."""
        if self.ethertype != _ETHERTYPE_IPV4 or self.data[23:24] != _UDP:
            return None
        start = 14 + (self.data[14] & 0xF) * 4
        ports = self.data[start : start + 4]
        return int.from_bytes(ports[:2], "big"), int.from_bytes(ports[2:], "big")


class Capture:
    """Frames in order of arrival; a context manager, and a sequence while and after it runs.

    Offloading shows: TCP segments may be longer than the wire allows, checksums of packets from
    this host may be unfinished.
    """

    def __init__(self, namespace: str, pcap: Path) -> None:
        self.pcap = pcap
        self._namespace = namespace
        self._frames: list[Frame] = []
        self._arrived = threading.Condition()
        self._stop_read, self._stop_write = -1, -1
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Capture:
        tap = open_tap(self._namespace, _TCP_HEADERS)
        self._stop_read, self._stop_write = os.pipe2(os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._run, args=(tap,), name="capture", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._stop_write)
        if self._thread:
            self._thread.join()
        os.close(self._stop_read)

    def _run(self, tap: socket.socket) -> None:
        with tap, self.pcap.open("wb", buffering=0) as file:
            file.write(_PCAP_HEADER)
            stopping = False
            while not stopping:
                # All that had arrived when the stop came is still taken: asked first, drained then.
                ready = select.select([tap.fileno(), self._stop_read], [], [])[0]
                stopping = self._stop_read in ready
                self._drain(tap, file.write)

    def _drain(self, tap: socket.socket, write: Callable[[bytes], object]) -> None:
        fresh = []
        while (frame := _receive(tap)) is not None:
            fresh.append(frame)
            seconds, fraction = divmod(frame.time, 1)
            sizes = (int(seconds), int(fraction * 1e9), len(frame.data), frame.length)
            write(struct.pack("=IIII", *sizes) + frame.data)
        with self._arrived:
            self._frames += fresh
            self._arrived.notify_all()

    @property
    def all(self) -> list[Frame]:
        """A copy of what came so far."""
        with self._arrived:
            return list(self._frames)

    def __iter__(self) -> Iterator[Frame]:
        return iter(self.all)

    def __len__(self) -> int:
        return len(self.all)

    def __getitem__(self, index: int) -> Frame:
        return self.all[index]

    def sent_by(self, mac: str) -> list[Frame]:
        """Frames whose source is this MAC, in any notation."""
        source = Mac(mac).packed
        return [frame for frame in self.all if frame.source == source]

    def to_mac(self, mac: str) -> list[Frame]:
        """Frames to exactly this MAC (broadcasts not counted)."""
        destination = Mac(mac).packed
        return [frame for frame in self.all if frame.destination == destination]

    def wait_for(self, wanted: Callable[[Frame], bool], timeout: float) -> Frame:
        """The first frame that is wanted, waited for up to `timeout` seconds; BrokenError else."""
        deadline = time.monotonic() + timeout
        seen = 0
        with self._arrived:
            while True:
                for frame in self._frames[seen:]:
                    if wanted(frame):
                        return frame
                seen = len(self._frames)
                if not self._arrived.wait(deadline - time.monotonic()):
                    raise BrokenError(
                        f"no such frame within {timeout:g} s, among {seen} that passed",
                        where=str(self.pcap),
                    )


def _receive(tap: socket.socket) -> Frame | None:
    try:
        # MSG_TRUNC makes recv tell the filtered length; the frame's own is not to be had there.
        data, ancillary, _, _ = tap.recvmsg(_FRAME_BYTES, _ROOM_FOR_TIME)
    except OSError:  # nothing there; or the bridge has just gone, and nothing will come
        return None
    return Frame(timestamp(ancillary), data, max(len(data), _ip_length(data)))


def _ip_length(data: bytes) -> int:
    # What the filter cut off is still told by IPv4's total length.
    is_ip = data[12:14] == b"\x08\x00" and len(data) >= 18
    return 14 + int.from_bytes(data[16:18], "big") if is_ip else 0
