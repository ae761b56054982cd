"""Trees of media: which stretch of which artifact a file is, by the tables that were made when the
medium was added. No ISO's own structures are read here.
"""

from __future__ import annotations

from collections import OrderedDict

from ironwake.artifact import ArtifactError
from ironwake.errors import BrokenError
from ironwake.iso.table import Table, decode
from ironwake.site import Stored
from ironwake_runtime import shortage
from ironwake_runtime.artifacts import ArtifactStore

_KEPT = 16  # tables; one of a full DVD takes some megabytes


class Trees:
    """Tables by their hashes, read once; in any thread: at worst one is read twice."""

    def __init__(self, store: ArtifactStore) -> None:
        self._store = store
        self._tables: OrderedDict[str, Table] = OrderedDict()

    def table(self, item: Stored) -> Table:
        """The table that this artifact is; BrokenError where it is damaged or gone, ShortageError
        where no descriptor is free."""
        found = self._tables.get(item.sha256)
        if found is None:
            found = self._tables[item.sha256] = self._read(item)
            while len(self._tables) > _KEPT:
                self._tables.popitem(last=False)
        return found

    def _read(self, item: Stored) -> Table:
        path = self._store.path(item.sha256)
        try:
            return decode(path.read_bytes())
        except (OSError, ArtifactError) as error:
            if shortage.is_one(error):
                raise shortage.ShortageError from error
            raise BrokenError(
                f"the table of {item.manifest} cannot be read: {error}",
                f"see: ironwake media verify {item.manifest}",
            ) from error
