"""Trying addresses: the frames as scapy reads them, whatever comes back, and what is made of it."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import ARP, Ether

from ironwake.errors import InputError
from ironwake.ipv4 import Network, Range
from ironwake.subnet import Subnet
from ironwake_dhcp.in_use import (
    Prober,
    arp_probe,
    arp_sender,
    echo_request,
    is_echo_reply,
)
from ironwake_dhcp.lend import Lender
from ironwake_dhcp.place import Place

OURS, STRANGER = "02:77:00:00:00:01", "02:77:00:00:00:bb"
HERE = IPv4Address("10.77.0.100")


def test_the_question_is_an_arp_probe() -> None:
    """To everyone, from our card, in nobody's name (RFC 5227): no cache learns anything wrong."""
    frame = Ether(arp_probe(bytes.fromhex(OURS.replace(":", "")), HERE))
    assert (frame.dst, frame.src) == ("ff:ff:ff:ff:ff:ff", OURS)
    arp = frame[ARP]
    assert (arp.op, arp.hwsrc, arp.psrc, arp.pdst) == (1, OURS, "0.0.0.0", str(HERE))


def test_answers_are_read() -> None:
    """Questions and answers tell who is where; a probe tells nothing."""
    for op in (1, 2):
        said = bytes(Ether(src=STRANGER) / ARP(op=op, hwsrc=STRANGER, psrc=str(HERE)))
        assert arp_sender(said) == (STRANGER, HERE)
    assert arp_sender(bytes(Ether() / ARP(hwsrc=STRANGER, psrc="0.0.0.0"))) is None


def test_the_echo_request_is_right() -> None:
    """scapy finds the same checksum; only an answer to this process counts."""
    asked = ICMP(echo_request())
    again = ICMP(bytes(asked))
    del again.chksum
    assert bytes(again) == bytes(asked)
    answer = IP(src=str(HERE)) / ICMP(type=0, id=os.getpid() & 0xFFFF, seq=1)
    assert is_echo_reply(bytes(answer))
    other = IP(src=str(HERE)) / ICMP(type=0, id=(os.getpid() + 1) & 0xFFFF)
    assert not is_echo_reply(bytes(other))
    assert not is_echo_reply(bytes(IP() / asked))


@given(st.binary(max_size=80))
def test_nothing_breaks_it(noise: bytes) -> None:
    """Anything may come from a network."""
    arp_sender(noise)
    arp_sender(bytes(12) + b"\x08\x06" + noise)
    is_echo_reply(noise)


@contextmanager
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of a cable."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        yield ends
    finally:
        for end in ends:
            end.close()


def _nowhere() -> Place:
    raise InputError("there is no interface")


class Bench:
    """A prober on a cable that a test holds."""

    def __init__(self) -> None:
        subnet = Subnet(Network("10.77.0.0/24"), (Range("10.77.0.100-10.77.0.102"),))
        self.lender = Lender(IPv4Address("10.77.0.1"), (subnet,))
        self.prober = Prober(self.lender, _nowhere, lambda *_: None, lambda: 1000.0)


def test_every_candidate_is_asked_for_once() -> None:
    """One frame for each address of a small pool, and none again while it is being tried."""
    bench = Bench()
    mac = bytes.fromhex(OURS.replace(":", ""))

    async def story() -> None:
        with pair() as (ours, cable):
            await bench.prober.round(ours, ours, mac)
            await bench.prober.round(ours, ours, mac)
            cable.setblocking(False)
            asked = [Ether(cable.recv(100))[ARP].pdst for _ in range(3)]
            assert asked == ["10.77.0.100", "10.77.0.101", "10.77.0.102"]
            with pytest.raises(BlockingIOError):
                cable.recv(100)

    asyncio.run(story())


def test_an_interface_that_is_away_proves_nothing() -> None:
    """What could not be asked is asked again."""
    bench = Bench()

    async def story() -> None:
        with pair() as (ours, cable):
            cable.close()
            with pytest.raises(OSError, match="refused"):
                await bench.prober.round(ours, ours, bytes(6))
        with pair() as (ours, cable):
            await bench.prober.round(ours, ours, bytes(6))
            assert {Ether(cable.recv(100))[ARP].pdst for _ in range(3)} == {
                "10.77.0.100",
                "10.77.0.101",
                "10.77.0.102",
            }

    asyncio.run(story())
