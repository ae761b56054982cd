"""The controller as the services see it: the view, claims, callbacks, observations."""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import structlog

from ironwake import wire
from ironwake.errors import BrokenError, IronwakeError
from ironwake.lease import Leases
from ironwake.report import (
    Callback,
    ClaimRequest,
    Grant,
    HealthReport,
    Observation,
    Observations,
    Seen,
)
from ironwake.view import Index, Pieces, View, ViewChange
from ironwake_runtime.calls import Calls
from ironwake_runtime.outage import Outage
from ironwake_runtime.reply import Reply, problem

_LONG_POLL = 25.0  # seconds; the controller answers 204 when nothing changed for so long
_REST = 4.0  # times as long as a change took to be taken, before the next one is asked for
_LONGEST_REST = 2.0  # seconds
_BACK_OFF = (0.2, 0.5, 1.0, 2.0)  # seconds between attempts while it is away, the last repeated

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC


class Line(Protocol):
    """What carries the calls: `Calls`, or whatever a test puts in its place."""

    async def call(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None = None
    ) -> Reply:
        """The reply, whatever its status; OSError where there is none."""

    async def close(self) -> None: ...


class ControllerClient:
    """Calls the internal API.

    Every method raises IronwakeError: the controller's own, or BrokenError when it is away.
    """

    def __init__(self, url: str, token_file: Path, line: Line | None = None) -> None:
        self._line = line or Calls(url, _LONG_POLL + 10)
        self._token_file = token_file
        self._url = url

    async def close(self) -> None:
        await self._line.close()

    async def changes(self, after: int) -> ViewChange | None:
        """What is new in the view since version `after`; None when nothing was for a while."""
        path = f"/internal/view/changes?after={after}&wait={_LONG_POLL:.0f}"
        reply = await self._send("GET", path)
        return None if reply.status == 204 else wire.decode(ViewChange, reply.body)

    async def claim(self, request: ClaimRequest) -> Grant:
        """The payload, once. UnknownError: no such token. GoneError: it was handed out already."""
        reply = await self._send("POST", "/internal/claims", wire.encode(request))
        return wire.decode(Grant, reply.body)

    async def callback(self, token: str, callback: Callback) -> None:
        """Returns once it is committed. RefusedError, GoneError: too late, or out of turn."""
        await self._send("POST", f"/internal/deployments/{token}/callbacks", wire.encode(callback))

    async def health(self, health_token: str, report: HealthReport) -> None:
        """Returns once it is committed."""
        await self._send("POST", f"/internal/health/{health_token}", wire.encode(report))

    async def observe(self, items: tuple[Observation, ...]) -> None:
        await self._send("POST", "/internal/observations", wire.encode(Observations(items)))

    async def leases(self, news: Leases) -> None:
        """Returns once it is committed."""
        await self._send("POST", "/internal/leases", wire.encode(news))

    async def _send(self, method: str, path: str, body: bytes | None = None) -> Reply:
        try:
            headers = {"Authorization": f"Bearer {self._token()}"}
            if body is not None:
                headers["Content-Type"] = "application/json"
            reply = await self._line.call(method, path, headers, body)
        except OSError as error:
            raise BrokenError(
                f"the controller at {self._url} does not answer: {error or 'in time'}",
                "see whether it runs: ironwake doctor",
            ) from error
        if reply.status >= 400:
            raise problem(reply)
        return reply

    def _token(self) -> str:
        """Read anew for each call: the controller makes the file at its first start."""
        return self._token_file.read_text().strip()


class ViewFollower:
    """Keeps the newest view in memory (`index`) and on disk, for when the controller is away."""

    def __init__(self, client: ControllerClient, saved: Path, log: structlog.stdlib.BoundLogger):
        self._client = client
        self._saved = saved
        self._log = log
        self._silence = Outage(log, "view not followed")
        self._unsaved = Outage(log, "view not saved")
        self._changed: list[Callable[[Index], None]] = []
        self.index: Index | None = self._load()
        self._pieces = Pieces(self.index.view if self.index else None)

    def on_change(self, call: Callable[[Index], None]) -> None:
        """Call it with every new view, and at once with the present one."""
        self._changed.append(call)
        if self.index is not None:
            call(self.index)

    async def run(self) -> None:
        """Follow for ever; a controller that is away is only logged."""
        waits = Waits()
        clock = asyncio.get_running_loop().time
        while True:
            try:
                change = await self._client.changes(self.index.view.version if self.index else -1)
            except IronwakeError as error:
                self._silence.failed(error)
                await asyncio.sleep(waits.next())
                continue
            waits.reset()
            self._silence.over()
            if change is not None:
                began = clock()
                self._take(change)
                # While many machines are installed there is always news: most of the time is for
                # packets, whatever one taking costs.
                await asyncio.sleep(min(_REST * (clock() - began), _LONGEST_REST))

    def _take(self, change: ViewChange) -> None:
        view = self._pieces.take(change)
        self.index = Index(view)
        self._save(view)
        for call in self._changed:
            call(self.index)

    def _load(self) -> Index | None:
        try:
            return Index(wire.decode(View, self._saved.read_bytes()))
        except FileNotFoundError:
            return None
        except (IronwakeError, OSError) as error:
            self._log.warning("saved view not used", file=str(self._saved), error=str(error))
            return None

    def _save(self, view: View) -> None:
        aside = self._saved.with_suffix(".new")
        try:
            self._saved.parent.mkdir(parents=True, exist_ok=True)
            # Deployment tokens stand in it: for this user's eyes only.
            with os.fdopen(os.open(aside, _NEW_FILE, 0o600), "wb") as out:
                out.write(self._pieces.encode(view))
            aside.replace(self._saved)
        except OSError as error:
            self._unsaved.failed(error, file=str(self._saved))
        else:
            self._unsaved.over()


class Reporter:
    """Sends observations to the controller, in order, in the background; drops the oldest of many.

    Packets never wait for it: `report` only queues.
    """

    def __init__(self, client: ControllerClient, service: str, log: structlog.stdlib.BoundLogger):
        self._client = client
        self._service = service
        self._silence = Outage(log, "observations not sent")
        self._start = secrets.token_hex(6)
        self._count = itertools.count()
        self._queue: deque[Observation] = deque(maxlen=10_000)
        self._wake = asyncio.Event()

    def report(
        self, seen: Seen, mac: str = "", client: str = "", detail: dict[str, str] | None = None
    ) -> None:
        """Queue one observation; see `ironwake.report.Observation` for the fields."""
        number = f"{self._service}-{self._start}-{next(self._count)}"
        self._queue.append(Observation(number, self._service, seen, mac, client, detail or {}))
        self._wake.set()

    async def run(self) -> None:
        """Send for ever; what could not be sent is sent again."""
        waits = Waits()
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                batch = tuple(itertools.islice(self._queue, 200))
                try:
                    await self._client.observe(batch)
                except IronwakeError as error:
                    self._silence.failed(error)
                    await asyncio.sleep(waits.next())
                    continue
                waits.reset()
                self._silence.over()
                for item in batch:
                    if self._queue and self._queue[0] is item:
                        self._queue.popleft()


class Waits:
    """Pauses that grow, until something works."""

    def __init__(self) -> None:
        self._left = list(_BACK_OFF)

    def next(self) -> float:
        return self._left.pop(0) if len(self._left) > 1 else self._left[0]

    def reset(self) -> None:
        self._left = list(_BACK_OFF)
