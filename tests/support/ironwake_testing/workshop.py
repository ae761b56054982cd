"""A workshop on the real mirror, with the cache that all runs on this host share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ironwake.progress import silent
from ironwake_runtime.aptsources import mirror_of
from ironwake_runtime.artifacts import ArtifactStore
from ironwake_runtime.builds import Workshop
from ironwake_runtime.settings import read


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    """With a store of the test's own."""
    settings = read(os.environ)
    store = ArtifactStore(tmp_path / "store")
    return Workshop(store, settings.cache_dir, mirror_of(settings.mirror), silent)
