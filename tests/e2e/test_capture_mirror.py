"""A root that stands on LVM on a mirror of two disks is captured, and neither disk is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from ironwake.image import Image, ImageKind
from ironwake_runtime.artifacts import ArtifactStore
from ironwake_testing.scene import DEPLOY_SECONDS, copied, node, scene
from tests.e2e.mirrored import mirrored
from tests.e2e.test_capture import capture, digest, install, tree

pytestmark = [pytest.mark.root, pytest.mark.qemu]

# BIOS, as in test_capture: the fresh system must not start.
PAIR = node(5, firmware="bios", disk_bytes=2 << 30, more_disks=(2 << 30,))
MIRRORED = mirrored(
    PAIR.name,
    {"name": "grub", "role": "bios-boot", "size": "1MiB"},
    [{"name": "root", "size": "1500MiB", "format": "ext4", "mount": "/"}],
    finish="poweroff",
)


@pytest.mark.deep
def test_a_root_on_lvm_on_a_mirror_is_captured(store: Path, tmp_path: Path) -> None:
    """With what stands on the other array, /boot; both disks are the same to the last byte."""
    artifacts = copied(store, tmp_path / "artifacts")
    profiles = {"mirrored": MIRRORED}
    with scene(tmp_path, PAIR, profiles=profiles, artifacts=artifacts) as there:
        there.enrol(PAIR)
        # Packages are unpacked, and an initrd is made: in emulation, both take minutes.
        install(there, PAIR.name, "mirrored", 2 * DEPLOY_SECONDS)
        second = there.rack.machine(PAIR.name).disks[1]
        before = digest(second)
        manifest = capture(there, PAIR.name, "mirror", root="auto")
        assert digest(second) == before
        image = Image.of(manifest)
        assert (image.kind, image.family) == (ImageKind.ROOT, "debian")
        found = tree(ArtifactStore(there.artifacts), manifest)
        assert {"etc/mdadm/mdadm.conf", "etc/passwd", f"boot/vmlinuz-{image.kernel}"} <= set(found)
