"""Versions, tags and removal, whoever works at the same time, and whoever is killed."""

from __future__ import annotations

import os
import signal
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ironwake.artifact import Manifest
from ironwake.errors import BrokenError, RefusedError, UnknownError
from ironwake_imager.library.library import Library
from ironwake_runtime.artifacts import ArtifactStore

FACTS: dict[str, str | int] = {"image_kind": "root", "unpacked_bytes": 5}


def put(library: Library, name: str, content: bytes, **more: bytes) -> Manifest:
    """Publish an image of these bytes."""
    with library.bench() as bench:
        roles = {"archive": content, **more}
        for role, octets in roles.items():
            (bench / role).write_bytes(octets)
        return library.publish(
            name, {role: bench / role for role in roles}, {role: role for role in roles}, FACTS
        )


def left(library: Library) -> set[str]:
    """The files of the store, but for its lock."""
    there = library.store.directory
    return {str(one.relative_to(there)) for one in there.rglob("*") if one.is_file()} - {".lock"}


def test_versions_count_up_and_words_are_kept(library: Library) -> None:
    """Each import is the next number, or the word that was asked for; the newest is the last."""
    names = [put(library, name, os.urandom(9)).name for name in ("web", "web@gold", "web", "db")]
    assert names == ["web@1", "web@gold", "web@2", "db@1"]
    assert library.find("web")[0].name == "web@2"
    assert library.find("web@gold")[0].sequence == 2


def test_the_same_again_is_the_same_image(library: Library) -> None:
    """Who imports once more after a lost connection has no second version."""
    first = put(library, "web", b"one")
    assert put(library, "web", b"one") == first
    assert put(library, "web", b"two").name == "web@2"
    assert put(library, "web", b"one").name == "web@3"  # it was not the newest any more
    assert put(library, "web@1", b"one").name == "web@1"


def test_a_version_never_becomes_another(library: Library) -> None:
    """Neither while it is there, nor after it is gone."""
    put(library, "web@gold", b"one")
    with pytest.raises(RefusedError, match="given before"):
        put(library, "web@gold", b"two")
    library.remove("web@gold")
    with pytest.raises(RefusedError, match="given before"):
        put(library, "web@gold", b"two")
    put(library, "web", b"three")
    library.remove("web")
    assert put(library, "web", b"three").name == "web@2"


def test_a_version_never_becomes_another_without_the_file(library: Library) -> None:
    """An older copy of what was written down changes nothing of what is there."""
    put(library, "web", b"one")
    put(library, "web@gold", b"two")
    (library.store.directory / "images.json").unlink()
    assert put(library, "web", b"three").name == "web@2"
    with pytest.raises(RefusedError, match="given before"):
        put(library, "web@gold", b"four")


def test_tags(library: Library) -> None:
    """A tag moves, holds its image, and is no version."""
    put(library, "web", b"one")
    put(library, "web", b"two")
    library.tag("web@1", "stable")
    assert library.find("web@stable")[0].name == "web@1"
    with pytest.raises(RefusedError, match="has the tag stable"):
        library.remove("web@1")
    library.tag("web", "stable")
    assert library.find("web@stable")[0].name == "web@2"
    library.remove("web@1")
    library.untag("web", "stable")
    with pytest.raises(UnknownError):
        library.find("web@stable")
    put(library, "web@gold", b"three")
    with pytest.raises(RefusedError, match="is a version"):
        library.tag("web@2", "gold")


def test_removal_takes_what_nobody_needs(library: Library) -> None:
    """Bytes that two images share stay with the other one; by force its tags go, too."""
    put(library, "web", b"one", packages=b"shared")
    put(library, "db", b"two", packages=b"shared")
    library.tag("web", "stable")
    library.remove("web@1", force=True)
    manifest = library.find("db")[1]
    assert all(library.store.has(item) for item in manifest.artifacts.values())
    assert len([name for name in left(library) if name.startswith("sha256/")]) == 2
    library.remove("db")
    assert left(library) == {"images.json"}


def test_media_keep_their_bytes(library: Library) -> None:
    """What a medium and an image share is not taken away with the image."""
    artifact = library.store.add_bytes(b"one")
    roles, built = {"archive": artifact}, "2026-01-02T03:04:05Z"
    files = {"archive": "debian.tar.zst"}
    library.store.publish(Manifest("debian-12", "media", built, "", roles, files, {}))
    put(library, "web", b"one")
    library.remove("web")
    assert library.store.has(artifact)


def test_many_at_once(tmp_path: Path) -> None:
    """Each gets a version of its own, and nobody's bench is cleared away by another."""
    names: list[str] = []

    def work(number: int) -> None:
        library = Library(ArtifactStore(tmp_path))
        names.append(put(library, "web", f"image {number}".encode()).name)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(names) == sorted(f"web@{number}" for number in range(1, 9))
    assert len(Library(ArtifactStore(tmp_path)).catalogue().images) == 8


class _DiesWhilePublishing(ArtifactStore):
    """A store whose process is killed once the bytes are in it, before they have a name."""

    def publish(self, manifest: Manifest) -> None:
        assert all(self.has(item) for item in manifest.artifacts.values())
        os.kill(os.getpid(), signal.SIGKILL)


def test_killed_before_the_name(library: Library) -> None:
    """Nothing is visible; the next one takes away bytes and bench, and the number is lost."""
    put(library, "web", b"one")
    before = left(library)
    child = os.fork()
    if child == 0:  # pragma: no cover - ends by its own signal
        put(Library(_DiesWhilePublishing(library.store.directory)), "web", b"two")
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert [one.name for one in library.catalogue().images] == ["web@1"]
    assert len(left(library)) > len(before)
    library.clear()
    assert left(library) == before
    assert put(library, "web", b"two").name == "web@3"


def test_who_lives_is_left_alone(library: Library) -> None:
    """A bench is cleared away only when nobody works there any more."""
    with library.bench() as bench:
        (bench / "half").write_bytes(b"half")
        library.clear()
        assert (bench / "half").exists()
    assert not bench.exists()


def test_facts_that_are_none(library: Library) -> None:
    """What could not be read again gets no name."""
    with library.bench() as bench:
        (bench / "archive").write_bytes(b"x")
        with pytest.raises(BrokenError, match="not an image's"):
            library.publish("web", {"archive": bench / "archive"}, {"archive": "x"}, {})
    assert left(library) == set()


def test_when_it_was_built(tmp_path: Path) -> None:
    """By the clock that is given, with a time zone."""
    when = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    library = Library(ArtifactStore(tmp_path), lambda: when)
    assert put(library, "web", b"one").built == "2026-01-02T03:04:05+00:00"
