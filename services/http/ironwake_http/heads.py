"""A request's head, read alone: by the parser that reads all others, with the same limits."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser, RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD

from ironwake_http.limits import Limits

_ROOM = 1 << 16  # bytes, of a body that is not taken here


def strictness(limits: Limits) -> dict[str, Any]:
    """What the parser is told, wherever it reads."""
    return {
        "max_line_size": limits.line,
        "max_field_size": limits.line,
        "max_headers": limits.headers,
        "auto_decompress": False,
    }


class Heads:
    """Reads heads in any thread."""

    def __init__(self, limits: Limits, loop: asyncio.AbstractEventLoop) -> None:
        self._strictness = strictness(limits)
        self._loop = loop
        self._flow = BaseProtocol(loop)  # for bodies that come too fast: there are none

    def read(self, head: bytes) -> RawRequestMessage | None:
        """The only request in these bytes, or None: it is none, has a body, or wants to upgrade."""
        parser = HttpRequestParser(self._flow, self._loop, _ROOM, **self._strictness)
        try:
            messages, upgraded, tail = parser.feed_data(head)
        except (HttpProcessingError, ValueError):
            return None
        if len(messages) != 1 or upgraded or tail:
            return None
        message, payload = messages[0]
        return message if payload is EMPTY_PAYLOAD else None
