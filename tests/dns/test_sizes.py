"""No answer over UDP is larger than its client can take (RFC 1035 section 4.2.1, RFC 6891)."""

from __future__ import annotations

import asyncio

import pytest
from dnslib import EDNS0, QTYPE, RR, A, DNSRecord

from ironwake_dns.server import Server
from tests.dns.rig import PATIENCE, client, hear, play, resolving, serving

_RECORDS = {"few.example.org": 2, "some.example.org": 40, "many.example.org": 200}
_NAMES = (*_RECORDS, "node1.site.example", "x" * 63 + ".site.example", "site.example")


def of_any_size(asked: DNSRecord) -> list[DNSRecord]:
    """From a resolver that cares for no size: up to 3,200 octets."""
    answer = asked.reply()
    for number in range(_RECORDS[str(asked.q.qname).rstrip(".").lower()]):
        answer.add_answer(RR(asked.q.qname, rdata=A(f"198.51.100.{number}")))
    return [answer]


async def by_udp(server: Server, asked: DNSRecord) -> bytes:
    with client() as sock:
        sock.sendto(asked.pack(), ("127.0.0.1", server.port))
        data, _ = await hear(sock)
        return data


@pytest.mark.parametrize("size", [None, 0, 1, 100, 511, 512, 513, 1000, 1232, 1233, 4096, 65535])
def test_an_answer_fits_what_was_advertised(size: int | None) -> None:
    """512 octets without EDNS, and never less with it; what does not fit is marked and has no
    records, and comes whole over TCP."""
    room = 512 if size is None else min(max(size, 512), 1232)

    async def scene() -> None:
        async with resolving(of_any_size) as upstream, serving(resolver=upstream) as server:
            for name in _NAMES:
                asked = DNSRecord.question(name)
                if size is not None:
                    asked.add_ar(EDNS0(udp_len=size))
                data = await by_udp(server, asked)
                found = DNSRecord.parse(data)
                assert len(data) <= room
                wanted = _RECORDS.get(name)
                if wanted is None or 12 + len(name) + 6 + wanted * 16 <= room:
                    assert not found.header.tc
                    assert wanted is None or len(found.rr) == wanted
                else:
                    assert (found.header.tc, found.rr) == (1, [])
                    assert bool([one for one in found.ar if one.rtype == QTYPE.OPT]) == (
                        size is not None
                    ), "who speaks EDNS is answered in it (RFC 6891 section 6.1.1)"
                    whole = await asyncio.to_thread(
                        asked.send, "127.0.0.1", server.port, tcp=True, timeout=PATIENCE
                    )
                    assert len(DNSRecord.parse(whole).rr) == wanted
            assert server.counters["failed"] == 0

    play(scene)


def test_nothing_is_gained_by_asking_in_anothers_name() -> None:
    """Of all questions about our zones, no answer is much longer than what was asked: an answer has
    a record or two, ANY one of 9 octets."""

    async def scene() -> None:
        async with serving() as server:
            for name in (*_NAMES[3:], "10.0.0.127.in-addr.arpa", "127.in-addr.arpa"):
                for kind in ("A", "ANY", "SOA", "NS", "PTR", "TXT", "AXFR", "DNSKEY"):
                    asked = DNSRecord.question(name, kind)
                    asked.add_ar(EDNS0(udp_len=4096, flags="do"))
                    data = await by_udp(server, asked)
                    assert len(data) <= len(asked.pack()) + 90
                    if kind == "ANY":
                        assert len(data) <= len(asked.pack()) + 70

    play(scene)
