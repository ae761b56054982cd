"""Artifacts: bytes named by their hash, and the manifests that give them a meaning.

An artifact is immutable: whoever knows its SHA-256 can fetch it from anywhere and check it.
A manifest is one small JSON text that says "this set of artifacts together is debian-12":

    {"name": "debian-12", "kind": "media", "built": "2026-01-02T03:04:05Z", "inputs": "<hash>",
     "artifacts": {"archive": {"sha256": "…", "size": 123, "file": "debian-12.tar.zst"}},
     "facts": {"unpacked_bytes": 987654321, "kernel_version": "6.1.0-50-amd64"}}

The manifest is also the cache key: `inputs` is the hash of everything the build was made from.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from ironwake.errors import BrokenError
from ironwake.firmware import Architecture
from ironwake.image import is_image_name

IMAGE: Final = "image"
KINDS: Final = ("media", "loaders", "ramdisk", IMAGE)

_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
# A role may be a served path ("sb/shimx64.efi"); no part of it may be ".." or hidden.
_ROLE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")

Fact = str | int


def manifest_name(base: str, architecture: Architecture) -> str:
    """Name what is built for each architecture: `debian-12`, but `debian-12-arm64`."""
    return base if architecture is Architecture.AMD64 else f"{base}-{architecture}"


def ramdisk_name(flavour: str, architecture: Architecture) -> str:
    """Name a deploy ramdisk's manifest: `ramdisk-cloud`, `ramdisk-generic-arm64`."""
    return manifest_name(f"ramdisk-{flavour}", architecture)


def is_manifest_name(text: str) -> bool:
    """Say whether a text from outside may be used as a manifest's name, and so as a file's."""
    return _NAME.fullmatch(text) is not None or is_image_name(text)


class ArtifactError(BrokenError):
    """A manifest or an artifact name that cannot be what it says it is."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """Bytes, by content.

    :ivar sha256: 64 lower-case hex digits
    :ivar size: in bytes
    """

    sha256: str
    size: int

    def __post_init__(self) -> None:
        if not _SHA256.fullmatch(self.sha256):
            raise ArtifactError(f"{self.sha256!r} is not a SHA-256: it has 64 digits of 0-9a-f")
        if isinstance(self.size, bool) or self.size < 0:
            raise ArtifactError(f"{self.size!r} is not a size in bytes")


@dataclass(frozen=True, slots=True)
class Manifest:
    """A named, built set of artifacts.

    :ivar name: "debian-12", "loaders", "ramdisk-cloud"; an image's has its version, "web@3"
    :ivar kind: one of KINDS
    :ivar built: when, ISO 8601 with an offset or Z
    :ivar inputs: hash of all that the build was made from (recipe, options, package versions)
    :ivar artifacts: role → artifact
    :ivar files: role → the file name that a person would give it
    :ivar facts: free strings and integers, e.g. "unpacked_bytes"
    """

    name: str
    kind: str
    built: str
    inputs: str
    artifacts: Mapping[str, Artifact]
    files: Mapping[str, str]
    facts: Mapping[str, Fact] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ArtifactError(f"kind {self.kind!r} is unknown", f"known are {', '.join(KINDS)}")
        if self.kind == IMAGE and not is_image_name(self.name):
            raise ArtifactError(f"{self.name!r} is not an image's name", "name it NAME@VERSION")
        if self.kind != IMAGE and not _NAME.fullmatch(self.name):
            raise ArtifactError(f"{self.name!r} is not a manifest name", "use a-z, 0-9, . _ and -")
        _check_time(self.built)
        for role in self.artifacts:
            if not _ROLE.fullmatch(role):
                raise ArtifactError(f"{role!r} is not an artifact role")
        if self.files.keys() != self.artifacts.keys():
            raise ArtifactError(f"{self.name} has not one file name for each artifact")
        object.__setattr__(self, "files", MappingProxyType(dict(self.files)))
        object.__setattr__(self, "artifacts", MappingProxyType(dict(self.artifacts)))
        object.__setattr__(self, "facts", MappingProxyType(dict(self.facts)))

    def artifact(self, role: str) -> Artifact:
        """Give the artifact of a role, or raise ArtifactError naming the roles there are."""
        artifact = self.artifacts.get(role)
        if artifact is None:
            there = ", ".join(sorted(self.artifacts)) or "none"
            raise ArtifactError(f"{self.name} has no {role!r}; it has: {there}")
        return artifact

    def to_json(self) -> str:
        """Give the manifest's text: sorted keys, so that equal manifests are equal bytes."""
        document = {
            "name": self.name,
            "kind": self.kind,
            "built": self.built,
            "inputs": self.inputs,
            "artifacts": {
                role: {"sha256": item.sha256, "size": item.size, "file": self.files[role]}
                for role, item in self.artifacts.items()
            },
            "facts": dict(self.facts),
        }
        return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Manifest:
        """Read a manifest's text; ArtifactError says what is wrong with it."""
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ArtifactError(f"is not JSON: {error}") from error
        if not isinstance(document, dict):
            raise ArtifactError("is not a JSON object")
        entries = {role: _entry(role, value) for role, value in _mapping(document, "artifacts")}
        return cls(
            name=_text(document, "name"),
            kind=_text(document, "kind"),
            built=_text(document, "built"),
            inputs=_text(document, "inputs"),
            artifacts={role: artifact for role, (artifact, _) in entries.items()},
            files={role: file for role, (_, file) in entries.items()},
            facts={key: _fact(key, value) for key, value in _mapping(document, "facts")},
        )


def _check_time(text: str) -> None:
    try:
        when = datetime.fromisoformat(text)
    except ValueError as error:
        raise ArtifactError(f"built {text!r} is not an ISO 8601 time") from error
    if when.tzinfo is None:
        raise ArtifactError(f"built {text!r} has no time zone")


def _text(document: Mapping[str, Any], key: str) -> str:
    value = document.get(key)
    if not isinstance(value, str):
        raise ArtifactError(f"{key!r} must be a text, it is {value!r}")
    return value


def _mapping(document: Mapping[str, Any], key: str) -> list[tuple[str, Any]]:
    value = document.get(key)
    if not isinstance(value, dict):
        raise ArtifactError(f"{key!r} must be an object, it is {value!r}")
    return list(value.items())


def _entry(role: str, value: Any) -> tuple[Artifact, str]:
    if not isinstance(value, dict):
        raise ArtifactError(f"artifact {role!r} must be an object, it is {value!r}")
    size = value.get("size")
    if not isinstance(size, int) or isinstance(size, bool):
        raise ArtifactError(f"size of artifact {role!r} must be an integer, it is {size!r}")
    return Artifact(_text(value, "sha256"), size), _text(value, "file")


def _fact(key: str, value: Any) -> Fact:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ArtifactError(f"fact {key!r} must be a text or an integer, it is {value!r}")
    return value
