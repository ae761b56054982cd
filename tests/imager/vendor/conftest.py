"""A store, and what puts vendors' media into it, for each test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ironwake import medium as media
from ironwake.errors import BrokenError
from ironwake_imager.download import Limits
from ironwake_imager.vendor.bring import Bringer
from ironwake_imager.vendor.publish import Publisher
from ironwake_imager.vendor.source import Sources
from ironwake_runtime.artifacts import ArtifactStore


def nothing(url: str) -> bytes:
    """A network on which nobody answers."""
    raise BrokenError(f"cannot fetch {url}: nobody answers")


@dataclass
class Desk:
    """`told`: what was said of the progress."""

    folder: Path
    known: dict[str, media.Medium] = field(default_factory=lambda: dict(media.built_in()))
    small: Callable[[str], bytes] = nothing
    limits: Limits = field(default_factory=lambda: Limits(follow=True, plain=True, seconds=60))
    told: list[tuple[str, float | None, str]] = field(default_factory=list)

    @property
    def store(self) -> ArtifactStore:
        return ArtifactStore(self.folder / "store")

    @property
    def publisher(self) -> Publisher:
        return Publisher(
            self.store,
            lambda *words: self.told.append(words),
            self.known,
            lambda: datetime(2026, 1, 2, tzinfo=UTC),
        )

    @property
    def bringer(self) -> Bringer:
        sources = Sources(self.small, (self.folder / "catalogue",))
        return Bringer(self.publisher, sources, self.folder / "cache", self.limits)

    def bytes_of(self, name: str, role: str) -> bytes:
        return self.store.path(self.store.manifest(name).artifact(role).sha256).read_bytes()

    def leftovers(self) -> list[Path]:
        """Files of the store and the cache that should not be there when nothing was added."""
        found = [*self.folder.glob("store/**/*"), *self.folder.glob("cache/**/*")]
        return [path for path in found if path.is_file() and path.name != ".lock"]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)
