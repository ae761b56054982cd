"""The ramdisk's second part: programs and modules that few orders need, fetched when one does.

The loader brings the first part, and loaders fetch slowly. This one is named beside it, in the same
boot script, by its SHA-256; nothing of it is unpacked before all of it is known to be that.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ironwake.errors import BrokenError, IronwakeError
from ironwake.layout.packages import needed
from ironwake.order import Archive, Order
from ironwake.sizes import size_text
from ironwake_agent import unpack
from ironwake_agent.patience import Patience

# Without a byte: an appliance that restarts is back by then, and has not given this machine up yet
# (`deadlines`), so that it hears why.
PATIENCE = Patience(180.0)


def are_needed(order: Order) -> bool:
    """Whether the order is for more than an archive on plain partitions of ext4, FAT and swap.

    A person's script that runs in the ramdisk may call any program.
    """
    return order.archive is None or bool(order.scripts.pre or needed(order.layout))


def bring(
    tools: Archive | None,
    say: Callable[[str], None],
    root: Path = Path("/"),
    patience: Patience = PATIENCE,
) -> None:
    """Fetch them, verify them, and lay them over the ramdisk.

    :raises DamagedError: they are not what the boot script named; nothing was unpacked
    :raises BrokenError: they are not to be had, or find no room
    """
    if tools is None:
        raise BrokenError(
            "this order needs the ramdisk's second part, and the boot script named none",
            "boot this machine anew, with the appliance's own script",
        )
    say(f"fetching more programs: {size_text(tools.size)}")
    try:
        chunks = list(unpack.fetch(tools, patience, say))
        unpack.check(tools, chunks)
        unpack.unpack(tools, iter(chunks), root, lambda _: None)
    except IronwakeError as error:
        what = f"the ramdisk's second part is not to be had: {error.what}"
        raise type(error)(what, error.next_step) from None
