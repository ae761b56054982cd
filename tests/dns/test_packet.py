"""Messages: replies that dnslib reads back, silence for what must not be answered."""

from __future__ import annotations

import pytest
from dnslib import CLASS, EDNS0, QTYPE, RCODE, DNSHeader, DNSQuestion, DNSRecord
from hypothesis import given
from hypothesis import strategies as st

from ironwake_dns.answer import Answer, Code, answer
from ironwake_dns.forward import inbound, outbound
from ironwake_dns.packet import SilentError, parse, reply
from tests.dns.site import zone


def converse(message: DNSRecord) -> DNSRecord:
    query = parse(message.pack())
    ours = Answer(query.code, authoritative=False)
    if query.question is not None and query.code is Code.NOERROR:
        ours = answer(query.question, zone())
    return DNSRecord.parse(reply(query, ours, zone()))


def question(name: str = "node1.site.example", kind: str = "A") -> DNSRecord:
    return DNSRecord.question(name, kind)


def test_an_answer_reads_back() -> None:
    """Id, question and spelling come back; AA is set, RA is not; the address is there."""
    asked = question("NoDe1.SITE.example")
    found = converse(asked)
    assert found.header.id == asked.header.id
    assert (found.header.qr, found.header.aa, found.header.ra, found.header.rd) == (1, 1, 0, 1)
    assert str(found.q.qname) == "NoDe1.SITE.example."
    assert (str(found.a.rname), str(found.a.rdata)) == ("NoDe1.SITE.example.", "192.0.2.10")
    assert not found.ar, "no EDNS back to those who sent none"


@pytest.mark.parametrize(
    ("name", "kind", "code"),
    [("nobody.site.example", "A", "NXDOMAIN"), ("node1.site.example", "AAAA", "NOERROR")],
)
def test_a_negative_answer_has_the_soa(name: str, kind: str, code: str) -> None:
    """RFC 2308: the SOA in the authority section, its TTL and minimum for the resolver's cache."""
    found = converse(question(name, kind))
    assert RCODE[found.header.rcode] == code
    assert not found.rr
    (soa,) = found.auth
    assert (str(soa.rname), soa.rtype, soa.ttl) == ("site.example.", QTYPE.SOA, 5)
    assert soa.rdata.times == (7, 3600, 600, 86400, 5)


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [
        ("site.example", "NS", "ironwake.site.example."),
        ("10.2.0.192.in-addr.arpa", "PTR", "node1.site.example."),
    ],
)
def test_names_in_records(name: str, kind: str, text: str) -> None:
    """PTR and NS point to full names."""
    assert str(converse(question(name, kind)).a.rdata) == text


def test_any_is_minimal() -> None:
    """RFC 8482: one HINFO record, smaller than the question would like."""
    found = converse(question(kind="ANY"))
    (record,) = found.rr
    assert record.rtype == QTYPE.HINFO
    assert bytes(record.rdata.data) == b"\x07RFC8482\x00"


def test_edns_is_answered_and_bounded() -> None:
    """EDNS comes back with 1232 octets; a client's wish is held between 512 and that."""
    for wish, room in ((4096, 1232), (100, 512), (1000, 1000)):
        asked = question()
        asked.add_ar(EDNS0(udp_len=wish))
        assert parse(asked.pack()).room == room
        (opt,) = converse(asked).ar
        assert (opt.rtype, opt.rclass) == (QTYPE.OPT, 1232)


def test_another_edns_version_is_badvers() -> None:
    """RFC 6891 section 6.1.3: extended code 16, and no answer."""
    asked = question()
    asked.add_ar(EDNS0(version=1, udp_len=1232))
    found = converse(asked)
    assert (found.header.rcode, found.ar[0].ttl >> 24, found.rr) == (0, 1, [])


def test_a_response_is_never_answered() -> None:
    """QR=1 is silence, however good the rest is: two servers would answer each other for ever."""
    asked = question()
    asked.header.qr = 1
    with pytest.raises(SilentError):
        parse(asked.pack())


def test_other_opcodes_are_not_implemented() -> None:
    """NOTIFY, UPDATE and the rest get NOTIMP with their opcode."""
    for opcode in range(1, 16):
        asked = question()
        asked.header.set_opcode(opcode)
        found = DNSRecord.parse(reply(parse(asked.pack()), Answer(Code.NOTIMP), zone()))
        assert (found.header.rcode, found.header.opcode) == (Code.NOTIMP, opcode)


@pytest.mark.parametrize(
    "message",
    [
        DNSRecord(DNSHeader(q=0)).pack(),
        DNSRecord(DNSHeader(), questions=[DNSQuestion("a.b"), DNSQuestion("c.d")]).pack(),
        question().pack()[:-2],
        question().pack()[:12] + b"\xc0\x0c\0\1\0\1",
        question().pack()[:12] + b"\xc0\xff\0\1\0\1",
        question().pack()[:12] + b"\x3fshort\0\0\1\0\1",
        question().pack()[:4] + b"\0\1\xff\xff\xff\xff\xff\xff" + question().pack()[12:],
    ],
)
def test_nonsense_is_formerr(message: bytes) -> None:
    """No question, two, cut off, pointing at itself: a header with FORMERR, no more."""
    query = parse(message)
    assert query.code is Code.FORMERR
    assert len(reply(query, Answer(query.code), zone())) == 12


@given(st.binary(max_size=100))
def test_any_bytes(data: bytes) -> None:
    """No bytes raise anything but SilentError."""
    try:
        query = parse(data)
    except SilentError:
        return
    reply(query, Answer(query.code), None)


def _dice(bits: int) -> int:
    return (1 << bits) - 1


def test_a_forwarded_question_comes_home_in_its_own_terms() -> None:
    """The resolver sees another id and mixed case; the client sees its own, and no AA."""
    asked = question("deb.example.org")
    query = parse(asked.pack())
    sent = outbound(query, _dice)
    seen = DNSRecord.parse(sent.message)
    assert (seen.header.id, str(seen.q.qname)) == (0xFFFF, "DEB.EXAMPLE.ORG.")
    back = seen.reply()
    back.header.aa = 1
    home = inbound(sent, back.pack())
    assert home is not None
    found = DNSRecord.parse(home)
    assert (found.header.id, str(found.q.qname)) == (asked.header.id, "deb.example.org.")
    assert (found.header.aa, found.header.ra) == (0, 1)


def test_a_forged_reply_is_not_believed() -> None:
    """Wrong id, wrong spelling, another question, a query, rubbish: none is taken."""
    sent = outbound(parse(question("deb.example.org").pack()), _dice)
    good = DNSRecord.parse(sent.message).reply().pack()
    assert inbound(sent, good) is not None
    forged = [
        b"\0\0" + good[2:],
        good.replace(b"DEB", b"deb"),
        good.replace(b"DEB", b"BAD"),
        sent.message,
        good[:2] + b"\xa8" + good[3:],
        good[:4] + b"\0\2" + good[6:],
        good[:20],
        b"",
    ]
    assert all(inbound(sent, data) is None for data in forged)


def test_class_of_records_is_internet() -> None:
    """Every record of ours is of class IN."""
    assert CLASS[converse(question()).a.rclass] == "IN"
