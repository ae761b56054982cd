"""Machines of another processor: each gets what was built for its own, and nothing else."""

from __future__ import annotations

import dataclasses

import pytest

from ironwake import plan
from ironwake.artifact import is_manifest_name, manifest_name, ramdisk_name
from ironwake.firmware import BY_NAME, Architecture
from ironwake.plan import BootPlan, BootRequest, Silence, Subject
from ironwake.profile import Method
from ironwake.site import Policy, Shelf, Stored
from ironwake_testing.core import MAC, SHELF, Bench

ARM64 = Architecture.ARM64


@pytest.fixture
def arm(bench: Bench) -> Bench:
    """The machine of the bench as ARM64, with media for both on the shelf."""
    media = {"debian-12": "debian-12-arm64", "ramdisk-generic": "ramdisk-generic-arm64"}
    more = [
        dataclasses.replace(item, manifest=media[item.manifest], sha256=f"{16 + number:064x}")
        for number, item in enumerate(SHELF.items)
        if item.manifest in media
    ]
    shelf = Shelf((*SHELF.items, *more), SHELF.facts)
    machine = dataclasses.replace(bench.machine, architecture=ARM64)
    return dataclasses.replace(bench, machine=machine, policy=Policy(bench.policy.site, shelf))


def _resolve(bench: Bench) -> plan.Decision:
    request = BootRequest(MAC, BY_NAME["uefi-arm64-pxe"])
    return plan.resolve(request, Subject(bench.machine, bench.deployment), bench.policy)


@pytest.mark.parametrize(
    ("base", "architecture", "name"),
    [
        ("debian-12", Architecture.AMD64, "debian-12"),
        ("debian-12-cloud", ARM64, "debian-12-cloud-arm64"),
    ],
)
def test_the_architecture_stands_behind_the_name(
    base: str, architecture: Architecture, name: str
) -> None:
    """The most usual one has the plain name; all are names of manifests."""
    assert manifest_name(base, architecture) == name
    assert is_manifest_name(ramdisk_name("generic", architecture))


@pytest.mark.parametrize("method", [Method.ARCHIVE, Method.SCRIPT])
def test_a_machine_gets_media_of_its_own_processor(arm: Bench, method: Method) -> None:
    """Loader, kernel, ramdisk and payload: none of the other architecture's, by either method."""
    decision = _resolve(arm.with_method(method))
    assert isinstance(decision, BootPlan)
    assert decision.led.first_file == "sb/shimaa64.efi"
    used = (decision.kernel.kernel, *(one.file for one in decision.kernel.initrds))
    assert all(isinstance(item, Stored) and item.manifest.endswith("-arm64") for item in used)
    assert "console=ttyAMA0,115200" in decision.kernel.arguments
    assert not [word for word in decision.kernel.arguments if "ttyS0" in word]


def test_an_image_of_another_processor_is_no_image_for_it(arm: Bench) -> None:
    """An image is made for one architecture, which its facts say."""
    decision = _resolve(arm.with_method(Method.DISK_IMAGE))
    assert isinstance(decision, Silence)
    assert "web@1 is not made for arm64" in decision.reason


def test_the_missing_media_are_named_as_they_are_built(arm: Bench) -> None:
    """With media of the other architecture only, the plan says what to run for this one."""
    decision = _resolve(dataclasses.replace(arm, policy=Policy(arm.policy.site, SHELF)))
    assert isinstance(decision, Silence)
    assert "ironwake media add ramdisk-generic-arm64 debian-12-arm64" in decision.reason
