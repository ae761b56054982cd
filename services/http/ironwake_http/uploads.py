"""What machines send of themselves: `/deployments/{token}/capture/{part}`, piece by piece.

Only for a deployment by method capture, while its order is being carried out: somebody who knows
nothing but the paths leaves no byte here. Nothing of it goes through the controller.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestPayloadError

from ironwake import captured, wire
from ironwake.captured import DONE, HELD, About, Captured
from ironwake.errors import InputError, IronwakeError, RefusedError, TooSlowError, UnknownError
from ironwake.lifecycle import State
from ironwake.profile import Method
from ironwake_http.captures import Captures, NoRoomError, TooMuchError
from ironwake_http.payload import TOKEN
from ironwake_http.replies import NOTHING, refusal, text
from ironwake_http.service import Call, Service

_WRITTEN = 1 << 20  # bytes that are written at once
_FULL = (errno.ENOSPC, errno.EDQUOT)


async def capture(service: Service, call: Call) -> web.StreamResponse:
    """GET and HEAD tell how much is there; PUT brings more."""
    about = _about(service, call.parts["token"])
    captures, part = service.captures, call.parts["part"]
    try:
        if call.request.method == "PUT" and part == DONE:
            said = wire.decode(Captured, await _whole(service, call), foreign=True)
            await captures.finish(about, said)
            service.log.info("captured", machine=about.machine, deployment=about.deployment)
            return _told(0)
        if call.request.method == "PUT":
            return _told(await _append(service, call, about, part))
        return _told(captures.held(about, part))
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise NoRoomError(f"there is no room: {error.strerror}", "make some") from error
    except IronwakeError as error:
        return _refused(captures, about, part, error)


def sweep(service: Service) -> None:
    """Clear away what no live deployment will go on with."""
    if service.stock is not None:
        service.captures.clear(service.stock.live)


async def _append(service: Service, call: Call, about: About, part: str) -> int:
    span = captured.read_range(call.request.headers.get("Content-Range", ""))
    if call.request.content_length != span[1]:
        raise InputError("the length is not that of the range", "", "Content-Length")
    if span[1] > service.limits.piece:
        raise TooMuchError(f"more than {service.limits.piece} bytes are not taken at once")
    if not span[0]:
        await asyncio.to_thread(sweep, service)
    return await service.captures.append(about, part, span, _pieces(service, call))


async def _pieces(service: Service, call: Call) -> AsyncIterator[bytes]:
    """The body, in pieces that are worth a write; whoever stands still is let go."""
    waiting = bytearray()
    try:
        async for piece in _timed(service, call):
            waiting += piece
            if len(waiting) >= _WRITTEN:
                yield bytes(waiting)
                waiting.clear()
    except (RequestPayloadError, HttpProcessingError, ConnectionError):
        raise InputError("the body is cut off or not well formed", "send the rest") from None
    yield bytes(waiting)


async def _timed(service: Service, call: Call) -> AsyncIterator[bytes]:
    content = call.request.content
    while True:
        try:
            async with asyncio.timeout(service.limits.body):
                piece = await content.readany()
        except TimeoutError:
            raise TooSlowError("nothing came for too long", "send the rest") from None
        if not piece:
            return
        yield piece


async def _whole(service: Service, call: Call) -> bytes:
    body = bytearray()
    async for piece in _timed(service, call):
        body += piece
        if len(body) > service.limits.callback:
            raise TooMuchError(f"more than {service.limits.callback} bytes are not taken here")
    return bytes(body)


def _about(service: Service, token: str) -> About:
    """What is being captured under this token; UnknownError for nothing."""
    stock = service.stock
    deployment = stock.deployment(token) if stock and TOKEN.fullmatch(token) else None
    asked = deployment.profile.capture if deployment else None
    if deployment is None or asked is None or deployment.profile.method is not Method.CAPTURE:
        raise UnknownError(NOTHING)
    if deployment.state not in (State.ANSWERS, State.WORKING):
        raise RefusedError("its order was not handed out", "fetch the order first")
    return About(deployment.id, deployment.machine, asked.name, captured.kind_of(asked))


def _told(held: int) -> web.Response:
    return text(f"{held}\n", more={HELD: str(held)})


def _refused(
    captures: Captures, about: About, part: str, error: IronwakeError
) -> web.StreamResponse:
    held = captures.held(about, part) if part in captured.PARTS[about.kind] else 0
    return refusal(error.status, str(error), {HELD: str(held)})
