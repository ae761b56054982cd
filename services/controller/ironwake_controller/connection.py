"""Connections: how many there may be, and how long one may take to say what it wants.

uvicorn's own clock runs between two requests only, and any byte stops it: a client that sends half
a head, or what is left of a body that was refused, has a connection for good. This one runs until
a head is complete, whatever comes.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from ironwake_controller import problems
from ironwake_controller.limits import Limits
from ironwake_runtime.ports import set_stall


class Connection(H11Protocol):
    """uvicorn's, with a clock for heads, and a place in the row of those that wait.

    `waiting`: the connections that have no request, the oldest first; when there are too many, it
    makes room. So nobody keeps others out by connecting, and no request that runs is cut.
    """

    def __init__(
        self, *arguments: Any, limits: Limits, waiting: dict[Connection, None], **options: Any
    ) -> None:
        super().__init__(*arguments, **options)
        self._limits = limits
        self._waiting = waiting
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        set_stall(transport.get_extra_info("socket"), self._limits.stall)
        super().connection_made(cast(asyncio.Transport, transport))
        self._wait(self._limits.head)
        if len(self.connections) > self._limits.connections:
            next(iter(self._waiting)).abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        super().handle_events()
        if self._busy():
            self._leave()

    def on_response_complete(self) -> None:
        rest = self.conn.their_state is h11.SEND_BODY
        self._wait(self._limits.linger if rest else self._limits.idle)
        super().on_response_complete()

    def abort(self) -> None:
        """End it at once."""
        self._leave()
        self.transport.abort()

    def shutdown(self) -> None:
        if self._busy() and self.conn.their_state is h11.SEND_BODY:
            self.transport.close()  # nobody waits for the rest of a call at the end
        else:
            super().shutdown()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 (uvicorn's signature)
        """The answer to what is not HTTP; nothing where another one has begun already."""
        if self._busy():
            self.cycle.disconnected = True
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.close()
            return
        raw = problems.raw(400, "this is not a request that we understand", "send HTTP/1.1")
        fields = [
            ("content-type", problems.MEDIA_TYPE),
            ("content-length", str(len(raw))),
            ("connection", "close"),
        ]
        for event in (
            h11.Response(status_code=400, headers=fields, reason=b"Bad Request"),
            h11.Data(data=raw),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait(self, seconds: float) -> None:
        self._leave()
        self._waiting[self] = None
        self._timer = self.loop.call_later(seconds, self._over)

    def _leave(self) -> None:
        self._waiting.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _over(self) -> None:
        self._leave()
        self.transport.close()
