"""What FAI is asked for in tests, and the configuration space that it then gets."""

from __future__ import annotations

import base64
from typing import Any

from ironwake.families.base import Install
from ironwake.families.fai import FAMILY, SPACE, tarball
from ironwake.layout.model import Layout
from tests.families import asked

RELEASE = "fai-debian-12"


def install(layout: Layout | None = None, erase: tuple[str, ...] = (), **stated: Any) -> Install:
    """For the bench's machine, with these parameters."""
    mirror = "http://mirror.example/debian"
    roles = ("squashfs",)
    return asked.install(RELEASE, layout, erase, packages_from=mirror, roles=roles, **stated)


def space(install: Install) -> dict[str, str]:
    """Path → text of its configuration space, out of the archive itself."""
    packed = base64.b64decode(FAMILY.answers(install).files[SPACE])
    return {path: file.text for path, file in tarball.unpack(packed).items()}
