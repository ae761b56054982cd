"""The DHCP target: the whole service but its sockets, and a judge that reads for itself.

The judge's reader shares nothing with the service's: it asks of each datagram what alone could earn
an answer, and of each answer what it may hold.
"""

from __future__ import annotations

import zlib
from collections import Counter
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from ironwake.ipv4 import Network, Range
from ironwake.mac import Mac
from ironwake.report import Seen
from ironwake.subnet import Subnet
from ironwake.view import Entry, Index
from ironwake_dhcp.delivery import Datagram, Source
from ironwake_dhcp.exchange import Exchange, Lending, Outgoing
from ironwake_dhcp.lend import Lender
from ironwake_dhcp.offer import Door
from ironwake_dhcp.packet import REASONS, Malformed
from ironwake_testing.captures import requests
from tests.dhcp import rack
from tests.fuzz.mutate import Soil

OURS = IPv4Address(rack.ADDRESS)
HERE = IPv4Address("10.77.0.163")
DOORS = (
    Source(IPv4Address(0), 68, Door.SERVER),
    Source(HERE, 68, Door.SERVER, to_all=False),
    Source(HERE, 4011, Door.BOOT, to_all=False),
)
_ENDS = (("10.77.0.100", "10.77.0.130"), ("10.78.0.100", "10.78.0.130"))
SUBNETS = tuple(
    Subnet(Network(f"{first.rpartition('.')[0]}.0/24"), (Range(f"{first}-{last}"),))
    for first, last in _ENDS
)
_MAGIC = bytes.fromhex("63825363")
_OFFERED_TO = {Door.SERVER: (1, 3), Door.BOOT: (1, 3, 8)}  # message types
_TERMS = {1, 3, 6, 51}  # what only a server that gives addresses may say

RECORDED = [item.payload for item in requests()]
_RELAY = bytes((10, 78, 0, 1))
_CHOSEN = (b"\x52\x06\x05\x04\x0a\x4e\0\0", b"\x76\x04\x0a\x4e\0\0")  # the link, the subnet


def _relayed(data: bytes, option: bytes) -> bytes:
    """The same over a relay, which says for which network."""
    return data[:24] + _RELAY + data[28:240] + option + data[240:]


SOIL = Soil(
    [*RECORDED, *(_relayed(data, option) for data in RECORDED[::9] for option in _CHOSEN)],
    [
        *(bytes((53, 1, kind)) for kind in range(10)),
        *(bytes((52, 1, kind)) for kind in range(5)),
        *(bytes((code, 0)) for code in (12, 43, 50, 53, 54, 55, 57, 60, 61, 77, 82, 93, 94, 97)),
        b"\x3d\xff" + bytes(255),
        b"\x61\x11\0" + bytes(16),
        b"\x61\xff" + b"\1" * 255,
        b"\x52\xff" + b"\1\xfd" + bytes(253),
        b"\x52\x06\x05\x04\x0a\x4d\0\0",
        b"\x76\x04\x0a\x4e\0\0",
        b"\x32\x04\x0a\x4d\0\x64",
        b"\x36\x04" + OURS.packed,
        b"\x36\x04\x0a\x4d\0\xfe",
        b"\x3c\x09PXEClient",
        b"\x3c\x03PXE\x3c\x06Client",
        b"\x4d\x04iPXE",
        b"\xaf\x03\x13\x01\x01",
        b"\x5d\x02\0\x07",
        b"\x39\x02\0\0",
        b"\xff",
        b"\0" * 64,
    ],
    header=240,
    hot=(0, 1, 2, 3, 10, *range(12, 16), *range(24, 34), 44, 108, 236),
)
_CARDS = sorted({data[28:34] for data in RECORDED})
ARMED = frozenset(_CARDS[::3])
AT_REST = frozenset(_CARDS[1::3])  # enrolled, and nothing is to be done; the others are strangers


def index() -> Index:
    """Of the recorded machines one in three is armed, one is enrolled, and one is nobody's."""
    armed: list[Entry] = [rack.entry(Mac.from_bytes(card)) for card in sorted(ARMED)]
    resting = [rack.entry(Mac.from_bytes(card), None) for card in sorted(AT_REST)]
    return rack.index(*armed, *resting)


def read(data: bytes) -> dict[int, bytes] | None:
    """All options by RFC 2131 and 3396, or None where no good client would have sent this."""
    if not 240 <= len(data) <= 1472 or data[236:240] != _MAGIC:
        return None
    found: dict[int, bytes] = {}
    areas = [data[240:]]
    sound = _gather(areas[0], found)
    shared = found.get(52, b"\0")
    if 52 in found and (len(shared) != 1 or shared[0] not in (1, 2, 3)):
        return None
    for bit, start, end in ((1, 108, 236), (2, 44, 108)):
        if sound and shared[0] & bit:
            sound = _gather(data[start:end], found)
    return found if sound and found.get(52, b"\0") == shared else None


def _gather(area: bytes, found: dict[int, bytes]) -> bool:
    """Whether every option of the area ends within it."""
    while area and area[0] != 255:
        if area[0] == 0:
            area = area[1:]
            continue
        if len(area) < 2 or len(area) < 2 + area[1]:
            return False
        found[area[0]] = found.get(area[0], b"") + area[2 : 2 + area[1]]
        area = area[2 + area[1] :]
    return True


@dataclass
class Judged:
    """An exchange, in proxy mode or lending addresses; `test` a datagram at one of its doors."""

    lends: bool = False
    now: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        lending = None
        if self.lends:
            lending = Lending(Lender(OURS, SUBNETS, "site.example"), lambda _: None)
        self.exchange = Exchange(self._told, lending)
        self.exchange.take(index())

    def test(self, data: bytes, door: int | None = None) -> None:
        """Anything but `Malformed` is raised on, and so is an answer that should not be."""
        source = DOORS[zlib.crc32(data) % len(DOORS) if door is None else door]
        self.now += 0.01 if len(data) % 2 else 6.0  # repeats, and what is news again
        try:
            outgoing = self.exchange.receive(data, source, self.now)
        except Malformed as error:
            assert error.reason in REASONS  # noqa: PT017 - not raising is as good
            self.counts["malformed"] += 1
            return
        if outgoing is None:
            self.counts["silent"] += 1
            return
        self.counts["answered"] += 1
        asked = read(data)
        assert asked is not None, "what cannot be read was answered"
        self._earned(data, asked, source.door)
        self._sound(outgoing, data, asked)
        self._way(outgoing, data, source)

    def _told(
        self, seen: Seen, mac: str = "", client: str = "", detail: dict[str, str] | None = None
    ) -> None:
        """What is reported of a client is short, and safe to show."""
        self.counts["told"] += 1
        for text in (seen, mac, client, *(detail or {}), *(detail or {}).values()):
            assert text.isprintable()
            assert len(text) < 300

    def _earned(self, data: bytes, asked: dict[int, bytes], door: Door) -> None:
        """Whether this client may hear anything at all."""
        assert data[:3] == b"\1\1\6", "a reply, or hardware that is no Ethernet"
        kind = asked[53]
        assert len(kind) == 1
        if self.lends and door is Door.SERVER:
            assert kind[0] in (1, 3, 8)
            return
        assert kind[0] in _OFFERED_TO[door]
        assert data[28:34] in ARMED, "a machine that shall not boot was answered"
        assert asked.get(60, b"").startswith((b"PXEClient", b"HTTPClient"))
        if door is Door.SERVER and kind[0] == 3:
            assert asked.get(54) == OURS.packed, "another server was asked"

    def _sound(self, outgoing: Outgoing, data: bytes, asked: dict[int, bytes]) -> None:
        """What every answer must be, and what a proxy's must not hold."""
        answer = outgoing.payload
        said = read(answer)
        assert said is not None
        assert len(answer) >= 300
        assert (answer[0], answer[4:8], answer[28:34]) == (2, data[4:8], data[28:34])
        assert (said[53][0] in (2, 5, 6), said[54]) == (True, OURS.packed)
        assert said.get(97, b"") in (b"", asked.get(97))
        given = IPv4Address(answer[16:20])
        if not self.lends:
            assert not int(given)
            assert not _TERMS & said.keys()
        elif int(given):
            assert any(int(given) in pool for pool in _POOLS), given

    def _way(self, outgoing: Outgoing, data: bytes, source: Source) -> None:
        """An answer goes to the card that asked, to everyone on its link, or back where it came
        from; a relay's word is taken for its own address only."""
        way = outgoing.way
        if isinstance(way, Datagram):
            relay = IPv4Address(data[24:28])
            assert way.address in (source.address, relay)
            if self.lends and way.address == relay != source.address:
                assert any(relay in pool for pool in _NETWORKS), "sent wherever a relay says"
        else:
            assert way.mac in (data[28:34], b"\xff" * 6)
            assert len(outgoing.payload) <= 1472, "more than a frame holds"


_NETWORKS = [subnet.network.ip for subnet in SUBNETS]
_POOLS = [range(int(IPv4Address(a)), int(IPv4Address(b)) + 1) for a, b in _ENDS]


def at_every_door(data: bytes) -> None:
    """The same datagram at each door of a proxy and of a server, which know of no other one."""
    for lends in (False, True):
        for door in range(len(DOORS)):
            Judged(lends).test(data, door)
