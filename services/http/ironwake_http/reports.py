"""Callbacks and health reports: answered 204 once the controller has committed them, never before.

An installer's last command may be its only try, so a controller that is away is waited for.
"""

from __future__ import annotations

import asyncio
import dataclasses
import secrets

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestPayloadError

from ironwake.errors import BrokenError, InputError, TooLargeError, TooSlowError, UnknownError
from ironwake.report import Stage
from ironwake_http import words
from ironwake_http.hold import held
from ironwake_http.payload import TOKEN
from ironwake_http.replies import NOTHING, done
from ironwake_http.service import Call, Service


async def callback(service: Service, call: Call) -> web.StreamResponse:
    """`/deployments/{token}/callbacks`."""
    token = _token(call.parts["token"])
    known = service.stock is not None and service.stock.knows(token)
    # Memory for a whole log is only there for those who can be one of our machines.
    body = await _body(service, call, service.limits.log if known else service.limits.callback)
    report = words.callback(call.query, body)
    if report.stage is not Stage.LOG and len(body) > service.limits.callback:
        raise TooLargeError("this is too large for a callback", "send logs with stage log")
    if not report.id:  # ours then, so that our own second try is not counted twice
        report = dataclasses.replace(report, id=f"http-{secrets.token_hex(8)}")
    await held(
        lambda: service.controller.callback(token, report), service.patience, gone=lambda: False
    )
    return done()


async def report(service: Service, call: Call) -> web.StreamResponse:
    """`/deployments/{token}/reports`: an installer's own words, which its family understands.

    What is no news is taken and forgotten: installers do not care for our answer.
    """
    token = _token(call.parts["token"])
    body = await _body(service, call, service.limits.callback)
    stock = service.stock
    if stock is None:
        raise BrokenError("the controller is away", "send it again")
    deployment = stock.deployment(token)
    if deployment is None:
        raise UnknownError(NOTHING)
    heard = words.heard(deployment, call.request.headers.get(hdrs.CONTENT_TYPE, ""), body)
    if heard is not None:
        await held(
            lambda: service.controller.callback(token, heard), service.patience, lambda: False
        )
    return done()


async def health(service: Service, call: Call) -> web.StreamResponse:
    """`/health/{health_token}`."""
    token = _token(call.parts["token"])
    report = words.health(await _body(service, call, service.limits.callback))
    await held(
        lambda: service.controller.health(token, report), service.patience, gone=lambda: False
    )
    return done()


def _token(text: str) -> str:
    # It becomes part of a path of the controller's: nothing but digits may.
    if not TOKEN.fullmatch(text):
        raise UnknownError(NOTHING)
    return text


async def _body(service: Service, call: Call, limit: int) -> bytes:
    request = call.request
    if (request.content_length or 0) > limit:
        raise TooLargeError(f"more than {limit} bytes are not taken here")
    if request.headers.get(hdrs.EXPECT, "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # that was not the reply yet
    body = bytearray()
    try:
        async with asyncio.timeout(service.limits.body):
            async for piece in request.content.iter_any():
                body += piece
                if len(body) > limit:
                    raise TooLargeError(f"more than {limit} bytes are not taken here")
    except TimeoutError:
        raise TooSlowError("the body did not come in time", "send it again") from None
    except (RequestPayloadError, HttpProcessingError, ConnectionError):
        raise InputError("the body is cut off or not well formed", "send it again") from None
    return bytes(body)
