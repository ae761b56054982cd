"""Every state is a fold over the history: this is the fold. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from ironwake import wire
from ironwake.lifecycle import Evidence, State, advance
from ironwake.machine import Machine


class Line(Protocol):
    """What the fold reads of an event."""

    @property
    def kind(self) -> str: ...
    @property
    def machine(self) -> str: ...
    @property
    def deployment(self) -> str: ...
    @property
    def evidence(self) -> str: ...
    @property
    def detail(self) -> dict[str, Any] | None: ...


@dataclass
class Replayed:
    """What the history says there is: deployments by id, machines by name."""

    deployments: dict[str, State] = field(default_factory=dict)
    machines: dict[str, Machine] = field(default_factory=dict)


# Kinds whose detail holds the whole machine as it is from then on.
MACHINE_KINDS = frozenset({"enrolled", "changed", "locked", "unlocked"})


def replay(events: Iterable[Line]) -> Replayed:
    """Fold events, oldest first. RefusedError where the history takes a step that the table lacks.

    A deployment is requested by being armed: its first event is `armed`.
    """
    out = Replayed()
    for event in events:
        if event.kind in MACHINE_KINDS and event.detail is not None:
            out.machines[event.machine] = wire.load(Machine, event.detail["machine"])
        elif event.kind == "removed":
            del out.machines[event.machine]
        if event.evidence:
            before = out.deployments.get(event.deployment, State.REQUESTED)
            out.deployments[event.deployment] = advance(before, Evidence(event.evidence))
    return out
