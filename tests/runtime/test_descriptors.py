"""Descriptors: the limit that a shell gives is raised, and connections are no more than fit."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

from ironwake_runtime import descriptors


@pytest.fixture(autouse=True)
def _limit() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_as_many_connections_as_there_are_descriptors_for() -> None:
    """Each may need three, and everything else some; asking changes no limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit, room in ((128 + 3 * 100, 100), (1024, 298), (200, 24), (64, 1)):
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        assert descriptors.clients(10_000) == room
        assert descriptors.clients(10) == min(10, room)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (limit, hard)


def test_all_that_may_be_had_is_taken() -> None:
    """The soft limit becomes the hard one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    descriptors.take_all()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
