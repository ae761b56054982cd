"""The artifact `tree`: which stretch of an ISO image is which file.

Made once, when the image is added and each of its places was checked; so the service that hands the
files out to strangers never reads an ISO's own structures.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from ironwake.artifact import Artifact, ArtifactError
from ironwake.iso.image import Place, Tree

_FORM = 1


@dataclass(frozen=True)
class Table:
    """`holder` has the bytes of all files."""

    holder: Artifact
    tree: Tree


def encode(table: Table) -> bytes:
    """Equal tables are equal bytes."""
    document = {
        "form": _FORM,
        "sha256": table.holder.sha256,
        "size": table.holder.size,
        "fold": table.tree.fold,
        "files": {path: [one.offset, one.size] for path, one in table.tree.files.items()},
        "links": dict(table.tree.links),
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def decode(raw: bytes) -> Table:
    """ArtifactError where it is no table, or one with places that the holder does not have."""
    try:
        document = json.loads(raw)
        if document["form"] != _FORM:
            raise ValueError("it is of another form")
        holder = Artifact(document["sha256"], document["size"])
        files = {path: Place(offset, size) for path, (offset, size) in document["files"].items()}
        links = {str(path): str(target) for path, target in document["links"].items()}
        tree = Tree(files, links, bool(document["fold"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ArtifactError(f"this is no table of a medium: {error}", "add it again") from None
    for path, place in files.items():
        whole = isinstance(place.offset, int) and isinstance(place.size, int)
        if not whole or min(place.offset, place.size) < 0:
            raise ArtifactError(f"{path!r:.80} has no place", "add the medium again")
        if place.offset + place.size > holder.size:
            raise ArtifactError(f"{path!r:.80} is outside of the medium", "add the medium again")
    return Table(holder, tree)
