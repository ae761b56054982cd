"""What is written down of images besides their manifests: versions given, and tags.

One small file of the artifact store, `images.json`, replaced as a whole. The imager writes it,
under the store's lock; everybody may read it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from ironwake.errors import BrokenError
from ironwake.image import Catalogue, Page, pages_document, pages_of
from ironwake_runtime import durable
from ironwake_runtime.artifacts import ArtifactStore

_FILE = "images.json"


def pages(store: ArtifactStore) -> dict[str, Page]:
    """By image name; BrokenError where the file is damaged."""
    path = store.directory / _FILE
    try:
        return pages_of(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError) as error:
        raise BrokenError(
            f"is damaged: {error}",
            "put back a copy of it; without it, delete it: tags are lost then",
            str(path),
        ) from None


def write(store: ArtifactStore, now: Mapping[str, Page]) -> None:
    """Replace it, on the disk when this returns; the caller has the store's lock."""
    text = json.dumps(pages_document(now), indent=2, sort_keys=True) + "\n"
    durable.replace(store.directory / _FILE, text.encode(), durable.FILE_MODE)


def catalogue(store: ArtifactStore) -> Catalogue:
    """All images that there are now."""
    return Catalogue(store.manifests(), pages(store))
