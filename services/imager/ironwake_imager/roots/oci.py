"""An OCI image layout, a directory or a tar of one, as layers (image-spec: image-layout, manifest).

Every blob is held to its digest, and every layer's plain bytes to the one in the image's
configuration. Nothing is fetched: layers that stand elsewhere are refused.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ironwake.errors import InputError
from ironwake.firmware import Architecture
from ironwake.rootfs.member import Kind, Member, RootError, shown
from ironwake.rootfs.reader import Reader
from ironwake.rootfs.rules import Limits, Rules
from ironwake_imager.roots.layers import Layer, TarLayer
from ironwake_imager.roots.unpacking import CHUNK, plain

LAYOUT = "oci-layout"
INDEX = "index.json"
_MOST_TEXT = 4 << 20  # bytes of a manifest: what registries take
_MOST_LAYERS = 512
_DEEPEST = 4  # indexes in indexes
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})", re.ASCII)
_BLOB = re.compile(r"blobs/sha256/[0-9a-f]{64}", re.ASCII)
_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_LAYERS = re.compile(
    r"application/vnd\.(oci\.image\.layer\.v1\.tar(\+gzip|\+zstd)?"
    r"|docker\.image\.rootfs\.diff\.tar(\.gzip|\.zstd)?)"
)


@dataclass(frozen=True, slots=True)
class Image:
    """What a layout's image is made of.

    :ivar architecture: as the configuration says, in OCI's words: `amd64`
    """

    layers: tuple[Layer, ...]
    architecture: str


def image(folder: Path, limits: Limits, architecture: Architecture | None = None) -> Image:
    """Read the image of a layout.

    :param architecture: which one, where there are several
    :raises RootError: a digest is wrong, a layer is missing or stands elsewhere
    :raises InputError: there are several images, and nobody said which
    """
    _version(folder)
    document = _json(_bounded(folder / INDEX), INDEX)
    manifest = _manifest(folder, document, architecture, 0)
    config = _document(folder, _mapping(manifest, "config"))
    rows = _list(manifest, "layers")
    plains = _list(_mapping(config, "rootfs"), "diff_ids")
    if len(rows) != len(plains) or len(rows) > _MOST_LAYERS:
        raise RootError(f"the image has {len(rows)} layers and {len(plains)} hashes of them")
    layers: list[Layer] = []
    for row, digest in zip(rows, plains, strict=True):
        media = str(row.get("mediaType", "")) if isinstance(row, dict) else ""
        if not _LAYERS.fullmatch(media):
            raise RootError(
                f"a layer is a {media!r:.100}", "such layers stand elsewhere, or are encrypted"
            )
        blob = _blob(folder, row, limits)
        layers.append(TarLayer(blob, limits, whiteouts=True, plain_sha256=_hex(digest)))
    return Image(tuple(layers), str(config.get("architecture", "")))


def is_layout(folder: Path) -> bool:
    return (folder / LAYOUT).is_file() and (folder / INDEX).is_file()


def begins_layout(member: Member) -> bool:
    """Whether an archive whose first file is this one is a layout, and not a root file system."""
    first = member.path.partition("/")[0]
    names = ("blobs", LAYOUT, INDEX, "manifest.json", "repositories")
    return first in names


def lay_out(archive: Path, folder: Path, limits: Limits) -> None:
    """Take a layout's blobs out of a tar, into an empty folder; nothing else of it is written."""
    rules, reader = Rules(limits), Reader(limits)
    target: BinaryIO | None = None
    folder.joinpath("blobs/sha256").mkdir(parents=True)
    try:
        with archive.open("rb") as stream:
            for piece in plain(stream, limits):
                for event in reader.feed(piece):
                    if isinstance(event, Member):
                        rules.admit(event)
                        if target:
                            target.close()
                        target = _wanted(event, folder)
                    elif target:
                        target.write(event)
        reader.close()
    finally:
        if target:
            target.close()


def _wanted(member: Member, folder: Path) -> BinaryIO | None:
    wanted = member.path in (LAYOUT, INDEX) or _BLOB.fullmatch(member.path)
    if not wanted or member.kind is not Kind.FILE:
        return None
    if member.extents is not None:
        raise RootError(f"{shown(member.path)} of the layout has holes")
    return folder.joinpath(member.path).open("xb")


def _version(folder: Path) -> None:
    version = _json(_bounded(folder / LAYOUT), LAYOUT).get("imageLayoutVersion")
    if version != "1.0.0":
        raise RootError(f"the layout is of version {version!r:.40}", "1.0.0 is what is read")


def _manifest(
    folder: Path, index: Mapping[str, Any], architecture: Architecture | None, depth: int
) -> Mapping[str, Any]:
    rows = [row for row in _list(index, "manifests") if isinstance(row, dict) and _real(row)]
    if architecture:
        rows = [row for row in rows if _platform(row) in ("", architecture)]
    if len(rows) != 1 or depth > _DEEPEST:
        there = ", ".join(_platform(row) or "?" for row in rows[:20]) or "none"
        raise InputError(
            f"the layout has {len(rows)} images, for: {there}",
            "name one architecture, or copy one image into a layout of its own",
        )
    row = rows[0]
    media = row.get("mediaType")
    document = _document(folder, row)
    if media in _INDEXES:
        return _manifest(folder, document, architecture, depth + 1)
    if media not in _MANIFESTS:
        raise RootError(f"the layout has a {media!r:.100}, and no image")
    return document


def _real(row: Mapping[str, Any]) -> bool:
    """Builders add signatures and the like, for a platform that there is not."""
    return _platform(row) != "unknown"


def _platform(row: Mapping[str, Any]) -> str:
    platform = row.get("platform")
    return str(platform.get("architecture", "")) if isinstance(platform, dict) else ""


def _document(folder: Path, row: Mapping[str, Any]) -> Mapping[str, Any]:
    digest = _hex(row.get("digest"))
    raw = _bounded(folder / "blobs/sha256" / digest)
    _same(hashlib.sha256(raw).hexdigest(), digest)
    return _json(raw, digest)


def _blob(folder: Path, row: Mapping[str, Any], limits: Limits) -> Path:
    """A layer's file, once its packed bytes are what they should be."""
    digest = _hex(row.get("digest"))
    path = folder / "blobs/sha256" / digest
    if row.get("urls"):
        raise RootError(f"the layer {digest} stands elsewhere", "only whole images are taken")
    found = hashlib.sha256()
    with _opened(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size != row.get("size") or size > limits.size:
            raise RootError(f"the layer {digest} has {size} bytes, not {row.get('size')!r:.40}")
        while piece := stream.read(CHUNK):
            found.update(piece)
    _same(found.hexdigest(), digest)
    return path


def _same(found: str, digest: str) -> None:
    if found != digest:
        raise RootError(
            f"a blob is not what its name says: {found}, not {digest}", "fetch it again"
        )


def _bounded(path: Path) -> bytes:
    with _opened(path) as stream:
        raw = stream.read(_MOST_TEXT + 1)
    if len(raw) > _MOST_TEXT:
        raise RootError(f"{path.name} is longer than {_MOST_TEXT} bytes")
    return raw


def _opened(path: Path) -> BinaryIO:
    """A file of the layout: whoever made it must not lead us out of it by a link."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise RootError(f"the layout has no {path.name}: {error.strerror}", "") from None
    stream = os.fdopen(descriptor, "rb")
    if not path.is_file():
        stream.close()
        raise RootError(f"{path.name} of the layout is no file")
    return stream


def _json(raw: bytes, name: str) -> Mapping[str, Any]:
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise RootError(f"{name} is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise RootError(f"{name} is no object")
    return document


def _hex(digest: object) -> str:
    found = _DIGEST.fullmatch(digest) if isinstance(digest, str) else None
    if not found:
        raise RootError(f"{digest!r:.100} is no SHA-256 digest")
    return found[1]


def _mapping(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = document.get(key)
    if not isinstance(value, dict):
        raise RootError(f"the image has no {key!r}")
    return value


def _list(document: Mapping[str, Any], key: str) -> list[Any]:
    value = document.get(key)
    if not isinstance(value, list):
        raise RootError(f"the image has no {key!r}")
    return value
