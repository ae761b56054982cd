"""The file of subnets may change at any time: the books follow, and nobody loses a lease."""

from __future__ import annotations

import asyncio
from ipaddress import IPv4Address
from pathlib import Path

from structlog import get_logger
from structlog.testing import capture_logs

from ironwake.ipv4 import Network, Range
from ironwake.mac import Mac
from ironwake.subnet import Subnet
from ironwake_dhcp.book import Lease
from ironwake_dhcp.follow_subnets import Followed
from ironwake_dhcp.lend import Lender
from ironwake_runtime import subnets

OURS = IPv4Address("10.77.0.1")
NEAR = Subnet(Network("10.77.0.0/24"), (Range("10.77.0.100-10.77.0.109"),))
FAR = Subnet(Network("10.78.0.0/24"), (Range("10.78.0.100-10.78.0.109"),))
CARD, OTHER = Mac("52:54:00:77:00:10"), Mac("52:54:00:77:00:11")
HERE, THERE = IPv4Address("10.77.0.100"), IPv4Address("10.78.0.100")


def test_leases_go_with_their_addresses() -> None:
    """A changed subnet, a removed one, and one that comes back: whoever had an address has it."""
    lender = Lender(OURS, (NEAR, FAR))
    near, far = lender.books
    near.bind(CARD, HERE, 0.0)
    far.bind(OTHER, THERE, 0.0)
    longer = Subnet(NEAR.network, NEAR.pools, lease_seconds=7200)
    lender.serve((longer,))
    assert lender.link is not None
    assert lender.link.subnet == longer
    assert not lender.link.bind(OTHER, HERE, 1.0)
    assert lender.link.offer(CARD, None, 1.0) == HERE
    assert [one.address for one in lender.strays] == [THERE]
    lender.serve((longer, FAR))
    assert lender.books[0] is not near
    assert not lender.books[1].bind(CARD, THERE, 1.0)
    assert lender.strays == ()


def test_a_subnet_that_is_the_same_goes_on_as_it_was() -> None:
    """Its offers too: a client in the middle of asking notices nothing."""
    lender = Lender(OURS, (NEAR,))
    (near,) = lender.books
    assert near.offer(CARD, None, 0.0) == HERE
    lender.serve((FAR, NEAR))
    assert lender.books[1] is near
    assert not near.bind(OTHER, HERE, 1.0)


def test_leases_of_no_subnet_are_kept() -> None:
    """Those that were read from the disk, and may be needed again."""
    known = (Lease(THERE, CARD, 100.0),)
    lender = Lender(OURS, (NEAR,), known=known)
    assert lender.strays == known
    lender.serve((NEAR, FAR))
    assert lender.books[1].all() == known


def text(*networks: str) -> str:
    return "subnets:\n" + "".join(f"  - network: {one}\n" for one in networks)


def test_the_file_is_taken_anew_when_it_changes(tmp_path: Path) -> None:
    """Also where a new file is put in its place; a wrong one is logged, once, and left alone."""
    file = tmp_path / "subnets.yaml"
    file.write_text(text("10.77.0.0/24"))
    taken: list[list[str]] = []

    async def story() -> None:
        news = asyncio.Event()

        def take(now: tuple[Subnet, ...]) -> None:
            taken.append([str(one.network) for one in now])
            news.set()

        reads = 0

        def read() -> tuple[Subnet, ...]:
            nonlocal reads
            reads += 1
            if reads == 1:
                news.set()
            return subnets.read(file)

        followed = Followed(file, read)
        task = asyncio.create_task(followed.run(take, get_logger(), 0))
        try:
            file.write_text("subnets: [{network: 10.77.0.1/24}]")
            await news.wait()
            assert taken == []
            news.clear()
            fresh = tmp_path / "fresh"
            fresh.write_text(text("10.77.0.0/24", "10.78.0.0/24"))
            fresh.replace(file)
            await news.wait()
            assert reads == 2
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    with capture_logs() as logged:
        asyncio.run(story())
    assert taken == [["10.77.0.0/24", "10.78.0.0/24"]]
    warnings = [line for line in logged if line["log_level"] == "warning"]
    assert len(warnings) == 1
    assert f"{file}:1" in warnings[0]["error"]
