"""The view: what the data plane knows, kept in memory and on disk: packets cause no calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ironwake import plan, wire
from ironwake.deployment import Deployment
from ironwake.firmware import BY_NAME, FIRMWARE, Architecture, Firmware
from ironwake.lease import Lent
from ironwake.loaders.base import Loader
from ironwake.mac import Mac
from ironwake.machine import Machine
from ironwake.memory import Memory
from ironwake.quirks import Quirk
from ironwake.site import ForeignServer, Policy, Shelf, Site


def usual_firmware(machine: Machine | None, loader: Loader | None = None) -> Firmware:
    """For the hops after DHCP, where the firmware is known only by the loader that it started."""
    architecture = machine.architecture if machine else Architecture.AMD64
    usual = BY_NAME[f"uefi-{architecture}-pxe"]
    if loader is None or loader.serves(usual):
        return usual
    own = (row for row in FIRMWARE if row.architecture is architecture and loader.serves(row))
    return next(own, usual)


@dataclass(frozen=True)
class Entry:
    """A machine, its latest deployment, and its last known IPv4 address ("" when there is none)."""

    machine: Machine
    deployment: Deployment | None = None
    address: str = ""
    memory: Memory = field(default_factory=Memory)


@dataclass(frozen=True)
class View:
    """Everything at one version; the version grows with every change, across restarts too.

    `leases`: the addresses that clients have of us now, whoever they are, the longest known first.
    """

    version: int
    site: Site
    shelf: Shelf = field(default_factory=Shelf)
    entries: tuple[Entry, ...] = ()
    quirks: tuple[Quirk, ...] = ()
    foreign: tuple[ForeignServer, ...] = ()
    leases: tuple[Lent, ...] = ()


@dataclass(frozen=True)
class ViewChange:
    """What is new since version `since`: `view` has only the entries that are others now.

    `gone`: names of machines that are in it no more. Since -1, `view` is the whole.
    """

    view: View
    since: int = -1
    gone: tuple[str, ...] = ()


class Pieces:
    """A view's entries by name, each encoded once: of a thousand machines, one changes at a time.

    Encoding and decoding of all of them, at each change and in each service, would be all that the
    appliance does while many machines are installed.
    """

    def __init__(self, view: View | None = None) -> None:
        self._entries: dict[str, Entry] = {}
        self._encoded: dict[str, bytes] = {}
        for entry in view.entries if view else ():
            self._put(entry)

    def take(self, change: ViewChange) -> View:
        """The whole view after this change."""
        if change.since < 0:
            self._entries, self._encoded = {}, {}
        for name in change.gone:
            self._entries.pop(name, None)
            self._encoded.pop(name, None)
        for entry in change.view.entries:
            self._put(entry)
        entries = tuple(self._entries[name] for name in sorted(self._entries))
        return replace(change.view, entries=entries)

    def encode(self, view: View) -> bytes:
        """The same as `wire.encode(view)`, for the view that was taken last."""
        return joined(view, [self._encoded[entry.machine.name] for entry in view.entries])

    def _put(self, entry: Entry) -> None:
        self._entries[entry.machine.name] = entry
        self._encoded[entry.machine.name] = wire.encode(entry)


_ENTRIES = b'{"entries":['  # the first key in the order that `wire.encode` gives them
_VIEW = b'"view":'  # the last one of a change


def joined(view: View, entries: Sequence[bytes]) -> bytes:
    """`wire.encode(view)` with these in place of its own entries."""
    rest = wire.encode(replace(view, entries=())).removeprefix(_ENTRIES)
    return _ENTRIES + b",".join(entries) + rest


def joined_change(change: ViewChange, entries: Sequence[bytes]) -> bytes:
    """`wire.encode(change)` with these in place of its view's own entries."""
    nothing = View(change.view.version, change.view.site)
    head, _, _ = wire.encode(replace(change, view=nothing)).partition(_VIEW)
    return head + _VIEW + joined(change.view, entries) + b"}"


class Index:
    """A view, indexed once for many questions. Immutable: a new view makes a new index."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.policy = Policy(view.site, view.shelf, view.quirks, view.foreign)
        self._by_mac = {mac: entry for entry in view.entries for mac in entry.machine.macs}
        # A machine is itself by whichever card it speaks.
        self._by_address = {
            str(lent.address): self._by_mac[Mac(lent.mac)]
            for lent in view.leases
            if lent.mac in self._by_mac
        } | {entry.address: entry for entry in view.entries if entry.address}
        self._by_name: dict[str, Entry] = {entry.machine.name: entry for entry in view.entries}

    def by_mac(self, mac: Mac) -> Entry | None:
        return self._by_mac.get(mac)

    def by_address(self, address: str) -> Entry | None:
        return self._by_address.get(address)

    def by_name(self, name: str) -> Entry | None:
        return self._by_name.get(name)

    def resolve(self, mac: Mac, firmware: Firmware | None = None, uuid: str = "") -> plan.Decision:
        """The decision for the machine with this card; see `ironwake.plan`."""
        subject = self.subject(mac)
        return plan.resolve(_request(mac, firmware, uuid, subject), subject, self.policy)

    def subject(self, mac: Mac) -> plan.Subject | None:
        """What is known of the machine with this card."""
        known = self._by_mac.get(mac)
        return plan.Subject(known.machine, known.deployment, known.memory) if known else None

    def script(self, mac: Mac, loader: Loader) -> str:
        """The per-machine script in this loader's language; always valid."""
        return self.scripted(mac, loader)[1]

    def scripted(self, mac: Mac, loader: Loader) -> tuple[plan.Decision, str]:
        """What is decided for the machine whose loader asks, and the script that says it."""
        subject = self.subject(mac)
        firmware = usual_firmware(subject.machine if subject else None, loader)
        decision = plan.resolve(plan.BootRequest(mac, firmware), subject, self.policy)
        return decision, plan.script(loader, decision, self.policy.site)


def _request(
    mac: Mac, firmware: Firmware | None, uuid: str, subject: plan.Subject | None
) -> plan.BootRequest:
    usual = usual_firmware(subject.machine if subject else None)
    return plan.BootRequest(mac, firmware or usual, uuid)
