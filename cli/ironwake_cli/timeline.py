"""A deployment's events as a person follows them: one line per hop, and one line at the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ironwake.errors import IronwakeError, RefusedError
from ironwake.lifecycle import ENDS, State

_TIMES = "%H:%M:%S"
# How far a deployment has come at least, in percent, when it reaches a state; from these two to the
# next, the machine's own percentage fills the room.
_NEXT = {State.INSTALLING: State.INSTALLED, State.WORKING: State.SUCCEEDED}
_REACHED: dict[State, float] = {
    State.REQUESTED: 0,
    State.ARMED: 2,
    State.OFFERED: 10,
    State.LOADER: 14,
    State.KERNEL: 18,
    State.ANSWERS: 26,
    State.WORKING: 27,
    State.INSTALLING: 28,
    State.INSTALLED: 80,
    State.FIRST_BOOT: 86,
    State.HEALTHY: 98,
    State.SUCCEEDED: 100,
}

_NEWS = 10.0  # percent
_BAD = ("stuck", "failed", "expired", "cancelled")


@dataclass(frozen=True)
class Event:
    """One event; `state` is the deployment's after it, where it moved."""

    id: str
    time: datetime
    kind: str
    text: str = ""
    state: State | None = None
    percent: float | None = None
    detail: dict[str, str] = field(default_factory=dict)


def read(document: dict[str, Any]) -> Event:
    """An event as the controller tells it."""
    state = document.get("state")
    detail = document.get("detail") or {}
    percent = detail.get("percent")
    return Event(
        id=str(document["seq"]),
        time=datetime.fromisoformat(document["at"]).astimezone(UTC),
        kind=str(document["kind"]),
        text=str(document.get("message") or ""),
        state=State(state) if state else None,
        percent=float(percent) if percent is not None else None,
        detail={key: str(value) for key, value in detail.items()},
    )


@dataclass
class Timeline:
    """A fold over the events of one deployment of `machine`."""

    machine: str
    system: str = ""
    state: State = State.REQUESTED
    percent: float = 0.0
    first: datetime | None = None
    woken: datetime | None = None
    seen: datetime | None = None
    healthy: datetime | None = None
    last: str = ""
    cause: str = ""
    next_step: str = ""
    told: tuple[str, float] = ("", 0.0)

    def take(self, event: Event) -> str:
        """Take one event; the line that tells it, or "" where the bar tells enough."""
        self.first = self.first or event.time
        if _switched_on(event):
            self.woken = self.woken or event.time
        if event.state is not None:
            self._move(event.state, event.time)
        after = _NEXT.get(self.state)
        if event.percent is not None and after is not None:
            low, high = _REACHED[self.state], _REACHED[after]
            self._at_least(low + (high - low) * event.percent / 100)
        self.last = _printable(event.text)
        bad = event.kind in _BAD
        self.cause = (event.detail.get("cause") or event.text) if bad else ""
        self.next_step = event.detail.get("next_step", "") if bad else ""
        return "" if self._dull(event) else self._line(event)

    def _dull(self, event: Event) -> bool:
        """Progress within a step, told anew only every tenth part: machines report each second."""
        if event.kind != "progress" or event.percent is None:
            return False
        text, percent = self.told
        if event.text == text and event.percent < percent + _NEWS:
            return True
        self.told = (event.text, event.percent)
        return False

    def _move(self, state: State, time: datetime) -> None:
        self.state = state
        self._at_least(_REACHED.get(state, 0))
        if state in (State.OFFERED, State.LOADER, State.KERNEL):
            self.seen = self.seen or time
        if state is State.HEALTHY:
            self.healthy = self.healthy or time

    def _at_least(self, percent: float) -> None:
        self.percent = max(self.percent, percent)

    def _line(self, event: Event) -> str:
        since = (event.time - (self.first or event.time)).total_seconds()
        name = event.kind.replace("_", " ")
        share = "" if event.percent is None else f"{event.percent:.0f} % "
        first, *more = [_printable(line) for line in event.text.split("\n")]
        line = f"{event.time:{_TIMES}}  {since:6.1f} s  {name:<11} {share}{first}".rstrip()
        return "\n".join((line, *(f"    {other}" for other in more)))

    @property
    def over(self) -> bool:
        return self.state in ENDS

    @property
    def seconds(self) -> float | None:
        """From power-on to the first-boot report, as far as anybody outside can know.

        Power-on is the first magic packet, or when a BMC switched it on; a machine that was
        switched on by hand was first seen when it asked for a loader.
        """
        began = self.woken or self.seen
        if began is None or self.healthy is None:
            return None
        return (self.healthy - began).total_seconds()

    def conclusion(self) -> str:
        """The last line of a deployment that succeeded; else raises what kept it from that."""
        if self.state is not State.SUCCEEDED:
            raise self.error()
        if self.healthy is None:
            return f"{self.machine}: {self.last}"
        took = "" if self.seconds is None else f", {self.seconds:.0f} s from {self._began}"
        return f"{self.machine} is healthy: {self.system}{took}"

    @property
    def _began(self) -> str:
        first = "power-on" if self.woken else "its first request"
        return f"{first} to first-boot report"

    def error(self) -> IronwakeError:
        """Why it did not succeed, or has not yet."""
        words = {
            State.FAILED: "the deployment has failed",
            State.CANCELLED: "the deployment was cancelled",
            State.EXPIRED: "the deployment expired before the machine asked for it",
        }
        what = words.get(self.state, f"the deployment is still {self.state.replace('_', ' ')}")
        cause = f": {self.cause}" if self.cause else ""
        deploy = f"try again with: ironwake deploy {self.machine} --profile PROFILE"
        again = deploy if self.over else ""
        step = self.next_step or again or f"watch on with: ironwake watch {self.machine}"
        return RefusedError(f"{self.machine}: {what}{cause}", step)


def _switched_on(event: Event) -> bool:
    """By a magic packet, or by a BMC that found it off. A reason is one why that was not done."""
    told = event.kind == "wake" or (event.kind == "power" and event.detail.get("found") == "off")
    return told and not event.detail.get("reason")


def _printable(text: str) -> str:
    """What a machine wrote, unable to steer the terminal that shows it."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
