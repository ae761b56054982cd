"""An ISO image to its tree: by Rock Ridge, else UDF, else Joliet, else plain ISO 9660.

As Linux would choose, but for one thing: Windows' images have UDF, and for all others a file that
says so; such a one has no Rock Ridge.
"""

from __future__ import annotations

from ironwake.iso import iso9660, udf
from ironwake.iso.image import Image, IsoError, Volume


def read(image: Image) -> Volume:
    """All that is in it; IsoError for what cannot be believed, or cannot be read in place."""
    has_udf = udf.is_there(image)
    try:
        found = iso9660.descriptors(image)
    except IsoError:
        if not has_udf:
            raise
        found = None
    if found is not None:
        tree = iso9660.walk_rock_ridge(image, found.primary)
        if tree is not None:
            return Volume(found.primary.label, found.primary.size, tree)
    if has_udf:
        volume = udf.space(image)
        label = volume.label or (found.primary.label if found else "")
        return Volume(label, volume.start + volume.size, udf.walk(image, volume))
    assert found is not None  # noqa: S101 (else there was UDF)
    chosen = found.joliet or found.primary
    tree = iso9660.walk(image, chosen, joliet=found.joliet is not None)
    return Volume(found.primary.label, found.primary.size, tree)
