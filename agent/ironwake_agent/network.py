"""The machine's network: the card that booted, and a lease for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ironwake.errors import BrokenError
from ironwake.mac import Mac
from ironwake_agent import facts
from ironwake_agent.commands import CommandError, Runner
from ironwake_agent.patience import Patience

_SCRIPT = "/ironwake/udhcpc.script"


@dataclass(frozen=True)
class Lease:
    """What DHCP gave; `dns` are addresses."""

    interface: str
    address: str
    dns: tuple[str, ...] = ()


def bring_up(
    run: Runner, wanted: Mac | None, patience: Patience, say: Callable[[str], None], root: Path
) -> Lease:
    """Get a lease on the card with the address `wanted` (None: on any).

    :raises BrokenError: no such card, or no lease, within the patience
    """
    candidates = _wait_for_cards(wanted, patience, root)
    waiting = patience.start()
    told = False
    while True:
        for name in candidates:
            if lease := _ask(run, name, root):
                return lease
        if not told:
            say(f"no DHCP server answers on {', '.join(candidates)} yet; still asking")
            told = True
        if not waiting.again():
            break
    cabled = any(facts.has_link(name, root) for name in candidates)
    raise BrokenError(
        f"no DHCP lease on {', '.join(candidates)} within {patience.seconds:g} s"
        + ("" if cabled else "; the card has no link"),
        "look at the DHCP server: it answered this machine's firmware a moment ago"
        if cabled
        else "look at the cable and the switch port",
    )


def read_lease(text: str) -> Lease:
    """From the KEY=VALUE lines that the udhcpc script writes."""
    values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    return Lease(
        values.get("interface", ""), values.get("ip", ""), tuple(values.get("dns", "").split())
    )


def _wait_for_cards(wanted: Mac | None, patience: Patience, root: Path) -> tuple[str, ...]:
    waiting = patience.start()
    while True:
        cards = facts.cards(root)
        names = tuple(name for name, mac in cards.items() if wanted in (None, mac))
        if names:
            return names
        if not waiting.again():
            there = ", ".join(f"{name} ({mac})" for name, mac in cards.items()) or "none"
            raise BrokenError(
                f"the card that booted this machine, {wanted}, has no driver here; cards: {there}",
                "use the ramdisk for real hardware (generic)",
            )


def _ask(run: Runner, name: str, root: Path) -> Lease | None:
    file = root / "run" / f"ironwake-lease-{name}"
    try:
        run("ip", "link", "set", "dev", name, "up")
        # Without -R: releasing the lease at the end would let another machine take the address.
        words = ("-i", name, "-n", "-q", "-f", "-t", "6", "-T", "1", "-A", "1", "-s", _SCRIPT)
        run("busybox", "udhcpc", *words, timeout=60.0)
        lease = read_lease(file.read_text())
    except (CommandError, OSError):
        return None
    return lease if lease.address else None
