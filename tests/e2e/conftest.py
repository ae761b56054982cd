"""What every end-to-end test stands on: the media, built once."""

from __future__ import annotations

from pathlib import Path

import pytest

from ironwake_testing import scene


@pytest.fixture(scope="session")
def store() -> Path:
    """Loaders, the ramdisk and Debian 12 for virtual machines."""
    return scene.build("debian-12-cloud")
