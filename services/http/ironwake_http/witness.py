"""Tells the controller what machines asked for: the timeline that needs no word of an installer.

Whose request it was is found by the client's address: the kernel's neighbour table first, then the
script that this address asked for last, then the view's last known addresses. A guess is only
taken when it names an enrolled machine.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

from ironwake.mac import Mac
from ironwake.plan import LOADERS
from ironwake.report import Report, Seen
from ironwake.site import Stored
from ironwake.view import Index
from ironwake_http.sending import Sent
from ironwake_http.stock import INSIDE

_ROLES = {
    "kernel": Seen.KERNEL,
    "installer-kernel": Seen.KERNEL,
    "initrd": Seen.INITRD,
    "installer-initrd": Seen.INITRD,
    "archive": Seen.ARCHIVE,
}
_LARGE = 1 << 20  # bytes; of less, only whether a loader was taken in full tells anything
_LARGE_INSIDE = 64 << 20  # bytes; an installation takes hundreds of packages from a medium
_MEMORY = 4096  # addresses, and refusals, remembered
_QUIET = 10.0  # seconds in which the same refusal to the same client is told once

K = TypeVar("K")
V = TypeVar("V")


class Witness:
    """`clock` gives monotonic seconds."""

    def __init__(
        self,
        report: Report,
        neighbour: Callable[[str], Mac | None],
        clock: Callable[[], float],
    ) -> None:
        self._report = report
        self._neighbour = neighbour
        self._clock = clock
        self._macs: OrderedDict[str, Mac] = OrderedDict()
        self._told: OrderedDict[tuple[str, str], float] = OrderedDict()

    def script(self, index: Index | None, client: str, mac: Mac, detail: dict[str, str]) -> None:
        """A boot script was asked for; from now on this address is that machine's."""
        if index is None or index.by_mac(mac) is None:
            self._refused(client, str(mac), detail)
            return
        _keep(self._macs, client, mac)
        self._report(Seen.SCRIPT, mac, client, detail)

    def fetched(self, index: Index | None, client: str, item: Stored) -> None:
        """A loader, kernel, ramdisk or archive was asked for, from its first byte on."""
        seen = Seen.LOADER if item.manifest == LOADERS else _ROLES.get(item.role)
        if seen is not None:
            detail = {"file": _name(item), "manifest": item.manifest}
            self._report(seen, self.mac_of(index, client), client, detail)

    def sent(self, index: Index | None, client: str, item: Stored, sent: Sent) -> None:
        """A transfer ended, well or not."""
        least = _LARGE_INSIDE if item.role == INSIDE else _LARGE
        if item.manifest == LOADERS or max(sent.size, sent.wanted) >= least:
            self._report(
                Seen.SENT,
                self.mac_of(index, client),
                client,
                {
                    "file": _name(item),
                    "manifest": item.manifest,
                    "bytes": str(sent.size),
                    "seconds": f"{sent.seconds:.3f}",
                    "complete": "yes" if sent.size == sent.wanted else "no",
                },
            )

    def refused(self, index: Index | None, client: str, what: str, reason: str) -> None:
        """Something was asked for and not given. `what` must not contain a token."""
        self._refused(client, self.mac_of(index, client), {"what": what, "reason": reason})

    def card(self, client: str) -> Mac | None:
        """The card that has this address, where it is one of our own network."""
        return self._neighbour(client)

    def other_card(self, client: str, card: Mac, mac: Mac, name: str) -> None:
        """A machine's script was asked for from a card that is none of its."""
        # Without the client's address: it is not the machine's, and must not be taken for it.
        what = f"the boot script of {name}"
        self._refused("", mac, {"what": what, "reason": f"{client} has the card {card}"})

    def mac_of(self, index: Index | None, client: str) -> str:
        """The card behind an address, or ""."""
        if index is None:
            return ""
        for guess in (self._neighbour(client), self._macs.get(client)):
            if guess is not None and index.by_mac(guess) is not None:
                return guess
        entry = index.by_address(client)
        return entry.machine.macs[0] if entry else ""

    def _refused(self, client: str, mac: str, detail: dict[str, str]) -> None:
        key, now = (client, mac + str(sorted(detail.items()))), self._clock()
        # Anyone can make us refuse as fast as the network is: the controller hears of it rarely.
        if now - self._told.get(key, now - _QUIET) >= _QUIET:
            _keep(self._told, key, now)
            self._report(Seen.REFUSED, mac, client, detail)


def _keep(memory: OrderedDict[K, V], key: K, value: V) -> None:
    memory[key] = value
    memory.move_to_end(key)
    if len(memory) > _MEMORY:
        memory.popitem(last=False)


def _name(item: Stored) -> str:
    """As a person knows it: a loader by its path, which TFTP tells, too."""
    return item.role if item.manifest == LOADERS else item.file
