"""Packages that only some layouts need: who gets them, and what is missing without them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ironwake.layout.packages import ALL, needed
from ironwake.methods import METHODS
from ironwake.order import Order
from ironwake.profile import Method
from ironwake.site import Policy, Shelf, Stored
from ironwake.wire import decode
from ironwake_testing.core import MAC, SHELF, Bench, make_bench
from tests.layout.rig import MIRRORED, PLAIN, layout

ARCHIVE = METHODS[Method.ARCHIVE]
REPOSITORY = Stored("debian-12", "layout-packages", "e" * 64, 77, "layout-packages.tar.zst")


@pytest.mark.parametrize(
    ("text", "packages"),
    [
        (PLAIN, set()),
        (PLAIN.replace("ext4", "xfs"), {"xfsprogs"}),
        (
            MIRRORED.replace("key: passphrase", "key: tpm2"),
            set(ALL),
        ),
    ],
)
def test_each_layout_needs_its_own(text: str, packages: set[str]) -> None:
    """One file system on one disk needs none."""
    assert set(needed(layout(text))) == packages


def bench(text: str, *more: Stored) -> Bench:
    made = make_bench()
    profile = replace(made.deployment.profile, layout=layout(text))
    shelf = Shelf((*SHELF.items, *more), SHELF.facts)
    deployment = replace(made.deployment, profile=profile)
    return replace(made, deployment=deployment, policy=Policy(made.policy.site, shelf))


def test_media_without_them_are_missing_where_they_are_needed() -> None:
    """Media that were built before: they must be built anew for such a layout, and only for it."""
    for text, lacks in ((PLAIN, ()), (MIRRORED, ("debian-12",))):
        one = bench(text)
        assert ARCHIVE.missing(one.deployment, one.machine, one.policy) == lacks
    one = bench(MIRRORED, REPOSITORY)
    assert ARCHIVE.missing(one.deployment, one.machine, one.policy) == ()


@pytest.mark.parametrize(("text", "has"), [(PLAIN, False), (MIRRORED, True)])
def test_the_order_says_where_they_are(text: str, has: bool) -> None:
    """With their hash, in the order of a machine that needs them."""
    one = bench(text, REPOSITORY)
    grant = ARCHIVE.payload(one.deployment, one.machine, MAC, one.policy)
    found = decode(Order, grant.text.encode()).layout_packages
    assert (found is not None) == has
    assert found is None or (found.sha256, found.size) == (REPOSITORY.sha256, 77)
