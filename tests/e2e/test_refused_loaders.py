"""A loader that was changed, on a machine with Secure Boot: refused, and the machine's story ends.

The store is consistent: the manifest has the hash of the changed bytes, so we do serve them.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from ironwake_runtime.artifacts import ArtifactStore
from ironwake_testing.scene import BOOT_SECONDS, copied, node, scene

pytestmark = [pytest.mark.root, pytest.mark.qemu]

# The loader, and what may have been asked for by then: shim looks for its own tool when it refuses,
# and the firmware goes on to HTTP Boot, where it is refused again.
LOADERS = {
    "sb/grubx64.efi": {"shimx64.efi", "grubx64.efi", "mmx64.efi"},
    "sb/shimx64.efi": {"shimx64.efi"},
}
# The loader's deadline of 5 minutes becomes one of half a minute.
SCALE = "0.1"


def with_one_byte_flipped(store: Path, role: str, folder: Path) -> Path:
    """The same store but for one byte in the middle of this loader, where its code is."""
    found = ArtifactStore(copied(store, folder))
    manifest = found.manifest("loaders")
    content = bytearray(found.path(manifest.artifacts[role].sha256).read_bytes())
    content[len(content) // 2] ^= 0xFF
    artifacts = {**manifest.artifacts, role: found.add_bytes(bytes(content))}
    found.publish(dataclasses.replace(manifest, artifacts=artifacts))
    return folder


@pytest.mark.parametrize(
    "role",
    [
        pytest.param("sb/grubx64.efi", id="grub"),
        pytest.param("sb/shimx64.efi", id="shim", marks=pytest.mark.matrix),
    ],
)
def test_one_flipped_byte(store: Path, tmp_path: Path, role: str) -> None:
    """Stuck at the loader, with that file and Secure Boot named; nothing after it was fetched."""
    machine = node(1, firmware="uefi-secureboot", disk_bytes=64 << 20)
    artifacts = with_one_byte_flipped(store, role, tmp_path / "artifacts")
    settings = {"IRONWAKE_DEADLINE_SCALE": SCALE}
    with scene(tmp_path, machine, artifacts=artifacts, settings=settings) as there:
        there.enrol(machine)
        deployment = there.deploy(machine.name)
        events = there.appliance.wait_event(
            deployment,
            lambda event: event["kind"] == "stuck" and event["detail"]["stage"] == "loader",
            BOOT_SECONDS,
        )
        cause = next(e for e in reversed(events) if e["kind"] == "stuck")["detail"]["cause"]
        assert role in cause
        assert "Secure Boot" in cause
        loaders = [event["detail"]["file"] for event in events if event["kind"] == "loader"]
        assert role in loaders
        assert {name.rpartition("/")[2] for name in loaders} <= LOADERS[role]
        assert not {event["kind"] for event in events} & {"script", "kernel", "claimed"}
        assert not there.rack.machine(machine.name).disk.read_bytes().strip(b"\0")
