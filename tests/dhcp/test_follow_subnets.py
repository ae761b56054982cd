"""The file of subnets may change at any time: the books follow, and nobody loses a lease."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path, PosixPath

from structlog import get_logger
from structlog.testing import capture_logs

from ironwake.ipv4 import Network, Range
from ironwake.mac import Mac
from ironwake.subnet import Subnet
from ironwake_dhcp.book import Lease
from ironwake_dhcp.follow_subnets import Followed
from ironwake_dhcp.lend import Lender

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


class Watched(PosixPath):
    """A file to which something happens before each look: the next one of `steps`."""

    steps: Iterator[Callable[[], object]] = iter(())

    def read_bytes(self) -> bytes:
        for step in self.steps:
            step()
            break
        return super().read_bytes()


async def follow(file: Path, *steps: Callable[[], object], until: int) -> list[int]:
    """How many subnets were taken each time, `until` so many were; each step is before a look."""
    taken: list[int] = []
    done = asyncio.Event()

    def take(now: tuple[Subnet, ...]) -> None:
        taken.append(len(now))
        if len(now) == until:
            done.set()

    watched = Watched(file)
    followed = Followed(watched)
    watched.steps = iter(steps)
    task = asyncio.create_task(followed.run(take, get_logger(), 0))
    try:
        async with asyncio.timeout(60):
            await done.wait()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert not list(watched.steps)
    return taken


def writing(file: Path, *texts: str) -> list[Callable[[], object]]:
    return [partial(file.write_text, one) for one in texts]


NETWORKS = ("10.77.0.0/24", "10.78.0.0/24", "10.79.0.0/24")


def test_a_file_that_is_being_written_is_left_alone(tmp_path: Path) -> None:
    """Half of it would be a right file, too, with fewer subnets: nobody loses one meanwhile."""
    file = tmp_path / "subnets.yaml"
    file.write_text(text(*NETWORKS[:2]))
    steps = writing(file, text(*NETWORKS[:1]), "", text(*NETWORKS[:1]), text(*NETWORKS))
    assert asyncio.run(follow(file, *steps, until=3)) == [3]


def test_the_file_is_taken_anew_when_it_changes(tmp_path: Path) -> None:
    """A wrong one is logged, once, and left alone; so is one that has gone."""
    file = tmp_path / "subnets.yaml"
    file.write_text(text(*NETWORKS[:1]))
    wrong = "subnets: [{network: 10.77.0.1/24}]"
    steps = writing(file, wrong, wrong, wrong, text(*NETWORKS[:2]))
    with capture_logs() as logged:
        assert asyncio.run(follow(file, *steps, until=2)) == [2]
    (warning,) = [line for line in logged if line["log_level"] == "warning"]
    assert f"{file}:1" in warning["error"]


def test_another_file_in_its_place_is_found(tmp_path: Path) -> None:
    """Editors write a new one, and rename it."""
    file = tmp_path / "subnets.yaml"
    file.write_text(text(*NETWORKS[:1]))
    fresh = tmp_path / "fresh"
    fresh.write_text(text(*NETWORKS))
    assert asyncio.run(follow(file, partial(fresh.replace, file), until=3)) == [3]
