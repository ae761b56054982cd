"""Bodies of calls: read within bounds, and refused where they are not what can be kept."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

from starlette.types import Receive

from ironwake import wire
from ironwake.errors import InputError, TooLargeError, TooSlowError

LARGEST = 1 << 20  # bytes: the largest that we know is 200 observations
_DEEPEST = 24  # levels of JSON; ours have six


class GoneAwayError(Exception):
    """The client left before its call was complete."""


def oversized() -> InputError:
    return TooLargeError(f"a call has at most {LARGEST} bytes", "send less")


async def read(receive: Receive, slowest: float) -> bytes:
    """All of a body, which has so many seconds to come.

    :raises InputError: it is too large, too slow, or no JSON that everything behind us can keep
    :raises GoneAwayError: it did not come to its end
    """
    try:
        async with asyncio.timeout(slowest):
            raw = await _whole(receive)
    except TimeoutError:
        raise TooSlowError("the body did not come in time", "send it again") from None
    if raw.strip():
        _check(raw)
    return raw


async def _whole(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise GoneAwayError
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > LARGEST:
            raise oversized()
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def _check(raw: bytes) -> None:
    """InputError for what Python's reader takes and nothing behind it can keep, or overflows it."""
    if _depth(raw) > _DEEPEST:
        raise InputError(f"JSON nested deeper than {_DEEPEST} levels", "send less")
    try:
        data = json.loads(raw.decode(), parse_constant=_refuse, object_pairs_hook=wire.once)
        json.dumps(data, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        what = f"this is not JSON: {str(error)[:200]}"
        raise InputError(what, "send a JSON document") from None
    if b"\\u0000" in raw and _has_null(data):
        raise InputError("a text has a zero character in it", "leave it out")


_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


def _depth(raw: bytes) -> int:
    depth = deepest = 0
    if raw.count(b"[") + raw.count(b"{") <= _DEEPEST:
        return 0
    for char in _STRING.sub(b"", raw):
        if char in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in b"]}":
            depth -= 1
    return deepest


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _has_null(data: Any) -> bool:
    if isinstance(data, str):
        return "\0" in data
    if isinstance(data, dict):
        return any(_has_null(part) for pair in data.items() for part in pair)
    return isinstance(data, list) and any(_has_null(item) for item in data)
