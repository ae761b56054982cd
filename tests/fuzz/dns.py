"""The DNS target: the service on loopback, and a judge that looks at its datagrams.

Each mutant goes out under a number of its own, and behind each batch a question that is answered:
what has come back by then is all that will.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Iterable
from itertools import islice

from dnslib import EDNS0, QTYPE, RCODE, DNSHeader, DNSQuestion, DNSRecord

from ironwake_dns.server import Address, Server
from tests.dns.rig import PATIENCE, client
from tests.fuzz.mutate import Soil

_BATCH = 50
_LARGEST, _PLAIN = 1232, 512  # DNS flag day 2020; RFC 1035 section 4.2.1
_OPT = b"\0\0\x29"  # the root's name and the type: no OPT record without these octets
_MARK = 0xFFFF
_NO_NUMBER = (b"", b"\0")  # too short to have one; 0 is no other's
_HEADER = 12
_TRUNCATED = 0x02


def _question(name: str, kind: str = "A") -> DNSRecord:
    return DNSRecord.question(name, kind)


def _with_edns(size: int, flags: str = "") -> bytes:
    asked = _question("node1.site.example")
    asked.add_ar(EDNS0(udp_len=size, flags=flags))
    return bytes(asked.pack())


SOIL = Soil(
    [
        *(bytes(_question("NoDe1.site.example", kind).pack()) for kind in ("A", "ANY", "AXFR")),
        bytes(_question("10.0.0.127.in-addr.arpa", "PTR").pack()),
        bytes(_question("site.example", "SOA").pack()),
        bytes(_question("x" * 63 + ".nobody.site.example").pack()),
        bytes(_question("www.example.com", "AAAA").pack()),
        *(_with_edns(size) for size in (0, 512, 1232, 65535)),
        _with_edns(4096, "do"),
    ],
    [
        b"\xc0\x0c",
        b"\xc0\xff",
        b"\x3f" + b"a" * 63,
        b"\4site\7example\0",
        b"\x0210\x010\x010\x03127\x07in-addr\4arpa\0",
        b"\0\x01\0\x01",
        b"\0\xff\0\x01",
        b"\0\0\x29\x04\xd0\0\0\0\0\0\0",
        b"\0\0\x29\xff\xff\0\1\0\0\0\4\0\x0a\xff\xff",
        b"\0\0\xfa\0\xff" + bytes(10),
    ],
    header=_HEADER,
    hot=range(2, _HEADER),
)
RESPONSE = bytes(DNSRecord(DNSHeader(qr=1, aa=1), questions=[DNSQuestion("site.example")]).pack())


async def judge_all(server: Server, datagrams: Iterable[bytes]) -> Counter[str]:
    """Ask all of them; how many were answered with which code, or with silence."""
    counts: Counter[str] = Counter()
    rest = iter(datagrams)
    with client() as sock:
        while batch := list(islice(rest, _BATCH)):
            asked = [n.to_bytes(2, "big") + data[2:] for n, data in enumerate(batch, 1)]
            replies = await _exchange(server, sock, [*_NO_NUMBER, *asked])
            strange = [one for one in replies if one[:2] not in {data[:2] for data in asked}]
            assert not strange, "an answer to nobody's number"
            for number, data in enumerate(asked):
                answers = [one for one in replies if one[:2] == data[:2]]
                try:
                    _judge(data, answers, counts)
                except Exception as error:
                    error.add_note(f"tests/fuzz/regressions/dns.txt: {batch[number].hex()}")
                    raise
    return counts


async def _exchange(server: Server, sock: socket.socket, asked: list[bytes]) -> list[bytes]:
    """Everything that comes back, but the answer to the question behind them."""
    loop = asyncio.get_running_loop()
    to: Address = ("127.0.0.1", server.port)
    mark = _question("ironwake.site.example")
    mark.header.id = _MARK
    for data in (*asked, bytes(mark.pack())):
        sock.sendto(data, to)
    found: list[bytes] = []
    while True:
        data, _ = await asyncio.wait_for(loop.sock_recvfrom(sock, 65535), PATIENCE)
        if data[:2] == _MARK.to_bytes(2, "big"):
            return found
        found.append(data)


def _judge(data: bytes, answers: list[bytes], counts: Counter[str]) -> None:
    if len(data) < _HEADER or data[2] & 0x80:
        assert not answers, "a response, or no DNS at all, was answered"
        counts["silent"] += 1
        return
    (answer,) = answers
    assert answer[2] & 0xF9 == 0x80 | data[2] & 0x79, "QR, the opcode and RD as they were asked"
    assert len(answer) <= _room(data)
    read = DNSRecord.parse(answer)
    assert not read.header.ra, "no recursion"
    if answer[2] & _TRUNCATED:
        assert answer[6:12] == bytes(6), "what is cut short has no records"
    if read.rr:
        assert len(read.rr) <= 2, "the most are the SOA and NS of a zone"
        assert str(read.q.qname).lower().endswith((".site.example.", "site.example.", ".arpa."))
    if read.rr and read.q.qtype == QTYPE.ANY:
        (record,) = read.rr
        assert (record.rtype, len(record.rdata.data)) == (QTYPE.HINFO, 9)
    counts[RCODE[read.header.rcode]] += 1


def _room(data: bytes) -> int:
    """Octets that an answer may have (RFC 6891 section 6.2.3)."""
    if _OPT not in data[_HEADER:]:
        return _PLAIN
    try:
        sizes = [
            int(record.rclass) for record in DNSRecord.parse(data).ar if record.rtype == QTYPE.OPT
        ]
    except Exception:  # noqa: BLE001 - a codec that gives up tells nothing; the least will do
        return _PLAIN
    return min(max(_PLAIN, *sizes, 0), _LARGEST)
