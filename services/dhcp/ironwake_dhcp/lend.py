"""Server mode, for networks without DHCP: addresses for everyone, boot information for machines.

RFC 2131 section 4.3, for one subnet and without relays. What changes in the book of leases comes
back beside the reply and must be on disk before the reply leaves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from ironwake_dhcp.leases import Lease, Leases
from ironwake_dhcp.offer import Boot, content
from ironwake_dhcp.packet import MessageType, Request
from ironwake_dhcp.reply import Content, Quiet, Reply, Terms


@dataclass(frozen=True, slots=True)
class Lender:
    """`server` is our address, `terms` go with each one that we give.

    `authoritative`: no other server is meant to be on this network.
    """

    server: IPv4Address
    terms: Terms
    authoritative: bool = True


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer, and the lease that changed with it, if one did."""

    answer: Reply | Quiet
    changed: Lease | None = None


def serve(
    request: Request, found: Boot | Quiet, lender: Lender, leases: Leases, now: float
) -> Outcome:
    """The answer of a server that gives addresses; `found`: whether the client also boots."""
    if request.giaddr is not None:
        return Outcome(Quiet("relayed: this server has one subnet only"))
    match request.message_type:
        case MessageType.DISCOVER:
            return _discover(request, found, lender, leases, now)
        case MessageType.REQUEST:
            return _request(request, found, lender, leases, now)
        case MessageType.RELEASE if request.ciaddr is not None:
            changed = leases.release(request.mac, request.ciaddr, now)
            return Outcome(Quiet("released its address"), changed)
        case MessageType.DECLINE if request.requested_address is not None:
            changed = leases.decline(request.mac, request.requested_address, now)
            return Outcome(Quiet("declined its address: somebody else uses it"), changed)
        case MessageType.INFORM if request.ciaddr is not None:
            told = replace(lender, terms=replace(lender.terms, seconds=None))
            return Outcome(_reply(MessageType.ACK, found, told, None))
    return Outcome(Quiet(f"{request.message_type.name} asks for nothing"))


def _discover(
    request: Request, found: Boot | Quiet, lender: Lender, leases: Leases, now: float
) -> Outcome:
    address = leases.offer(request.mac, request.requested_address, now)
    if address is None:
        return Outcome(Quiet("the pool is used up"))
    return Outcome(_reply(MessageType.OFFER, found, lender, address))


def _request(
    request: Request, found: Boot | Quiet, lender: Lender, leases: Leases, now: float
) -> Outcome:
    ours = lender.server
    if request.server_id is not None and request.server_id != ours:
        leases.forget_offer(request.mac)
        return Outcome(Quiet("addressed to another server"))
    address = request.requested_address or request.ciaddr
    if address is None:
        return Outcome(Quiet("names no address"))
    lease = leases.bind(request.mac, address, now)
    if lease is not None:
        reply = _reply(MessageType.ACK, found, lender, address)
        return Outcome(reply, lease)
    # A client that did not choose us is told `no` only where nobody else could say `yes`.
    if request.server_id == ours or lender.authoritative:
        refusal = Content(MessageType.NAK, ours)
        return Outcome(Reply(refusal, reason=f"{address} is not this client's to have"))
    return Outcome(Quiet(f"{address} is no address of ours"))


def _reply(
    kind: MessageType,
    found: Boot | Quiet,
    lender: Lender,
    address: IPv4Address | None,
) -> Reply:
    """Address and terms, and the loader for those that boot from the network now."""
    if isinstance(found, Boot):
        said = replace(content(found, kind, lender.server), terms=lender.terms)
        return Reply(said, address, found.reason)
    plain = Content(kind, lender.server, terms=lender.terms)
    return Reply(plain, address, found.reason)
