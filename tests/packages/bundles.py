"""Bundles for tests, and a site that they are brought to."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from ironwake.artifact import Manifest
from ironwake.bundle import Bundle, Entry, sorted_entries
from ironwake.errors import InputError
from ironwake_imager.bundle import archive
from ironwake_imager.bundle.bring import Places
from ironwake_runtime.artifacts import ArtifactStore

MADE = "2026-11-01T00:00:00+00:00"
PROFILE = b"release: debian-12\nmethod: archive\n"


def check(name: str, raw: bytes) -> None:
    """A profile, whatever it says but this word."""
    if raw == b"wrong":
        raise InputError("this is no profile", "", name)


@dataclass
class Site:
    """One appliance's folders."""

    root: Path

    @property
    def places(self) -> Places:
        at = self.root
        store = ArtifactStore(at / "artifacts")
        return Places(
            at / "cache", store, at / "packages", at / "profiles", at / "parameters", check
        )

    def tree(self) -> dict[str, bytes]:
        """All files but the cache's own."""
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and "cache" not in path.parts and path.name != ".lock"
        }


def medium(store: ArtifactStore, name: str = "debian-12", kind: str = "media") -> Manifest:
    """One of random bytes, published in this store."""
    artifact = store.add_bytes(os.urandom(70_000))
    facts: dict[str, str | int] = {}
    if kind == "image":
        facts = {"image_kind": "root", "unpacked_bytes": 1}
    manifest = Manifest(name, kind, MADE, "x", {"archive": artifact}, {"archive": "a"}, facts)
    store.publish(manifest)
    return manifest


def bundle_of(files: dict[str, bytes], folder: Path, **mirrors: tuple[str, ...]) -> Path:
    """A bundle of these files, as we write one."""
    folder.mkdir(parents=True, exist_ok=True)
    paths, entries = {}, []
    for number, (path, data) in enumerate(files.items()):
        paths[path] = folder / str(number)
        paths[path].write_bytes(data)
        entries.append(Entry(path, hashlib.sha256(data).hexdigest(), len(data)))
    named = {name.replace("_", "-"): urls for name, urls in mirrors.items()}
    found = Bundle(MADE, "0.1.0", sorted_entries(entries), named)
    target = folder / "site.iwb"
    archive.write(target, found, paths, lambda *_: None)
    return target


WHOLE = {
    "profiles/web.yaml": PROFILE,
    "parameters/groups/database.yaml": b"match: {role: database}\n",
    "packages/debian/dists/bookworm/InRelease": b"signed",
    "packages/debian/pool/main/g/g++/g++_1%3a2~1+b1_amd64.deb": b"x" * 100_000,
    "wheels/ironwake-0.1.0-py3-none-any.whl": b"wheel",
}
