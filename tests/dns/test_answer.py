"""What the zones say: who exists, who does not, and what is none of our business."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.ipv4 import Address, Network
from ironwake.lease import Lent
from ironwake.subnet import Subnet
from ironwake_dns.answer import Code, Labels, Question, Type, Zone, answer
from tests.dns.site import view, zone


def labels(name: str) -> Labels:
    return tuple(name.split("."))


def ask(name: str, kind: int = Type.A) -> tuple[Code, list[object], str | None]:
    """Code, data of the records, and the zone of the SOA that came with it."""
    found = answer(Question(labels(name), kind), zone())
    data: list[object] = [
        ".".join(r.data) if isinstance(r.data, tuple) else r.data for r in found.records
    ]
    return found.code, data, ".".join(found.soa) if found.soa else None


@pytest.mark.parametrize(
    ("name", "kind", "data"),
    [
        ("node1.site.example", Type.A, ["192.0.2.10"]),
        ("ironwake.site.example", Type.A, ["192.0.2.1"]),
        ("10.2.0.192.in-addr.arpa", Type.PTR, ["node1.site.example"]),
        ("1.2.0.192.in-addr.arpa", Type.PTR, ["ironwake.site.example"]),
        ("site.example", Type.NS, ["ironwake.site.example"]),
        ("site.example", Type.SOA, [None]),
        ("2.0.192.in-addr.arpa", Type.SOA, [None]),
        ("node1.site.example", Type.ANY, [None]),
    ],
)
def test_what_there_is_is_answered(name: str, kind: int, data: list[object]) -> None:
    """Machines and the appliance, both ways; the zones' own records; ANY with one record."""
    assert ask(name, kind) == (Code.NOERROR, data, None)


@pytest.mark.parametrize(
    ("name", "kind", "apex"),
    [
        ("node1.site.example", 28, "site.example"),
        ("site.example", Type.A, "site.example"),
        ("10.2.0.192.in-addr.arpa", Type.A, "2.0.192.in-addr.arpa"),
    ],
)
def test_another_type_is_nodata(name: str, kind: int, apex: str) -> None:
    """The name exists: NOERROR and the SOA. (NXDOMAIN for AAAA would hide the A record.)"""
    assert ask(name, kind) == (Code.NOERROR, [], apex)


@pytest.mark.parametrize(
    ("name", "kind", "apex"),
    [
        ("node3.site.example", Type.A, "site.example"),
        ("nobody.site.example", Type.ANY, "site.example"),
        ("www.node1.site.example", Type.A, "site.example"),
        ("99.2.0.192.in-addr.arpa", Type.PTR, "2.0.192.in-addr.arpa"),
        ("x.2.0.192.in-addr.arpa", Type.PTR, "2.0.192.in-addr.arpa"),
        ("1.10.2.0.192.in-addr.arpa", Type.PTR, "2.0.192.in-addr.arpa"),
    ],
)
def test_what_is_not_there_is_nxdomain(name: str, kind: int, apex: str) -> None:
    """A machine without an address, a stranger, a name too deep: NXDOMAIN and the SOA."""
    assert ask(name, kind) == (Code.NXDOMAIN, [], apex)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("example", Type.A),
        ("debian.org", Type.A),
        ("notsite.example", Type.A),
        ("3.0.192.in-addr.arpa", Type.SOA),
        ("1.3.0.192.in-addr.arpa", Type.PTR),
        ("in-addr.arpa", Type.NS),
        ("site.example", Type.AXFR),
        ("site.example", Type.IXFR),
    ],
)
def test_other_zones_are_refused(name: str, kind: int) -> None:
    """No recursion, no transfers, and no claim on other people's addresses."""
    assert ask(name, kind) == (Code.REFUSED, [], None)


def test_another_class_is_refused() -> None:
    """CHAOS questions ask what software this is."""
    found = answer(Question(labels("node1.site.example"), Type.A, internet=False), zone())
    assert found.code is Code.REFUSED


def test_a_small_network_claims_its_own_addresses_only() -> None:
    """In a /28 the rest of the same 256 addresses is somebody else's."""
    small = zone(prefix=28)
    inside = answer(Question(labels("10.2.0.192.in-addr.arpa"), Type.PTR), small)
    outside = answer(Question(labels("99.2.0.192.in-addr.arpa"), Type.PTR), small)
    assert (inside.code, outside.code) == (Code.NOERROR, Code.REFUSED)


def lent(address: str, mac: str, hostname: str) -> Lent:
    return Lent(Address(address), mac, hostname)


def served(*leases: Lent) -> Zone:
    """The same site, as the DHCP server of two networks: these clients came in this order."""
    before = view()
    subnets = (Subnet(Network("192.0.2.0/24")), Subnet(Network("198.51.100.0/25")))
    site = dataclasses.replace(before.site, proxy=False, subnets=subnets)
    return Zone.of(dataclasses.replace(before, site=site, leases=leases))


def test_other_clients_have_the_name_that_they_use() -> None:
    """Forward and reverse, in every network that we serve; who came first keeps the name."""
    both = served(
        lent("192.0.2.50", "52:54:00:aa:00:01", "phone"),
        lent("198.51.100.9", "52:54:00:aa:00:02", "phone"),
        lent("198.51.100.10", "52:54:00:aa:00:03", "printer"),
        lent("198.51.100.11", "52:54:00:aa:00:04", ""),
    )
    assert both.addresses[labels("phone.site.example")] == "192.0.2.50"
    assert both.names["192.0.2.50"] == labels("phone.site.example")
    reverse = answer(Question(labels("10.100.51.198.in-addr.arpa"), Type.PTR), both)
    assert [one.data for one in reverse.records] == [labels("printer.site.example")]
    for nameless in ("9", "11"):
        name = labels(f"{nameless}.100.51.198.in-addr.arpa")
        assert answer(Question(name, Type.PTR), both).code is Code.NXDOMAIN
    beyond = answer(Question(labels("200.100.51.198.in-addr.arpa"), Type.PTR), both)
    assert beyond.code is Code.REFUSED


def test_no_client_takes_a_name_that_is_somebodys() -> None:
    """Neither a machine's, even while that has no address, nor the appliance's."""
    thieves = served(
        lent("192.0.2.50", "52:54:00:aa:00:01", "node1"),
        lent("192.0.2.51", "52:54:00:aa:00:02", "node3"),
        lent("192.0.2.52", "52:54:00:aa:00:03", "ironwake"),
        lent("192.0.2.53", "52:54:00:aa:00:04", "wpad"),
    )
    assert labels("wpad.site.example") not in thieves.addresses
    assert thieves.addresses[labels("node1.site.example")] == "192.0.2.10"
    assert labels("node3.site.example") not in thieves.addresses
    assert thieves.addresses[labels("ironwake.site.example")] == "192.0.2.1"
    assert not {"192.0.2.50", "192.0.2.51", "192.0.2.52"} & thieves.names.keys()


def test_every_card_of_a_machine_points_to_it() -> None:
    """Whatever the machine calls itself: a lease of one of its cards is the machine's."""
    found = served(lent("192.0.2.77", "52:54:00:00:00:02", "debian"))
    assert found.names["192.0.2.77"] == labels("node3.site.example")
    assert labels("debian.site.example") not in found.addresses


@given(st.lists(st.text(max_size=5), max_size=8), st.integers(0, 65535), st.booleans())
def test_every_question_has_an_answer(name: list[str], kind: int, internet: bool) -> None:
    """Whatever the labels, no exception, and no record that was not asked for."""
    for tail in ((), ("site", "example"), ("192", "in-addr", "arpa")):
        found = answer(Question((*name, *tail), kind, internet), zone())
        assert found.soa is None or not found.records
