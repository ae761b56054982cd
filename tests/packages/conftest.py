"""A package cache with the real nginx, before a mirror on loopback that counts; a site."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ironwake.packagecache import Source
from ironwake_runtime import packagelock
from ironwake_testing.mirror import Mirror, mirror
from ironwake_testing.packagecache import Rig, cache, folder, running
from tests.packages.bundles import Site
from tests.packages.cached import DEB, RELEASE


@pytest.fixture
def there() -> Iterator[Mirror]:
    """A mirror with one package and one index."""
    with mirror(files={DEB: os.urandom(300_000), RELEASE: b"as of today"}) as found:
        yield found


@pytest.fixture
def place() -> Iterator[Path]:
    with folder() as found:
        yield found
        # Of nginx whose master was killed, nobody else ends the workers.
        packagelock.end_leftovers(found / packagelock.LOCK)


@pytest.fixture
def rig(there: Mirror, place: Path) -> Iterator[Rig]:
    with running(cache(place, Source("debian", f"{there.url}/debian"))) as found:
        yield found


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """To which nothing was brought yet."""
    return Site(tmp_path / "there")
