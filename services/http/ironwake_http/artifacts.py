"""Immutable bytes: artifacts by their hash, loaders by the paths that shim and firmware expect."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from ironwake.errors import BrokenError, UnknownError
from ironwake.site import Stored
from ironwake_http.connection import set_stall
from ironwake_http.ranges import select
from ironwake_http.replies import NOTHING, closes, headers, refusal
from ironwake_http.sending import file_reply, open_exactly, send
from ironwake_http.service import Call, Service, agent

_FOR_EVER = "public, max-age=31536000, immutable"
_LOOK_AGAIN = "no-cache"  # a loader's path gets other bytes when Debian has newer ones


async def by_hash(service: Service, call: Call) -> web.StreamResponse:
    """`/artifacts/{sha256}/{file}`."""
    stock = service.stock
    item = stock.artifact(call.parts["sha256"], call.parts["file"]) if stock else None
    if item is None:
        service.witness.refused(
            service.index, call.client, "artifact", "no artifact has this hash and name"
        )
        raise UnknownError(NOTHING)
    return await _give(service, call, item, _FOR_EVER)


async def secure_boot(service: Service, call: Call) -> web.StreamResponse:
    """`/sb/…`."""
    return await _loader(service, call, "sb/" + call.parts["file"])


async def ipxe(service: Service, call: Call) -> web.StreamResponse:
    """`/ipxe/…`."""
    return await _loader(service, call, "ipxe/" + call.parts["file"])


async def _loader(service: Service, call: Call, role: str) -> web.StreamResponse:
    item = service.stock.loader(role) if service.stock else None
    if item is None:  # not worth a word: shim always asks for three files that never exist
        raise UnknownError(NOTHING)
    return await _give(service, call, item, _LOOK_AGAIN)


async def _give(service: Service, call: Call, item: Stored, cache: str) -> web.StreamResponse:
    request = call.request
    part = select(request.method, request.headers, item.sha256, item.size)
    more = {"ETag": f'"{item.sha256}"', "Cache-Control": cache, "Accept-Ranges": "bytes"}
    if part.status == 416:
        return refusal(416, "there are no such bytes", {"Content-Range": f"bytes */{item.size}"})
    if part.status == 304:
        return web.Response(status=304, headers=more)
    # The bytes are opened before anything is said of them, HEAD or not.
    path = _path(service, item)
    try:
        # Not in a thread: that would cost more than all else of a small range.
        file = open_exactly(path, item.size)
    except BrokenError as error:
        service.log.error("artifact not served", error=str(error))
        raise BrokenError("the bytes of this artifact are damaged or gone") from None
    with file:
        reply = file_reply(part, item.size, headers(_media(item), part.count, more))
        stall, stretch = service.limits.stall, service.limits.stretch
        if closes(agent(request)):
            reply.force_close()
            stall, stretch = service.limits.grub_stall, service.limits.grub_stretch
            if request.transport is not None:
                set_stall(request.transport, stall)
        if call.head:
            return reply
        if part.start == 0:
            service.witness.fetched(service.index, call.client, item)
        sent = await send(request, reply, file, part, stretch, stall)
    # Of a file that is read in ranges, its end tells enough, and whatever broke.
    if part.start + part.count == item.size or sent.size < sent.wanted:
        service.witness.sent(service.index, call.client, item, sent)
    return reply


def _path(service: Service, item: Stored) -> Path:
    path = service.paths.get(item.sha256)
    if path is None:
        path = service.paths[item.sha256] = service.store.path(item.sha256)
    return path


def _media(item: Stored) -> str:
    # edk2 knows a boot file by this type (HttpBootCheckImageType), or else by its name's end.
    return "application/efi" if item.file.endswith(".efi") else "application/octet-stream"
