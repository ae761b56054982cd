"""What is in the store: read again, and taken away."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from ironwake.artifact import IMAGE, Manifest
from ironwake.errors import BrokenError, RefusedError
from ironwake.progress import Progress
from ironwake_runtime.artifacts import ArtifactStore

_CHUNK = 1 << 20

Wrong = tuple[tuple[str, tuple[str, ...]], ...]  # each medium, and what is wrong with it


def names(store: ArtifactStore) -> tuple[str, ...]:
    """All media there are; images have commands of their own."""
    return tuple(one.name for one in store.manifests() if one.kind != IMAGE)


def verify(store: ArtifactStore, wanted: Iterable[str], progress: Progress) -> Wrong:
    """Hash every artifact of these; UnknownError where one of them is not there."""
    return tuple((one.name, _wrong(store, one, progress)) for one in _media(store, wanted))


def refuse(wrong: Wrong) -> None:
    """BrokenError where something is wrong."""
    damaged = [name for name, why in wrong if why]
    if damaged:
        raise BrokenError(
            f"damaged: {', '.join(damaged)}",
            f"take it away and add it again: ironwake media rm {' '.join(damaged)}",
        )


def remove(store: ArtifactStore, wanted: Iterable[str]) -> tuple[str, ...]:
    """Take these away; nothing is, where one of them is not there."""
    with store.changing():
        there = _media(store, wanted)
        for one in there:
            store.withdraw(one.name)
    return tuple(one.name for one in there)


def _media(store: ArtifactStore, wanted: Iterable[str]) -> Sequence[Manifest]:
    found = [store.manifest(name) for name in dict.fromkeys(wanted)]
    for one in found:
        if one.kind == IMAGE:
            raise RefusedError(f"{one.name} is an image", f"see: ironwake image show {one.name}")
    return found


def _wrong(store: ArtifactStore, manifest: Manifest, progress: Progress) -> tuple[str, ...]:
    whole = sum(item.size for item in manifest.artifacts.values()) or 1
    done, wrong = 0, []
    for role, item in manifest.artifacts.items():
        hasher = hashlib.sha256()
        try:
            with store.path(item.sha256).open("rb") as stream:
                while piece := stream.read(_CHUNK):
                    hasher.update(piece)
                    done += len(piece)
                    if done % (64 * _CHUNK) < _CHUNK:
                        progress(manifest.name, min(done / whole, 1.0), f"reading {role}")
        except OSError as error:
            wrong.append(f"{role} cannot be read: {error.strerror}")
            continue
        if hasher.hexdigest() != item.sha256:
            wrong.append(f"{role} has other bytes")
    return tuple(wrong)
