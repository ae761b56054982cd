"""The listening side: uvicorn, with connections of our own kind."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from functools import partial
from typing import cast

import uvicorn
from starlette.types import ASGIApp

from ironwake_controller.connection import Connection
from ironwake_controller.limits import Limits

_GRACE = 2  # seconds that open calls get at the end


class Server(uvicorn.Server):
    """`serve(sockets=…)` until `should_exit`."""

    def __init__(self, application: ASGIApp, limits: Limits | None = None) -> None:
        limits = limits or Limits()
        connection = partial(Connection, limits=limits, waiting={})
        config = uvicorn.Config(
            application,
            http=cast(type[asyncio.Protocol], connection),
            log_config=None,
            log_level=logging.ERROR,  # what strangers send is not worth a line
            access_log=False,
            server_header=False,
            lifespan="off",
            ws="none",
            h11_max_incomplete_event_size=32 << 10,
            timeout_keep_alive=int(limits.idle) + 1,  # ours comes first
            timeout_graceful_shutdown=_GRACE,
        )
        super().__init__(config)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # signals are the composition root's
