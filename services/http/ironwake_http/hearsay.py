"""What installers say by other ways than HTTP, told to the controller as callbacks.

In the order in which it came, by one task; where the controller is away for long, the oldest lines
of logs are left out, and only without any of them the oldest of all. Nobody waits for an answer:
what is refused (out of turn, over) troubles nobody.

What comes without a token is only overheard: a datagram's source is whatever its sender writes. So
it moves no deployment, closes no claim, and does not use up what is heard of a deployment.
"""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Final

from ironwake.deployment import Deployment
from ironwake.errors import IronwakeError
from ironwake.lifecycle import ENDS, State
from ironwake.mac import Mac
from ironwake.profile import Method
from ironwake.report import QUESTION, Callback, Stage
from ironwake_http.hold import held
from ironwake_http.service import Service

_MOST: Final = 512  # callbacks that wait
_MEMORY: Final = 4096  # deployments, and what of them was overheard
_LOGS: Final = 5000  # pieces of one deployment's log: seven hours of them


@dataclass
class _Overheard:
    """What was told of one deployment that nobody proved: its installer's few steps, its log."""

    steps: set[str] = field(default_factory=set)
    logs: int = 0


class Hearsay:
    """`run` tells what `say` was given."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._waiting: deque[tuple[str, Callback]] = deque()
        self._news = asyncio.Event()
        self._overheard: OrderedDict[str, _Overheard] = OrderedDict()

    def speaker(self, client: str) -> Deployment | None:
        """The live deployment, by method script, of the machine that has this address.

        Where its card is seen, that card tells, and no memory of whose the address was.
        """
        index, witness = self._service.index, self._service.witness
        mac = witness.card(client) or witness.mac_of(index, client)
        entry = index.by_mac(Mac(mac)) if index is not None and mac else None
        return _live(entry.deployment if entry else None)

    def by_token(self, token: str) -> Deployment | None:
        """The same by its own token."""
        stock = self._service.stock
        return _live(stock.deployment(token) if stock else None)

    def overhear(self, deployment: Deployment, callback: Callback) -> None:
        """Tell what came without a token, without waiting: lines of a log, and each step once, of
        an installation that has begun by a word with its token.

        The controller takes so many reports of one deployment: what anybody may repeat must not
        use them up, nor be its first one, for that one closes the claim.
        """
        known = self._overheard.setdefault(deployment.id, _Overheard())
        if len(self._overheard) > _MEMORY:
            self._overheard.popitem(last=False)
        if callback.stage is Stage.LOG and known.logs < _LOGS:
            known.logs += 1
            self.say(deployment, callback if known.logs < _LOGS else _the_last(callback))
        elif callback.stage is Stage.INSTALLING and callback.step not in known.steps:
            now = self.by_token(deployment.token)
            if now is not None and now.state is State.INSTALLING:
                known.steps.add(callback.step)
                self.say(deployment, callback)

    def say(self, deployment: Deployment, callback: Callback) -> None:
        """Tell what came with the deployment's token, without waiting."""
        named = callback if callback.id else _named(callback)
        self._waiting.append((deployment.token, named))
        if len(self._waiting) > _MOST:
            logs = (at for at, (_, one) in enumerate(self._waiting) if _is_log(one))
            del self._waiting[next(logs, 0)]
        self._news.set()

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


def _the_last(callback: Callback) -> Callback:
    text = f"{callback.message}\n… no more is taken of this log"
    return dataclasses.replace(callback, message=text)


def _named(callback: Callback) -> Callback:
    return dataclasses.replace(callback, id=f"heard-{secrets.token_hex(8)}")


def _live(deployment: Deployment | None) -> Deployment | None:
    if deployment is None or deployment.state in ENDS:
        return None
    return deployment if deployment.profile.method is Method.SCRIPT else None
