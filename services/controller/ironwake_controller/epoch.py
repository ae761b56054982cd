"""The boot epoch: a number kept in the database and in a file outside of the state folder.

It grows with every start, every orderly stop, and whenever something is disarmed. A database whose
number is below the file's is an older copy that somebody restored: what it says is armed may have
been used up long ago, so every arm in it is void. The file is written after the commit and before
any reply leaves, so a crash between the two leaves the database ahead, which is harmless.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ironwake.errors import BrokenError, InputError
from ironwake_runtime import durable


@dataclass(frozen=True)
class Epoch:
    """`site` is a random id, made with the first database and anew after each restoring."""

    site: str
    number: int


def place(folder: Path, state: Path) -> Path:
    """The file in `folder`; InputError where that is a part of the state folder."""
    if folder.resolve().is_relative_to(state.resolve()):
        raise InputError(
            f"{folder} is in the state folder: who puts that back would put back the boot epoch",
            "name a folder outside of IRONWAKE_STATE_DIR, or none for the one beside it",
            "IRONWAKE_EPOCH_DIR",
        )
    return folder / "boot-epoch"


class EpochFile:
    """The copy outside the database."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Epoch | None:
        """What it says; None where there is none, or one that cannot be read: nothing is known."""
        try:
            data = json.loads(self._path.read_text())
            return Epoch(str(data["site"]), int(data["epoch"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, epoch: Epoch) -> None:
        """Returns once it is on disk."""
        document = {"site": epoch.site, "epoch": epoch.number}
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            durable.replace(self._path, json.dumps(document).encode())
        except OSError as error:
            raise BrokenError(
                f"the boot epoch cannot be written: {error.strerror}",
                "make room there, or name a folder of this user's in IRONWAKE_EPOCH_DIR",
                str(self._path),
            ) from error


def is_restored(database: Epoch, outside: Epoch | None) -> bool:
    """Whether the database is not the one that ran last, as far as the file can tell."""
    return outside is None or outside.site != database.site or outside.number > database.number
