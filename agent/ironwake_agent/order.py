"""Fetching the order: what to make of this machine, handed out once."""

from __future__ import annotations

from collections.abc import Callable, Collection

from ironwake.errors import BrokenError, GoneError, RefusedError
from ironwake.mac import Mac
from ironwake.order import Order
from ironwake.wire import decode
from ironwake_agent.client import Answer, UnreachableError
from ironwake_agent.patience import Patience


class NothingToDoError(GoneError):
    """The appliance has nothing (more) to do for this machine: it shall boot its own disk."""


def fetch(get: Callable[[], Answer], patience: Patience, say: Callable[[str], None]) -> Order:
    """Ask until there is an answer.

    :param get: one request
    :param say: told once when the appliance does not answer at once
    :raises NothingToDoError: there is no such order, or it was handed out before
    :raises BrokenError: no answer in time, or one that is not an order
    """
    waiting = patience.start()
    told = ""
    while True:
        try:
            answer = get()
        except UnreachableError as error:
            trouble = str(error)
        else:
            if not answer.is_passing:
                return _read(answer)
            trouble = answer.reason
        if trouble != told:
            say(f"the appliance gives no order yet: {trouble}")
            told = trouble
        if not waiting.again():
            raise BrokenError(
                f"no order within {patience.seconds:g} s: {trouble}",
                "look at the appliance and the network between, then reset this machine",
            )


def _read(answer: Answer) -> Order:
    if answer.is_ok:
        return decode(Order, answer.body)
    if answer.is_over or answer.status == 409:
        raise NothingToDoError(f"there is nothing to install here: {answer.reason}")
    raise BrokenError(f"the appliance gave no order: {answer.reason}")


def check_machine(order: Order, cards: Collection[Mac]) -> None:
    """Refuse an order for another machine: its disk must not pay for a mixed-up address."""
    if order.mac not in cards:
        raise RefusedError(
            f"this order is for {order.machine} with the card {order.mac}, and this machine has"
            f" {', '.join(sorted(cards)) or 'no card'}",
            "correct the machine's MAC addresses",
        )
