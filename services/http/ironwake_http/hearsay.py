"""What installers say by other ways than HTTP, told to the controller as callbacks.

In the order in which it came, by one task; where the controller is away for long, the oldest lines
of logs are left out, and only without any of them the oldest of all. Nobody waits for an answer:
what is refused (out of turn, over) troubles nobody.
"""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
from collections import OrderedDict, deque
from typing import Final

from ironwake.deployment import Deployment
from ironwake.errors import IronwakeError
from ironwake.lifecycle import ENDS
from ironwake.mac import Mac
from ironwake.profile import Method
from ironwake.report import QUESTION, Callback, Stage
from ironwake_http.hold import held
from ironwake_http.service import Service

_MOST: Final = 512  # callbacks that wait
_MEMORY: Final = 4096  # deployments, and which of their installer's few steps were told


class Hearsay:
    """`run` tells what `say` was given."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._waiting: deque[tuple[str, Callback]] = deque()
        self._news = asyncio.Event()
        self._steps: OrderedDict[str, set[str]] = OrderedDict()

    def speaker(self, client: str) -> Deployment | None:
        """The live deployment, by method script, of the machine that has this address."""
        index = self._service.index
        mac = self._service.witness.mac_of(index, client)
        entry = index.by_mac(Mac(mac)) if index is not None and mac else None
        return _live(entry.deployment if entry else None)

    def by_token(self, token: str) -> Deployment | None:
        """The same by its own token."""
        stock = self._service.stock
        return _live(stock.deployment(token) if stock else None)

    def say(self, deployment: Deployment, callback: Callback) -> None:
        """Without waiting. A step is told once.

        The controller takes so many reports of one deployment, and most of these ways ask nobody
        for a token: what anybody may repeat must not use them up.
        """
        if callback.stage is Stage.INSTALLING and not self._is_news(deployment, callback.step):
            return
        named = callback if callback.id else _named(callback)
        self._waiting.append((deployment.token, named))
        if len(self._waiting) > _MOST:
            logs = (at for at, (_, one) in enumerate(self._waiting) if _is_log(one))
            del self._waiting[next(logs, 0)]
        self._news.set()

    def _is_news(self, deployment: Deployment, step: str) -> bool:
        steps = self._steps.setdefault(deployment.id, set())
        if len(self._steps) > _MEMORY:
            self._steps.popitem(last=False)
        if step in steps:
            return False
        steps.add(step)
        return True

    async def run(self) -> None:
        """Until cancelled."""
        service = self._service
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                token, callback = self._waiting.popleft()
                try:
                    await held(
                        lambda token=token, callback=callback: service.controller.callback(  # type: ignore[misc]
                            token, callback
                        ),
                        service.patience,
                        gone=lambda: False,
                    )
                except IronwakeError as error:
                    service.log.debug("not taken", stage=callback.stage, error=error.what)


def _is_log(callback: Callback) -> bool:
    """Lines for a person to read, and no news."""
    return callback.stage is Stage.LOG and callback.step != QUESTION


def _named(callback: Callback) -> Callback:
    return dataclasses.replace(callback, id=f"heard-{secrets.token_hex(8)}")


def _live(deployment: Deployment | None) -> Deployment | None:
    if deployment is None or deployment.state in ENDS:
        return None
    return deployment if deployment.profile.method is Method.SCRIPT else None
