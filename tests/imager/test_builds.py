"""Builds happen once per inputs, survive a mirror that is down, and leave nothing half."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from ironwake.errors import BrokenError
from ironwake_runtime.aptsources import Mirror, MirrorError
from ironwake_runtime.artifacts import ArtifactStore
from ironwake_runtime.builds import Product, Recipe, Versions, Workshop


class Bench:
    """A workshop with a counter, a mirror that can be switched off, and a recipe file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = folder / "recipe.py"
        self.source.write_text("first")
        self.store = ArtifactStore(folder / "store")
        self.said: list[str] = []
        self.versions: Versions = {"linux": "1"}
        self.online = True
        self.made = 0
        self.shop = Workshop(
            self.store,
            folder / "cache",
            Mirror("http://mirror.example/debian"),
            self.progress,
            lambda: datetime(2026, 1, 2, tzinfo=UTC),
        )

    def progress(self, step: str, fraction: float | None, message: str) -> None:
        assert step == "thing"
        assert fraction is None or 0.0 <= fraction <= 1.0
        self.said.append(message)

    def build(self) -> bytes:
        recipe = Recipe("thing", "media", (self.source,))
        manifest = self.shop.build(recipe, self.resolve, self.make)
        return self.store.path(manifest.artifact("out").sha256).read_bytes()

    def resolve(self) -> Versions:
        if not self.online:
            raise MirrorError("the mirror does not answer")
        return self.versions

    def make(self, work: Path, versions: Versions) -> Product:
        self.made += 1
        (work / "out").write_text(f"{self.source.read_text()} {versions['linux']} {self.made}")
        return Product({"out": work / "out"}, {})


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_the_second_run_does_nothing_and_says_so(bench: Bench) -> None:
    """Equal inputs: one build, and the second run says when it was."""
    assert bench.build() == bench.build() == b"first 1 1"
    assert bench.made == 1
    assert bench.said[-1] == "nothing to do: built 2026-01-02T00:00:00+00:00"


def test_a_new_package_version_builds_again(bench: Bench) -> None:
    """A security update on the mirror is another input."""
    bench.build()
    bench.versions = {"linux": "2"}
    assert bench.build() == b"first 2 2"


def test_a_changed_recipe_builds_again(bench: Bench) -> None:
    """The recipe's source is an input."""
    bench.build()
    bench.source.write_text("second")
    assert bench.build() == b"second 1 2"


def test_without_mirror_the_newest_build_will_do(bench: Bench) -> None:
    """A mirror that is down costs a warning, not the media."""
    bench.build()
    bench.online = False
    assert bench.build() == b"first 1 1"
    assert bench.said[-1].startswith("warning: the mirror does not answer; using the build of 2026")


def test_without_mirror_another_recipe_is_not_used(bench: Bench) -> None:
    """What an older recipe made is not passed off as this one's."""
    bench.build()
    bench.source.write_text("second")
    bench.online = False
    with pytest.raises(MirrorError):
        bench.build()


def test_an_empty_store_is_filled_from_the_cache(bench: Bench) -> None:
    """Another store on the same cache gets the bytes without a build."""
    bench.build()
    other = Bench.__new__(Bench)
    other.__dict__.update(bench.__dict__)
    other.store = ArtifactStore(bench.folder / "other-store")
    other.shop = Workshop(other.store, bench.shop.cache, bench.shop.mirror, bench.shop.progress)
    assert other.build() == b"first 1 1"
    assert bench.made == 1


def test_bytes_lost_from_the_cache_are_built_again(bench: Bench) -> None:
    """A cache that someone cleaned by hand is not believed."""
    bench.build()
    for path in (bench.shop.cache / "builds" / "sha256").rglob("*"):
        if path.is_file():
            path.unlink()
    assert bench.build() == b"first 1 2"


def test_a_build_that_fails_leaves_nothing(bench: Bench) -> None:
    """After an error there is no manifest, no artifact and no work folder."""

    def fails(work: Path, versions: Versions) -> Product:
        (work / "half").write_text("half")
        raise BrokenError("the disk is full")

    with pytest.raises(BrokenError):
        bench.shop.build(Recipe("thing", "media", (bench.source,)), bench.resolve, fails)
    assert bench.store.manifests() == ()
    assert [path.name for path in bench.shop.cache.iterdir()] == [".lock-thing"]


def test_what_a_killed_builder_left_is_cleared(bench: Bench) -> None:
    """The half work of a builder that was killed goes with the next build of that name only."""
    (bench.shop.cache / ".making-thing-in-dead").mkdir(parents=True)
    (bench.shop.cache / ".making-thing-else-in-busy").mkdir()
    bench.build()
    left = [path.name for path in bench.shop.cache.glob(".making-*")]
    assert left == [".making-thing-else-in-busy"]


def test_a_replaced_build_leaves_the_cache_but_not_the_store(bench: Bench) -> None:
    """The cache keeps one build per name; a store may still be serving the previous bytes."""
    bench.build()
    bench.versions = {"linux": "2"}
    bench.build()

    def count(folder: Path) -> int:
        return sum(path.is_file() for path in (folder / "sha256").rglob("*"))

    assert (count(bench.shop.cache / "builds"), count(bench.folder / "store")) == (1, 2)
