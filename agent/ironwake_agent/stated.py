"""What a person stated of the new system besides its names and accounts, carried out in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ironwake.order import Order
from ironwake.parameters.network import Network
from ironwake_agent import confinement


def with_words(root: Path, order: Order) -> Order:
    """The order, with all that the kernel of this system shall be started with."""
    words = confinement.words(root, order.security)
    return replace(order, kernel_arguments=(*order.kernel_arguments, *words))


def carry_out(root: Path, order: Order, *, network: bool = True) -> None:
    """Write it; all packages are there.

    :param network: False where somebody else tells it
    :raises BrokenError: the system has nothing that could be told it
    """
    if network and order.network != Network():
        from ironwake_agent import addresses  # few machines wait for its three formats

        addresses.configure(root, order.network, order.mac)
    if order.ntp:
        from ironwake_agent import timekeeping

        timekeeping.configure(root, order.ntp)
    confinement.configure(root, order.security)
