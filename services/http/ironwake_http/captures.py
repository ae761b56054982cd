"""Where captures wait until they are images: a folder for each deployment, a file for each part.

    <folder>/<deployment>/about.json   whose it is, as the view says
    <folder>/<deployment>/pack         what has come, as far as it has come
    <folder>/<deployment>/done.json    the machine's last word: all of it is there

Whoever makes the image takes all of it from here. Nothing of it is ever sent out again.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ironwake import wire
from ironwake.captured import DONE, PARTS, About, Captured, most
from ironwake.errors import BrokenError, GoneError, InputError, RefusedError
from ironwake.sizes import size_text
from ironwake_runtime import durable

_ABOUT = "about.json"
_DONE = f"{DONE}.json"
_ID = re.compile(r"d[0-9a-f-]{1,40}", re.ASCII)


class NoRoomError(BrokenError):
    """The disk is as good as full."""

    status = 507


class TooMuchError(InputError):
    """More than any machine that may be captured has."""

    status = 413


@dataclass(frozen=True)
class Captures:
    """`largest`: bytes that a disk or root may have. `reserve`: bytes that stay free here."""

    folder: Path
    largest: int = 2 << 40
    reserve: int = 1 << 30
    _busy: set[tuple[str, str]] = field(default_factory=set)

    def held(self, about: About, part: str) -> int:
        """How many bytes of the part are there."""
        self._check(about, part)
        path = self._path(about) / part
        return path.stat().st_size if path.is_file() else 0

    def begin(self, about: About) -> None:
        """Make the deployment's folder, once."""
        place = self._path(about)
        if not (place / _ABOUT).exists():
            place.mkdir(mode=0o755, parents=True, exist_ok=True)
            durable.replace(place / _ABOUT, wire.encode(about), 0o644)

    async def append(
        self, about: About, part: str, span: tuple[int, int], pieces: AsyncIterator[bytes]
    ) -> int:
        """Put bytes behind what is there: `span` is (start, count); how many there are then.

        What came before a connection broke stays.

        :raises RefusedError: they do not follow what is there, or another connection is at it
        :raises TooMuchError: the part would have more than any may have
        :raises NoRoomError: the disk is as good as full
        """
        start, count = span
        with self._alone(about, part):
            held = await asyncio.to_thread(self._ready, about, part, span)
            path = self._path(about) / part
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                async for piece in pieces:
                    if held + len(piece) > start + count:
                        raise InputError("more came than was said", "send it again")
                    await asyncio.to_thread(_write, file, piece, held)
                    held += len(piece)
            finally:
                os.close(file)
        if held != start + count:
            raise InputError("less came than was said", "send the rest")
        return held

    async def finish(self, about: About, said: Captured) -> None:
        """All is there; the same word again is fine.

        :raises RefusedError: what is there is not what the machine says
        """
        with self._alone(about, DONE):
            await asyncio.to_thread(self._finish, about, said)

    def clear(self, live: Collection[str]) -> None:
        """Take away what no live deployment will go on with, and what was not finished."""
        for place in self.folder.iterdir() if self.folder.is_dir() else ():
            ours = _ID.fullmatch(place.name) is not None
            if ours and place.name not in live and not (place / _DONE).exists():
                shutil.rmtree(place, ignore_errors=True)

    def _ready(self, about: About, part: str, span: tuple[int, int]) -> int:
        start, count = span
        held = self.held(about, part)
        if (self._path(about) / _DONE).exists():
            raise GoneError("all of it is there already", "stop")
        if start + count > most(part, self.largest):
            raise TooMuchError(
                f"this is more than {part} may have of {size_text(self.largest)}",
                "raise IRONWAKE_IMAGE_LARGEST if that is meant",
            )
        if start != held:
            raise RefusedError(f"{held} bytes are there, not {start}", "go on behind them")
        self.begin(about)
        free = shutil.disk_usage(self.folder).free
        if free - count < self.reserve:
            raise NoRoomError(
                f"there is no room: {size_text(free)} are free, {size_text(self.reserve)} of them"
                " are kept",
                f"make some in {self.folder}",
            )
        return held

    def _finish(self, about: About, said: Captured) -> None:
        place, text = self._path(about), wire.encode(said)
        done = place / _DONE
        if done.exists():
            if done.read_bytes() != text:
                raise RefusedError("another word was the last already", "stop")
            return
        if said.parts.keys() != set(PARTS[about.kind]):
            raise InputError(f"a {about.kind} has the parts {', '.join(PARTS[about.kind])}")
        for name, part in said.parts.items():
            held = self.held(about, name)
            if held != part.size:
                raise RefusedError(f"{held} bytes of {name} are there, not {part.size}", "send all")
            with (place / name).open("rb") as stream:
                os.fsync(stream.fileno())
        durable.replace(done, text, 0o644)

    def _check(self, about: About, part: str) -> None:
        if part not in PARTS[about.kind]:
            raise InputError(f"a {about.kind} has no {part!r:.40}", "send its own parts")

    def _path(self, about: About) -> Path:
        if not _ID.fullmatch(about.deployment):
            raise InputError(f"{about.deployment!r:.60} is no deployment")
        return self.folder / about.deployment

    @contextmanager
    def _alone(self, about: About, part: str) -> Iterator[None]:
        key = (about.deployment, part)
        if key in self._busy:
            raise RefusedError("another connection is at it", "ask again")
        self._busy.add(key)
        try:
            yield
        finally:
            self._busy.discard(key)


def _write(file: int, piece: bytes, place: int) -> None:
    view = memoryview(piece)
    while view:
        count = os.pwrite(file, view, place)
        view, place = view[count:], place + count
