"""Immutable bytes: artifacts by their hash, loaders by the paths that shim and firmware expect, and
what is inside media, in place.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from aiohttp import web
from aiohttp.http import HttpVersion11

from ironwake.errors import BrokenError, UnknownError
from ironwake.site import Stored
from ironwake_http import routing
from ironwake_http.connection import Connection
from ironwake_http.heads import Heads
from ironwake_http.ranges import Part, select
from ironwake_http.replies import NOTHING, Given, closes, head, headers, refusal
from ironwake_http.sending import Job, Sent, open_exactly
from ironwake_http.service import Call, Service, Table
from ironwake_http.stock import INSIDE, Stock
from ironwake_runtime.shortage import ShortageError

_FOR_EVER = "public, max-age=31536000, immutable"
_KNOWN = 4096  # targets
_LOOK_AGAIN = "no-cache"  # a loader's path gets other bytes when Debian has newer ones


@dataclass(frozen=True)
class Asker:
    """Who asks for a file; `is_last`: the connection ends with the reply."""

    address: str
    is_last: bool


@dataclass(frozen=True, slots=True)
class Piece:
    """What a path stands for: `item` has its name, tag and size; its bytes begin at `offset` of the
    artifact `holder`, which has `whole` bytes.
    """

    item: Stored
    holder: str
    whole: int
    offset: int = 0

    @classmethod
    def all_of(cls, item: Stored) -> Piece:
        return cls(item, item.sha256, item.size)


class Files(ABC):
    """The handler of a route that gives files.

    `cache` is what caches are told; `tells`: whether what is not there is worth a word.
    """

    cache: str
    tells: bool

    @abstractmethod
    def find(self, service: Service, parts: Mapping[str, str]) -> Piece | None:
        """What stands under this path."""

    async def __call__(self, service: Service, call: Call) -> web.StreamResponse:
        """Reply to a request that came by the loop."""
        piece = self.find(service, call.parts)
        if piece is None:
            if self.tells:
                why = "no artifact has this hash and name"
                service.witness.refused(service.index, call.client, "artifact", why)
            raise UnknownError(NOTHING)
        item, request = piece.item, call.request
        part = select(request.method, request.headers, item.sha256, item.size)
        if part.status == 416:
            more = {"Content-Range": f"bytes */{item.size}"}
            return refusal(416, "there are no such bytes", more)
        if part.status == 304:
            return web.Response(status=304, headers=_more(item, part, self.cache))
        # The bytes are opened before anything is said of them, HEAD or not.
        if call.head:
            os.close(_open(service, piece))
            fields = headers(_media(item), part.count, _more(item, part, self.cache))
            return web.StreamResponse(status=part.status, headers=fields)
        last = not request.keep_alive or request.version < HttpVersion11
        job = self.job(service, piece, part, request.headers, Asker(call.client, last))
        await cast(Connection, request.protocol).carry(job)
        return Given(part.status, job.last)

    def job(
        self,
        service: Service,
        piece: Piece,
        part: Part,
        asked: Mapping[str, str],
        asker: Asker,
    ) -> Job:
        """What is to be sent for a request with these headers, to this client.

        In any thread. BrokenError when the store does not have the bytes.
        """
        item, client, last = piece.item, asker.address, asker.is_last
        file, limits = _open(service, piece), service.limits
        stretch, stall = limits.stretch, limits.stall
        if closes(asked.get("User-Agent", "")):
            stretch, stall, last = limits.grub_stretch, limits.grub_stall, True

        def ended(sent: Sent) -> None:
            # Of a file that is read in ranges, its end tells enough, and whatever broke.
            if part.start + part.count == item.size or sent.size < sent.wanted:
                service.tell(service.witness.sent, service.index, client, item, sent)

        if part.start == 0:
            service.tell(service.witness.fetched, service.index, client, item)
        more = _more(item, part, self.cache)
        begin = head(part.status, _media(item), part.count, more, last)
        return Job(begin, file, part, stretch, stall, last, ended, piece.offset)


class ByHash(Files):
    """`/artifacts/{sha256}/{file}`."""

    cache = _FOR_EVER
    tells = True

    def find(self, service: Service, parts: Mapping[str, str]) -> Piece | None:
        stock = service.stock
        item = stock.artifact(parts["sha256"], parts["file"]) if stock else None
        return Piece.all_of(item) if item else None


class Loaders(Files):
    """`/sb/…` and `/ipxe/…`."""

    cache = _LOOK_AGAIN
    tells = False  # shim always asks for three files that never exist

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def find(self, service: Service, parts: Mapping[str, str]) -> Piece | None:
        item = service.stock.loader(self._folder + parts["file"]) if service.stock else None
        return Piece.all_of(item) if item else None


class Inside(Files):
    """`/media/{sha256}/{path}`: a file of the medium whose table has this hash. Folders are nothing
    that an installer asks for: they are not there.
    """

    cache = _FOR_EVER
    tells = False  # installers ask for files that only some media have

    def find(self, service: Service, parts: Mapping[str, str]) -> Piece | None:
        tree = service.stock.tree(parts["sha256"]) if service.stock else None
        if tree is None:
            return None
        try:
            table = service.trees.table(tree)
        except BrokenError as error:
            raise _not_served(service, error) from None
        place = table.tree.find(parts["path"])
        if place is None:
            return None
        # The tag of a place, not of bytes: two paths of one place are one file.
        tag = f"{tree.sha256}-{place.offset:x}-{place.size:x}"
        name = parts["path"].rpartition("/")[2]
        item = Stored(tree.manifest, INSIDE, tag, place.size, name)
        return Piece(item, table.holder.sha256, table.holder.size, place.offset)


class Clerk:
    """Studies requests for files where they come in by themselves: in the carriers' threads."""

    def __init__(self, service: Service, table: Table) -> None:
        self._service = service
        self._table = table
        self._heads = Heads(service.limits, service.loop)
        # What was found in this stock, by the request's target: two in one, for other threads.
        self._known: tuple[Stock | None, dict[str, tuple[Files, Piece]]] = (None, {})

    def study(self, data: bytes, client: str) -> Job | None:
        """What is to be sent for this head; None: it wants something else, or an error's words."""
        asked = self._heads.read(data)
        if asked is None or asked.method != "GET":
            return None
        try:
            found = self._find(asked.path)
            if found is None:
                return None
            files, piece = found
            part = select(asked.method, asked.headers, piece.item.sha256, piece.item.size)
            if part.status not in (200, 206):
                return None
            last = asked.should_close or asked.version < HttpVersion11
            return files.job(self._service, piece, part, asked.headers, Asker(client, last))
        except BrokenError:
            return None

    def _find(self, target: str) -> tuple[Files, Piece] | None:
        stock, (of, known) = self._service.stock, self._known
        if of is not stock or len(known) >= _KNOWN:
            known = {}
            self._known = stock, known
        if (found := known.get(target)) is None:
            route, parts = routing.find(self._table, routing.split(target)[0]) or (None, {})
            if route is not None and isinstance(route.handler, Files):
                piece = route.handler.find(self._service, parts)
                if piece is not None:
                    found = known[target] = route.handler, piece
        return found


def _open(service: Service, piece: Piece) -> int:
    # On the loop, too: a thread would cost more than all else of a small range.
    try:
        return open_exactly(_path(service, piece.holder), piece.whole)
    except BrokenError as error:
        raise _not_served(service, error) from None


def _not_served(service: Service, error: BrokenError) -> BrokenError:
    """Say it, and what the client hears of it: nothing of our files."""
    if isinstance(error, ShortageError):
        failed = {"message": "artifact not served", "exception": error.__cause__}
        service.tell(service.loop.call_exception_handler, failed)
        return error
    service.log.error("artifact not served", error=str(error))
    return BrokenError("the bytes of this artifact are damaged or gone")


def _more(item: Stored, part: Part, cache: str) -> dict[str, str]:
    more = {"ETag": f'"{item.sha256}"', "Cache-Control": cache, "Accept-Ranges": "bytes"}
    if part.status == 206:
        last = part.start + part.count - 1
        more["Content-Range"] = f"bytes {part.start}-{last}/{item.size}"
    return more


def _path(service: Service, sha256: str) -> Path:
    path = service.paths.get(sha256)
    if path is None:
        path = service.paths[sha256] = service.store.path(sha256)
    return path


def _media(item: Stored) -> str:
    # edk2 knows a boot file by this type (HttpBootCheckImageType), or else by its name's end.
    return "application/efi" if item.file.endswith(".efi") else "application/octet-stream"
