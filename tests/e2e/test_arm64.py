"""An ARM64 machine: its own shim, GRUB, kernel and ramdisk, behind a foreign DHCP server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ironwake_testing import arm64, matrix
from ironwake_testing.matrix import CELLS, PROXY, Journey
from ironwake_testing.scene import Scene, scene

pytestmark = [pytest.mark.root, pytest.mark.qemu]
(CELL,) = [cell for cell in CELLS if (cell.firmware, cell.mode) == ("arm64", PROXY)]


@pytest.fixture(scope="module")
def driven(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Scene, Journey, list[dict[str, Any]]]]:
    """One machine, enrolled as ARM64, deployed, woken, and off again with its order."""
    folder = tmp_path_factory.mktemp("arm64")
    artifacts = arm64.stock(folder / "artifacts")
    with scene(folder, CELL.spec, artifacts=artifacts) as there:
        yield there, *matrix.drive(there, CELL)


def test_the_machine_takes_its_order(
    driven: tuple[Scene, Journey, list[dict[str, Any]]],
    record_property: Any,
) -> None:
    """Every hop is there, and the agent that claims runs on the processor that was enrolled."""
    there, journey, events = driven
    record_property("journey", journey.line)
    assert journey.arrived, events[-3:]
    facts = next(event["detail"]["facts"] for event in events if event["kind"] == "facts")
    assert facts["architecture"] == "aarch64"
    assert facts["secure_boot"] == "off"
    assert there.appliance.api("GET", f"/v1/machines/{CELL.spec.name}")["firmware"] == CELL.seen


def test_it_is_given_files_of_its_own_processor(
    driven: tuple[Scene, Journey, list[dict[str, Any]]],
) -> None:
    """shim and GRUB for ARM64, and a kernel of that ramdisk; nothing of AMD64's on the way."""
    _, _, events = driven
    told = " ".join(f"{event['message']} {event['detail']}" for event in events)
    assert "sb/shimaa64.efi" in told
    assert "sb/grubaa64.efi" in told
    assert "x64.efi" not in told
