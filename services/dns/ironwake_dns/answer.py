"""What the site's zones say: a question in, an answer out. No socket, no clock, no wire format.

Forward: the site's domain, with the appliance itself as `ironwake`, the machines that have an
address, and other clients of our DHCP server by what they call themselves: whoever came first has
the name, and none has a machine's. Reverse: the addresses of the site's networks. Everything else
is REFUSED (and goes to the forwarder, where one is set): this is no resolver.

| question | answer |
|---|---|
| a name that exists, a type it has | NOERROR, the records |
| a name that exists, another type | NOERROR, no record, the SOA ("NODATA", RFC 2308 section 2.2) |
| a name that does not exist | NXDOMAIN, the SOA (RFC 2308 section 2.1) |
| ANY | one HINFO record (RFC 8482): nothing to amplify with |
| zone transfer, another class, another zone | REFUSED |
"""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ironwake.view import View

APPLIANCE = "ironwake"  # the appliance's own name in the site's domain
TTL = 10  # seconds: machines get new addresses while they are installed
NEGATIVE_TTL = 5  # seconds: "not there yet" must not be remembered for long

Labels = tuple[str, ...]  # lower case, without the root: ("node1", "site", "example")
# Names that computers look up by themselves and believe: whoever calls itself so would be
# everyone's proxy (CERT VU#598349), or router.
_NOBODYS = frozenset({"wpad", "isatap", "localhost"})
_REVERSE: Labels = ("in-addr", "arpa")


class Code(enum.IntEnum):
    """RFC 1035 section 4.1.1 and RFC 6891."""

    NOERROR = 0
    FORMERR = 1
    SERVFAIL = 2
    NXDOMAIN = 3
    NOTIMP = 4
    REFUSED = 5
    BADVERS = 16


class Type(enum.IntEnum):
    """Record types that the zones have, or treat in a way of their own."""

    A = 1
    NS = 2
    SOA = 6
    PTR = 12
    HINFO = 13
    IXFR = 251
    AXFR = 252
    ANY = 255


@dataclass(frozen=True, slots=True)
class Question:
    """`type` is the number on the wire; `internet` says that the class is IN."""

    name: Labels
    type: int
    internet: bool = True


@dataclass(frozen=True, slots=True)
class Record:
    """`data`: an IPv4 address for A, else a name as labels; None for HINFO and SOA, whose data is
    the zone's."""

    name: Labels
    type: Type
    data: str | Labels | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """`records` answer the question, `soa` is the zone whose SOA proves that there is nothing."""

    code: Code
    records: tuple[Record, ...] = ()
    soa: Labels | None = None
    authoritative: bool = True


@dataclass(frozen=True)
class Zone:
    """Names and addresses at one version of the view."""

    domain: Labels
    networks: tuple[ipaddress.IPv4Network, ...]
    appliance: str
    serial: int
    addresses: Mapping[Labels, str]  # full names
    names: Mapping[str, Labels]  # the other way round

    @classmethod
    def of(cls, view: View) -> Zone:
        """The zone of a view. A machine has a name once it has an address."""
        site = view.site
        domain = tuple(site.domain.split("."))
        hosts = {(str(e.machine.name), *domain): e.address for e in view.entries if e.address}
        # Of two machines at one address the later is the likelier: leases wander.
        names = {address: name for name, address in hosts.items()}
        machines: dict[str, str] = {
            mac: str(e.machine.name) for e in view.entries for mac in e.machine.macs
        }
        taken = {APPLIANCE, *_NOBODYS, *machines.values()}
        for lent in view.leases:  # who came first stands first
            if lent.mac in machines:
                names[str(lent.address)] = (machines[lent.mac], *domain)
            elif lent.hostname and lent.hostname not in taken:
                taken.add(lent.hostname)
                hosts[(lent.hostname, *domain)] = str(lent.address)
                names[str(lent.address)] = (lent.hostname, *domain)
        hosts[(APPLIANCE, *domain)] = site.address  # before any machine that has taken that name
        names[site.address] = (APPLIANCE, *domain)
        return cls(
            domain,
            site.networks,
            site.address,
            view.version,
            MappingProxyType(hosts),
            MappingProxyType(names),
        )

    def has(self, address: ipaddress.IPv4Address) -> bool:
        """Whether the address is in one of our networks."""
        return any(address in network for network in self.networks)

    @property
    def server(self) -> Labels:
        """The name of the appliance."""
        return (APPLIANCE, *self.domain)


REFUSED = Answer(Code.REFUSED, authoritative=False)


def answer(question: Question, zone: Zone) -> Answer:
    """Answer from `zone`; REFUSED means that the question is not ours. Never raises."""
    if not question.internet or question.type in (Type.AXFR, Type.IXFR):
        return REFUSED
    apex = _zone_of(question.name, zone)
    if apex is None:
        return REFUSED
    there = _records(question.name, apex, zone)
    if there is None:
        return Answer(Code.NXDOMAIN, soa=apex)
    if question.type == Type.ANY:
        return Answer(Code.NOERROR, (Record(question.name, Type.HINFO),))
    fitting = tuple(record for record in there if record.type == question.type)
    return Answer(Code.NOERROR, fitting, None if fitting else apex)


def _zone_of(name: Labels, zone: Zone) -> Labels | None:
    """The zone that the name is in, if that is one of ours."""
    if name[-len(zone.domain) :] == zone.domain:
        return zone.domain
    if name[-2:] != _REVERSE or len(name) < 5:
        return None
    # Reverse zones are cut at octets: one per 256 addresses, whatever the prefix length is.
    apex = name[-5:]
    block = _network(apex[:3])
    if block is None or not any(block.overlaps(network) for network in zone.networks):
        return None
    address = _address(name)
    if address is not None and not zone.has(address):
        return None  # beside a small network in the same 256: somebody else's
    return apex


def _records(name: Labels, apex: Labels, zone: Zone) -> tuple[Record, ...] | None:
    """All records of a name; None when there is no such name."""
    if name == apex:
        return (Record(name, Type.SOA), Record(name, Type.NS, zone.server))
    if apex == zone.domain:
        address = zone.addresses.get(name)
        return None if address is None else (Record(name, Type.A, address),)
    owner = zone.names.get(str(_address(name)))
    return None if owner is None else (Record(name, Type.PTR, owner),)


def _network(octets: Labels) -> ipaddress.IPv4Network | None:
    """("2", "0", "192") as 192.0.2.0/24."""
    try:
        return ipaddress.IPv4Network(".".join(reversed(octets)) + ".0/24")
    except ValueError:
        return None


def _address(name: Labels) -> ipaddress.IPv4Address | None:
    """("10", "2", "0", "192", "in-addr", "arpa") as 192.0.2.10."""
    if len(name) != 6:
        return None
    try:
        return ipaddress.IPv4Address(".".join(reversed(name[:4])))
    except ValueError:
        return None
