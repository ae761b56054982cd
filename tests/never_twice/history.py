"""What really happened, kept by the test itself: no restored copy can take it back."""

from __future__ import annotations

from dataclasses import dataclass, field

from ironwake_controller.claims import REPEAT


@dataclass
class Arm:
    """One deployment that a person armed. Times are monotonic, of the simulated clock.

    `ended` says why nothing may be handed out any more, "" for no reason; `taken` is the client
    that was handed the answers first, `closed` that it has spoken since; `unsure` that a lost reply
    or a restart of the host leaves open whether the answers could be had. `held`: what differed
    from the machine that is meant, until a person has explained it. `owner`: the UUID that was
    offered it first, "" while that may be any.
    """

    id: str
    machine: str
    token: str
    health: str
    payload: str  # the path that hands it out
    until: float
    minutes: float
    ended: str = ""
    taken: tuple[str, str] | None = None
    taken_at: float = 0.0
    closed: bool = False
    installed: bool = False
    unsure: bool = False
    held: str = ""
    owner: str = ""


@dataclass
class History:
    """Every arm by its token, and which machines are locked."""

    arms: dict[str, Arm] = field(default_factory=dict)
    locked: set[str] = field(default_factory=set)

    def add(self, arm: Arm) -> None:
        self.arms[arm.token] = arm

    def of(self, machine: str) -> list[Arm]:
        return [arm for arm in self.arms.values() if arm.machine == machine]

    def by_id(self, name: str) -> Arm:
        return next(arm for arm in self.arms.values() if arm.id == name)

    def newest(self, machine: str) -> Arm | None:
        return next(reversed(self.of(machine)), None)

    def end(self, arm: Arm, why: str) -> None:
        arm.ended = arm.ended or why

    def void(self, why: str) -> None:
        """Nothing that was armed until now may be handed out any more."""
        for arm in self.arms.values():
            self.end(arm, why)

    def pass_time(self, now: float) -> None:
        for arm in self.arms.values():
            if arm.taken is None and now >= arm.until:
                self.end(arm, "expired")

    def forbids(self, token: str, client: tuple[str, str], now: float) -> str:
        """Why this client may not be handed the answers now; "" where it may."""
        arm = self.arms.get(token)
        if arm is None:
            return "nobody armed this"
        if arm.ended:
            return arm.ended
        if arm.machine in self.locked:
            return "locked"
        if arm.held:
            return f"held back: another {arm.held}"
        if arm.taken is None:
            return "" if now < arm.until else "expired"
        if arm.taken != client:
            return f"taken by {arm.taken}"
        if arm.closed:
            return "its client has spoken since"
        return "" if now - arm.taken_at < REPEAT else "the time for repeats is over"

    def grant(self, token: str, client: tuple[str, str], now: float) -> None:
        """It was handed out. AssertionError where it must not have been."""
        why = self.forbids(token, client, now)
        assert not why, f"handed out to {client}, though: {why}"
        arm = self.arms[token]
        if arm.taken is None:
            arm.taken, arm.taken_at = client, now

    def may_show(self, token: str) -> bool:
        """Whether a boot script may still lead to this deployment."""
        arm = self.arms.get(token)
        return arm is not None and self.is_armed(arm)

    def is_armed(self, arm: Arm) -> bool:
        """Whether it may be booted."""
        begun = arm.ended or arm.held or arm.taken is not None
        return not begun and arm.machine not in self.locked
