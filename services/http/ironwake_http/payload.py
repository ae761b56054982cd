"""The order and the answers: what a claim guards, given once, and only as the controller says."""

from __future__ import annotations

import base64
import re

from aiohttp import web

from ironwake import routes
from ironwake.errors import BrokenError, GoneError, IronwakeError, UnknownError
from ironwake.report import ClaimRequest
from ironwake_http.hold import held
from ironwake_http.replies import NOTHING, raw, refusal, text
from ironwake_http.service import Call, Service
from ironwake_http.stock import ORDER, Stock

TOKEN = re.compile(r"[0-9a-f]{32,128}", re.ASCII)
_BOOT = re.compile(r"[0-9A-Za-z-]{1,64}", re.ASCII)
_GONE = "this was handed out already; to install again, make a new deployment"


async def order(service: Service, call: Call) -> web.StreamResponse:
    """`/deployments/{token}/order`."""
    return await _claim(service, call, ORDER)


async def answers(service: Service, call: Call) -> web.StreamResponse:
    """`/deployments/{token}/answers/{file}`."""
    return await _claim(service, call, call.parts["file"])


async def _claim(service: Service, call: Call, name: str) -> web.StreamResponse:
    token = call.parts["token"]
    if call.head:
        # Nothing is claimed for a look, so its length is not known; the same whatever the token.
        return web.StreamResponse(headers={"Server": "Ironwake", "Cache-Control": "no-store"})
    if not TOKEN.fullmatch(token) or not _fits(service.stock, token, name):
        return _refused(service, call, UnknownError(NOTHING))
    boot = call.request.headers.get(routes.BOOT_HEADER, "")
    card = service.witness.card(call.client) or ""
    request = ClaimRequest(token, call.client, boot if _BOOT.fullmatch(boot) else "", card)
    try:
        grant = await held(lambda: service.controller.claim(request), service.patience, call.gone)
    except (UnknownError, GoneError, BrokenError) as error:
        return _refused(service, call, error)
    service.log.info("payload handed out", client=call.client)
    if name in grant.binary:
        return raw(base64.b64decode(grant.files[name]), "application/octet-stream")
    return text(grant.files.get(name, grant.text), media=grant.media_type)


def _fits(stock: Stock | None, token: str, name: str) -> bool:
    return stock is None or stock.payload_fits(token, name)


def _refused(service: Service, call: Call, error: IronwakeError) -> web.StreamResponse:
    """The same few words for all of one kind: who guesses tokens learns nothing from them."""
    words = {404: NOTHING, 410: _GONE, 503: "the controller is away; ask again"}[error.status]
    service.log.warning("payload refused", client=call.client, status=error.status)
    service.witness.refused(service.index, call.client, "order or answers", words)
    return refusal(error.status, words, {"Retry-After": "5"} if error.status == 503 else None)
