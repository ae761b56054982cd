"""What an ARM64 machine needs to come to the agent's order, without an hour of emulation.

Loaders, kernel and ramdisk are the real ones. The archive is a stand-in: its packages' scripts
would have to be emulated, and no order is unpacked before it is claimed.
"""

from __future__ import annotations

import io
import subprocess
import tarfile
from datetime import UTC, datetime
from pathlib import Path

from ironwake.artifact import Manifest, manifest_name, ramdisk_name
from ironwake.firmware import Architecture
from ironwake.progress import silent
from ironwake_imager import media
from ironwake_runtime.aptsources import host_mirror
from ironwake_runtime.artifacts import ArtifactStore
from ironwake_testing.scene import CACHE

NOTE = b"a stand-in for a system: it cannot be installed\n"


def stock(folder: Path, *names: str) -> Path:
    """Give a store in this folder with ARM64's loaders, ramdisk and stand-in, and these media."""
    store = ArtifactStore(folder)
    wanted = ("loaders", ramdisk_name("cloud", Architecture.ARM64), *media.with_needs(names))
    for name in dict.fromkeys(wanted):
        media.add(name, store, CACHE, host_mirror(), silent)
    store.publish(_stand_in(store))
    return folder


def _stand_in(store: ArtifactStore) -> Manifest:
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        member = tarfile.TarInfo("README")
        member.size = len(NOTE)
        archive.addfile(member, io.BytesIO(NOTE))
    packed = subprocess.run(
        ["zstd", "-qc"], input=tar.getvalue(), capture_output=True, check=True
    ).stdout
    name = manifest_name("debian-12-cloud", Architecture.ARM64)
    return Manifest(
        name,
        "media",
        datetime.now(UTC).isoformat(timespec="seconds"),
        "stand-in",
        {"archive": store.add_bytes(packed)},
        {"archive": f"{name}.tar.zst"},
        {"unpacked_bytes": len(NOTE), "architecture": Architecture.ARM64},
    )
