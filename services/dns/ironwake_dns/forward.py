"""Questions passed on to a resolver, and its replies believed only when everything matches.

Off unless a resolver is set. Against forged replies (RFC 5452; DNSpooq was dnsmasq being lax here)
each question goes out with a random id, from a port of its own that the kernel picks at random,
in randomly mixed case (0x20), through a connected socket; the reply must have that id, that
spelling, come from that address, and be a response.

Pure, but for the dice that are passed in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ironwake_dns.packet import HEADER, Query, with_edns

Dice = Callable[[int], int]  # `secrets.randbits`


@dataclass(frozen=True, slots=True)
class Outbound:
    """A question as the resolver sees it, and what its reply must have."""

    query: Query
    message: bytes
    question: bytes


def outbound(query: Query, dice: Dice) -> Outbound:
    """The question of `query` under a new id and in mixed case; EDNS options are not passed on."""
    question = bytearray(query.raw[HEADER : query.end])
    for at, octet in enumerate(question[:-4]):
        # Length octets are below 64, so they are never taken for letters.
        if chr(octet).isascii() and chr(octet).isalpha() and dice(1):
            question[at] = octet ^ 0x20
    head = dice(16).to_bytes(2, "big") + bytes((0x01, 0, 0, 1)) + bytes(6)  # RD, one question
    return Outbound(query, head + question, bytes(question))


def inbound(sent: Outbound, data: bytes) -> bytes | None:
    """The reply for our client, or None when it is not the reply to what was sent."""
    query, end = sent.query, HEADER + len(sent.question)
    if len(data) < end or data[:2] != sent.message[:2]:
        return None
    if not data[2] & 0x80 or data[2] & 0x78 or data[4:6] != b"\0\1":
        return None
    if data[HEADER:end] != sent.question:
        return None
    # The client's own id and spelling; never AA, for none of it is ours.
    flags = bytes(((data[2] & ~0x05) | (query.raw[2] & 1), data[3]))
    ours = query.raw[:2] + flags + data[4:HEADER] + query.raw[HEADER : query.end] + data[end:]
    return with_edns(ours, query)  # none came back, for none was sent
