"""Errors as problem+json (RFC 9457), whoever raised them."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from ironwake.errors import IronwakeError
from ironwake_runtime.service import Log

MEDIA_TYPE = "application/problem+json"


def body(status: int, what: str, next_step: str = "", where: str = "") -> dict[str, Any]:
    """The document of a problem."""
    return {
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": what,
        "next_step": next_step,
        "where": where,
    }


def raw(status: int, what: str, next_step: str = "", where: str = "") -> bytes:
    """The document of a problem, as it is sent."""
    text = json.dumps(body(status, what, next_step, where), ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace")


def reply(
    status: int,
    what: str,
    next_step: str = "",
    where: str = "",
    headers: dict[str, str] | None = None,
) -> Response:
    """A problem as an answer."""
    return Response(raw(status, what, next_step, where), status, headers, MEDIA_TYPE)


def install(app: FastAPI, log: Log) -> None:
    """Make every error of this application a problem."""

    @app.exception_handler(IronwakeError)
    async def of_ours(_: Request, error: IronwakeError) -> Response:
        return reply(error.status, error.what, error.next_step, error.where)

    @app.exception_handler(RequestValidationError)
    async def of_shape(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"] if part not in ("body", "query"))
        return reply(422, first["msg"][:1].lower() + first["msg"][1:], "see /openapi.json", place)

    @app.exception_handler(HTTPException)
    async def of_http(request: Request, error: HTTPException) -> Response:
        path = request.url.path[:200]
        texts = {
            404: f"there is nothing at {path}",
            405: f"{request.method[:20]} is not possible at {path}",
        }
        what = texts.get(error.status_code, str(error.detail))
        return reply(
            error.status_code, what, "see /openapi.json", headers=dict(error.headers or {})
        )

    @app.exception_handler(SQLAlchemyError)
    async def of_store(_: Request, error: SQLAlchemyError) -> Response:
        log.error("the database failed", error=str(error.__cause__ or error))
        return reply(
            503,
            f"the database failed: {error.__cause__ or type(error).__name__}",
            "see that its disk has room, and try again",
        )

    @app.exception_handler(Exception)
    async def of_nobody(request: Request, error: Exception) -> Response:
        log.error("unexpected", path=request.url.path, error=repr(error), exc_info=error)
        return reply(500, "something unexpected went wrong", "see the controller's log")
