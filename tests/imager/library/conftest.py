"""A library, an importer and a disk for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from ironwake.progress import silent
from ironwake_imager.download import Limits
from ironwake_imager.library.bring import Importer
from ironwake_imager.library.library import Library
from ironwake_runtime.aptsources import Mirror
from ironwake_runtime.artifacts import ArtifactStore
from ironwake_runtime.builds import Workshop
from tests.imager.library import disks


def importer(folder: Path, limits: Limits | None = None) -> Importer:
    """With a store and a cache below that folder, and a mirror that nobody reaches."""
    store, cache = ArtifactStore(folder / "store"), folder / "cache"
    shop = Workshop(store, cache, Mirror("http://mirror.example/debian"), silent)
    return Importer(Library(store), cache, silent, lambda: shop, limits or Limits())


@pytest.fixture
def importing(tmp_path: Path) -> Importer:
    return importer(tmp_path)


@pytest.fixture
def library(importing: Importer) -> Library:
    return importing.library


@pytest.fixture(scope="session")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A raw disk that no test writes to."""
    return disks.raw(tmp_path_factory.mktemp("disk") / "web.raw")
