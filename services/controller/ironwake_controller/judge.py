"""Is it stuck? Pure: how long nothing was heard goes in, what a person should read comes out."""

from __future__ import annotations

from dataclasses import dataclass

from ironwake.deadlines import DEADLINES
from ironwake.lifecycle import State


@dataclass(frozen=True)
class Stuck:
    """In which stage, why as far as can be told, and what to do."""

    stage: State
    cause: str
    next_step: str


def stuck(state: State, quiet: float, scale: float = 1.0) -> Stuck | None:
    """The judgement on a deployment of which nothing was heard for `quiet` seconds in `state`."""
    deadline = DEADLINES.get(state)
    if deadline is None or quiet < deadline.seconds * scale:
        return None
    return Stuck(state, deadline.cause, deadline.next_step)


def refused(stuck: Stuck, fetched: str, warning: str) -> Stuck:
    """The same judgement, more exactly, where nothing was asked for after the loader itself.

    :param fetched: the last loader file that was taken in full, "" where none was
    :param warning: what was said of this network when the loader was offered, "" for nothing
    """
    if warning:
        cause, _, step = warning.partition("; ")
        return Stuck(stuck.stage, cause, step)
    name = fetched.rpartition("/")[2]
    who = "shim" if name.startswith("grub") else "the firmware"
    if not name.endswith(".efi"):
        return stuck
    return Stuck(
        stuck.stage,
        f"{who} fetched all of {fetched} and did not start it: Secure Boot refuses a loader that "
        "was changed, or whose signature it does not trust",
        "make the loaders anew (ironwake media add loaders), and see in the firmware's set-up that "
        "Microsoft's UEFI CA is among its keys",
    )


def patience(state: State) -> float:
    """Seconds until a deployment in this state, of which nothing is heard, is stuck."""
    return DEADLINES[state].seconds
