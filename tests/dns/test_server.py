"""The service on loopback: UDP, TCP, a resolver behind it, and a mirror that won't loop."""

from __future__ import annotations

import asyncio

import pytest
from dnslib import RCODE, RR, A, DNSRecord

from ironwake.errors import InputError
from ironwake_dns.__main__ import resolver as read_resolver
from ironwake_dns.server import Limits
from tests.dns.rig import PATIENCE, ask, client, hear, play, resolving, serving
from tests.dns.site import zone


def test_dnslib_asks_over_udp_and_tcp() -> None:
    """dnslib's own client gets the same answer both ways."""

    async def scene() -> None:
        async with serving() as server:
            for tcp in (False, True):
                asked = DNSRecord.question("node1.site.example")
                data = await asyncio.to_thread(
                    asked.send, "127.0.0.1", server.port, tcp=tcp, timeout=PATIENCE
                )
                assert str(DNSRecord.parse(data).a.rdata) == "127.0.0.10"

    play(scene)


def test_repeated_questions_come_from_the_cache() -> None:
    """The second answer is the first one with the new id, until there is a new view."""

    async def scene() -> None:
        async with serving() as server:
            first = await ask(server, "node1.site.example")
            again = await ask(server, "node1.site.example")
            assert server.counters["cached"] == 1
            assert first.a == again.a

    play(scene)


def test_before_the_first_view_the_answer_is_servfail() -> None:
    """Nothing is known yet: that is neither NXDOMAIN nor silence."""

    async def scene() -> None:
        async with serving(known=None) as server:
            found = await ask(server, "node1.site.example")
            assert RCODE[found.header.rcode] == "SERVFAIL"

    play(scene)


def test_without_a_resolver_other_names_are_refused() -> None:
    """The default: no recursion for anybody."""

    async def scene() -> None:
        async with serving() as server:
            found = await ask(server, "deb.example.org")
            assert (RCODE[found.header.rcode], found.header.ra) == ("REFUSED", 0)

    play(scene)


def test_two_servers_do_not_talk_to_each_other() -> None:
    """One packet with the other's address as its source draws one reply and no more."""

    async def scene() -> None:
        async with serving() as one, serving() as two:
            # What `two` would send in answer to a forged question, delivered to `one` and back.
            with client() as sock:
                sock.sendto(DNSRecord.question("x.org").pack(), ("127.0.0.1", two.port))
                answer, _ = await hear(sock)
                for server in (one, two):
                    sock.sendto(answer, ("127.0.0.1", server.port))
                    sock.sendto(
                        DNSRecord.question("site.example").pack(), ("127.0.0.1", server.port)
                    )
                    data, _ = await hear(sock)
                    assert str(DNSRecord.parse(data).q.qname) == "site.example."
                    assert server.counters["silent"] == 1

    play(scene)


def test_tcp_takes_many_questions_and_slow_clients_are_dropped() -> None:
    """Pipelined questions are answered in order; half a question costs a bounded time."""

    async def scene() -> None:
        async with serving(limits=Limits(questions=3)) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            for name in ("node1.site.example", "node2.site.example", "node3.site.example"):
                message = DNSRecord.question(name).pack()
                writer.write(len(message).to_bytes(2, "big") + message)
            codes = []
            for _ in range(3):
                size = int.from_bytes(await reader.readexactly(2), "big")
                codes.append(DNSRecord.parse(await reader.readexactly(size)).header.rcode)
            assert [RCODE[code] for code in codes] == ["NOERROR", "NOERROR", "NXDOMAIN"]
            assert await reader.read() == b"", "and then the connection is closed"
            writer.close()
        async with serving(limits=Limits(patience=0.05)) as server:
            for start in (b"\0", b"\0\x20half", b"\xff\xff", b"\0\0"):
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                writer.write(start)
                assert await asyncio.wait_for(reader.read(), PATIENCE) == b""
                writer.close()
            assert server.counters["failed"] == 0

    play(scene)


def test_tcp_connections_are_capped() -> None:
    """A source that holds all its connections is closed at the next; when it lets go, served."""

    async def scene() -> None:
        async with serving(limits=Limits(per_source=2)) as server:
            held = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(2)]
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            assert await asyncio.wait_for(reader.read(), PATIENCE) == b""
            for _, other in [*held, (reader, writer)]:
                other.close()
            for other_reader, _ in held:
                await asyncio.wait_for(other_reader.read(), PATIENCE)
            assert server.counters["connections refused"] == 1

    play(scene)


def one_address(asked: DNSRecord) -> list[DNSRecord]:
    """The only answer that the resolver knows."""
    good = asked.reply()
    good.add_answer(RR(asked.q.qname, rdata=A("198.51.100.7")))
    return [good]


def forgery_first(asked: DNSRecord) -> list[DNSRecord]:
    """A reply with a wrong id comes before it."""
    bad = asked.reply()
    bad.header.id = asked.header.id ^ 1
    bad.add_answer(RR(asked.q.qname, rdata=A("203.0.113.66")))
    return [bad, *one_address(asked)]


def test_forwarding_answers_other_names_and_believes_no_forgery() -> None:
    """With a resolver set others' names are answered, forged replies are passed over."""

    async def scene() -> None:
        async with resolving(forgery_first) as upstream, serving(resolver=upstream) as server:
            found = await ask(server, "deb.example.org")
            assert (str(found.a.rdata), found.header.ra) == ("198.51.100.7", 1)
            assert str(found.q.qname) == "deb.example.org."
            assert server.counters["forged"] == 1
            own = await ask(server, "nobody.site.example")
            assert RCODE[own.header.rcode] == "NXDOMAIN"
            assert server.counters["forwarded"] == 1
            asked = DNSRecord.question("deb.example.org")
            data = await asyncio.to_thread(
                asked.send, "127.0.0.1", server.port, tcp=True, timeout=PATIENCE
            )
            assert str(DNSRecord.parse(data).a.rdata) == "198.51.100.7"

    play(scene)


def test_forwarding_is_for_our_network_only() -> None:
    """A stranger from another network is refused: this is no open resolver."""

    async def scene() -> None:
        elsewhere = zone("192.0.2.1", 24)
        async with (
            resolving(one_address) as upstream,
            serving(known=elsewhere, resolver=upstream) as server,
        ):
            found = await ask(server, "deb.example.org")
            assert RCODE[found.header.rcode] == "REFUSED"

    play(scene)


def test_what_a_stranger_is_refused_is_not_kept_for_our_clients() -> None:
    """Who may not have a name looked up cannot have it refused to those who may."""

    async def scene() -> None:
        ours = zone("127.1.0.1", 16)
        async with (
            resolving(one_address) as upstream,
            serving(known=ours, resolver=upstream) as server,
        ):
            for source, code in (("127.0.0.1", RCODE.REFUSED), ("127.1.0.9", RCODE.NOERROR)):
                found = await ask(server, "www.example.com", source=source)
                assert found.header.rcode == code

    play(scene)


def test_a_silent_resolver_is_servfail() -> None:
    """When the resolver does not answer, the client hears so."""

    async def scene() -> None:
        with client() as dead:
            limits = Limits(resolver=0.02)
            async with serving(resolver=dead.getsockname(), limits=limits) as server:
                found = await ask(server, "deb.example.org")
                assert RCODE[found.header.rcode] == "SERVFAIL"

    play(scene)


def test_the_resolver_setting() -> None:
    """An address, with or without a port; anything else is named."""
    assert read_resolver("") is None
    assert read_resolver("198.51.100.1") == ("198.51.100.1", 53)
    assert read_resolver("198.51.100.1:5353") == ("198.51.100.1", 5353)
    for wrong in ("dns.example", "1.2.3.4:0", "1.2.3.4:99999", "::1"):
        with pytest.raises(InputError, match="not a resolver"):
            read_resolver(wrong)
