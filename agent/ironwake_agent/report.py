"""Reports to the appliance: in order, each counted once, repeated until they are heard.

A thread sends them, so that unpacking does not stand still while the appliance restarts; whoever
needs an answer (`flush`) waits for it. What the appliance says back matters in one case: 404 or 410
mean that this deployment is over, and then nothing more may be written (`check`).
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from ironwake.disk import Disk
from ironwake.errors import BrokenError, GoneError
from ironwake.report import Callback, Stage
from ironwake.wire import encode
from ironwake_agent.client import Answer, UnreachableError
from ironwake_agent.steps import Percent, Step

PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0)  # seconds between repeats; the last one again and again
_SPACING = 1.0  # seconds between two reports of one step: a person's eye needs no more
_LONGEST_LOG = 16_000  # characters


class CancelledError(GoneError):
    """The appliance says that this deployment is over: stop before the next write."""


_STEPS = (Stage.INSTALLING, Stage.WORKING)


def _step(callback: Callback) -> tuple[Stage, str]:
    return callback.stage, callback.step


class Outbox:
    """What is still to be sent, oldest first. Of one step's percents only the newest is kept."""

    def __init__(self) -> None:
        self._waiting: deque[Callback] = deque()
        self._sending: Callback | None = None

    def add(self, callback: Callback) -> None:
        last = self._waiting[-1] if self._waiting else None
        if last and callback.stage in _STEPS and (last.stage, last.step) == _step(callback):
            self._waiting.pop()
        self._waiting.append(callback)

    def take(self) -> Callback | None:
        """What to send now: the same one until `done`."""
        if self._sending is None and self._waiting:
            self._sending = self._waiting.popleft()
        return self._sending

    def done(self) -> None:
        self._sending = None

    @property
    def is_empty(self) -> bool:
        return self._sending is None and not self._waiting


class Reporter:
    """Sends callbacks.

    :param post: sends one body; raises UnreachableError
    :param pauses: seconds between repeats
    :param new_id: a fresh id for each report
    """

    def __init__(
        self,
        post: Callable[[bytes], Answer],
        pauses: Sequence[float] = PAUSES,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._post = post
        self._pauses = pauses
        self._new_id = new_id
        self._clock = clock
        self._outbox = Outbox()
        self._changed = threading.Condition()
        self._over = ""
        self._refused = ""
        self._percent = Percent()
        self._last: tuple[str | None, float] = (None, 0.0)
        self._now: Callback | None = None
        threading.Thread(target=self._run, name="reports", daemon=True).start()

    def facts(self, facts: dict[str, str], disks: Sequence[Disk] = ()) -> None:
        self._add(Callback(Stage.FACTS, facts=facts, disks=tuple(disks)))

    def step(self, step: Step, fraction: float = 0.0, message: str = "") -> None:
        """Say how far a step is; at most once a second within the same step."""
        percent = self._percent.at(step, fraction)
        self._tell(Callback(Stage.INSTALLING, step=step, percent=percent, message=message))

    def work(self, step: str, percent: float = 0.0, message: str = "") -> None:
        """The same, of an order that installs nothing: percent of all its work."""
        percent = round(min(max(percent, 0.0), 99.0), 1)
        self._tell(Callback(Stage.WORKING, step=step, percent=percent, message=message))

    def alive(self, message: str) -> None:
        """Say that the last step goes on: its deadline begins anew. From any thread."""
        if step := self._now:
            self._add(replace(step, message=message))

    def log(self, text: str) -> None:
        self._add(Callback(Stage.LOG, message=text[-_LONGEST_LOG:]))

    def failed(self, reason: str) -> None:
        self._add(Callback(Stage.FAILED, message=reason))

    def installed(self, message: str = "") -> None:
        self._add(Callback(Stage.INSTALLED, percent=100.0, message=message))

    def done(self, message: str) -> None:
        """The last word of an order that installs nothing."""
        self._add(Callback(Stage.DONE, percent=100.0, message=message))

    def check(self) -> None:
        """Raise CancelledError once the appliance has said that the deployment is over."""
        if self._over:
            raise CancelledError(f"the appliance has ended this deployment: {self._over}")

    def flush(self, seconds: float) -> None:
        """Wait until all reports are heard.

        :raises CancelledError: the deployment is over
        :raises BrokenError: the time ran out, or the appliance refused the last report
        """
        with self._changed:
            heard = self._changed.wait_for(lambda: self._outbox.is_empty or self._over, seconds)
        self.check()
        if not heard:
            raise BrokenError(
                f"the appliance did not take this machine's report within {seconds:g} s",
                "look at the appliance and its network",
            )
        if self._refused:
            raise BrokenError(f"the appliance did not accept a report: {self._refused}")

    def _tell(self, callback: Callback) -> None:
        now = self._clock()
        last_step, last_time = self._last
        if callback.step != last_step or now - last_time >= _SPACING:
            self._last = (callback.step, now)
            self._now = callback
            self._add(callback)

    def _add(self, callback: Callback) -> None:
        with self._changed:
            self._outbox.add(replace(callback, id=self._new_id()))
            self._changed.notify_all()

    def _run(self) -> None:
        pauses = self._restart()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: not self._outbox.is_empty)
                callback = self._outbox.take()
            if callback is None or self._heard(callback):
                pauses = self._restart()
                with self._changed:
                    self._outbox.done()
                    self._changed.notify_all()
            else:
                time.sleep(next(pauses))

    def _heard(self, callback: Callback) -> bool:
        """Send; whether there is an answer that no repeat would change."""
        try:
            answer = self._post(encode(callback))
        except UnreachableError:
            return False
        if answer.is_passing:
            return False
        if answer.is_over and callback.stage is not Stage.FACTS:
            self._over = answer.reason
        # Only the last word matters: a percent that came out of turn harms nobody.
        self._refused = "" if answer.is_ok else answer.reason
        return True

    def _restart(self) -> Iterator[float]:
        yield from self._pauses
        while True:
            yield self._pauses[-1]
