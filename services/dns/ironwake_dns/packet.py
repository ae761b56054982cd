"""DNS messages, by dnslib's codec: bytes to a `Query`, an `Answer` to bytes (RFC 1035, 6891).

dnslib parses; its server is not used, for it answers answers. What is not to be answered at all is
a `SilentError`: a message that is a response already (QR=1) above all, because two servers that
answer each other never stop.
"""

from __future__ import annotations

from dataclasses import dataclass

from dnslib import (
    EDNS0,
    NS,
    PTR,
    QTYPE,
    RD,
    RR,
    SOA,
    A,
    DNSHeader,
    DNSLabel,
    DNSQuestion,
    DNSRecord,
)

from ironwake_dns.answer import (
    NEGATIVE_TTL,
    TTL,
    Answer,
    Code,
    Labels,
    Question,
    Record,
    Type,
    Zone,
)

HEADER = 12  # octets
PLAIN = 512  # octets of a UDP reply to a client without EDNS (RFC 1035 section 4.2.1)
LARGEST = 1232  # octets of a UDP reply at most: never fragmented (DNS flag day 2020)
_OPCODE = 0x7800
# The root, the type, our size, and no flags, no options.
_OPT = b"\0\0\x29" + LARGEST.to_bytes(2, "big") + bytes(6)
_SUPPORTED_EDNS = 0


class SilentError(ValueError):
    """Remote fault that draws no reply: not DNS, or an answer."""


@dataclass(frozen=True, slots=True)
class Query:
    """One question. `code` is not NOERROR when the message is refused as such.

    `room`: octets that the reply may have over UDP. `end`: where the question section ends.
    """

    raw: bytes
    id: int
    question: Question | None
    code: Code
    room: int
    edns: bool
    end: int
    asked: DNSQuestion | None = None  # as it was spelled


def parse(data: bytes) -> Query:
    """Read a query. Raises SilentError, and nothing else, for what must not be answered."""
    if len(data) < HEADER:
        raise SilentError(f"a message of {len(data)} octets is too short")
    number, flags = int.from_bytes(data[:2], "big"), int.from_bytes(data[2:4], "big")
    if flags & 0x8000:
        raise SilentError("the message is a response")
    if flags & _OPCODE:
        return Query(data, number, None, Code.NOTIMP, PLAIN, False, HEADER)
    try:
        message = DNSRecord.parse(data)
        # One pass over the options, too: dnslib takes them apart late.
        opts = [record for record in message.ar if record.rtype == QTYPE.OPT]
    except Exception:  # noqa: BLE001 (a fence: a codec's bug must not become ours)
        return Query(data, number, None, Code.FORMERR, PLAIN, False, HEADER)
    if len(message.questions) != 1 or message.rr or len(opts) > 1:
        return Query(data, number, None, Code.FORMERR, PLAIN, False, HEADER)
    asked = message.questions[0]
    room = min(max(opts[0].rclass, PLAIN), LARGEST) if opts else PLAIN
    version = opts[0].ttl >> 16 & 0xFF if opts else _SUPPORTED_EDNS
    code = Code.NOERROR if version == _SUPPORTED_EDNS else Code.BADVERS
    question = Question(_labels(asked.qname), asked.qtype, asked.qclass == 1)
    end = _question_end(data)
    if end is None:
        return Query(data, number, None, Code.FORMERR, PLAIN, False, HEADER)
    return Query(data, number, question, code, room, bool(opts), end, asked)


def reply(query: Query, answer: Answer, zone: Zone | None, *, recursion: bool = False) -> bytes:
    """The reply's bytes. The question goes back octet for octet: its spelling is a resolver's
    guard against forgery (0x20), and the records take that spelling by compression."""
    asked_recursion = query.raw[2] & 1
    header = DNSHeader(
        id=query.id,
        qr=1,
        opcode=(query.raw[2] >> 3) & 0xF,
        aa=int(answer.authoritative and zone is not None),
        rd=asked_recursion,
        ra=int(recursion),
        rcode=answer.code & 0xF,
    )
    message = DNSRecord(header)
    if query.asked is not None:
        message.add_question(query.asked)
    for record in answer.records:
        message.add_answer(_record(record, query, zone))
    if answer.soa is not None and zone is not None:
        message.add_auth(_soa(DNSLabel(_text(answer.soa)), zone))
    if query.edns:
        message.add_ar(EDNS0(udp_len=LARGEST, ext_rcode=answer.code >> 4))
    return bytes(message.pack())


def truncated(data: bytes, query: Query) -> bytes:
    """`data`, a reply, cut to its question and marked TC: the client comes back over TCP."""
    head = bytearray(data[: query.end])
    head[2] |= 0x02
    head[6:12] = bytes(6)
    return with_edns(bytes(head), query)


def with_edns(data: bytes, query: Query) -> bytes:
    """`data`, a reply without OPT, with one for who has sent one (RFC 6891 section 6.1.1)."""
    if not query.edns:
        return data
    more = int.from_bytes(data[10:12], "big") + 1 & 0xFFFF  # a resolver may write anything there
    return data[:10] + more.to_bytes(2, "big") + data[12:] + _OPT


def _labels(name: DNSLabel) -> Labels:
    # Lower case by ASCII rules only (RFC 4343); latin-1 so that any octet has a character.
    return tuple(label.lower().decode("latin-1") for label in name.label)


def _text(name: Labels) -> str:
    return ".".join(name)


def _question_end(data: bytes) -> int | None:
    """Where the question section ends; None for a compressed name there (nobody sends one)."""
    at = HEADER
    while at < len(data) and data[at]:
        if data[at] & 0xC0:
            return None
        at += 1 + data[at]
    end = at + 5
    return end if end <= len(data) else None


def _record(record: Record, query: Query, zone: Zone | None) -> RR:
    owner = query.asked.qname if query.asked is not None else DNSLabel(_text(record.name))
    if record.type is Type.SOA and zone is not None:
        return _soa(owner, zone)
    data = {
        Type.A: lambda: A(str(record.data)),
        Type.NS: lambda: NS(_target(record)),
        Type.PTR: lambda: PTR(_target(record)),
        Type.HINFO: lambda: RD(b"\x07RFC8482\x00"),
    }[record.type]()
    return RR(owner, int(record.type), ttl=TTL, rdata=data)


def _target(record: Record) -> DNSLabel:
    return DNSLabel(_text(tuple(record.data or ())))


def _soa(owner: DNSLabel, zone: Zone) -> RR:
    times = (zone.serial & 0xFFFFFFFF, 3600, 600, 86400, NEGATIVE_TTL)
    server, person = _text(zone.server), _text(("hostmaster", *zone.domain))
    # RFC 2308 section 3: a negative answer lives as long as the SOA that comes with it.
    return RR(owner, int(Type.SOA), ttl=NEGATIVE_TTL, rdata=SOA(server, person, times))
