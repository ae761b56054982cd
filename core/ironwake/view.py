"""The view: what the data plane knows, kept in memory and on disk: packets cause no calls."""

from __future__ import annotations

from dataclasses import dataclass, field

from ironwake import plan
from ironwake.deployment import Deployment
from ironwake.firmware import BY_NAME, Firmware
from ironwake.loaders.base import Loader
from ironwake.mac import Mac
from ironwake.machine import Machine
from ironwake.site import Policy, Shelf, Site

# For the hops after DHCP, where the firmware is known only by what it loads.
ANY_UEFI = BY_NAME["uefi-amd64-pxe"]


@dataclass(frozen=True)
class Entry:
    """A machine, its latest deployment, and its last known IPv4 address ("" when there is none)."""

    machine: Machine
    deployment: Deployment | None = None
    address: str = ""


@dataclass(frozen=True)
class View:
    """Everything at one version; the version grows with every change, across restarts too."""

    version: int
    site: Site
    shelf: Shelf = field(default_factory=Shelf)
    entries: tuple[Entry, ...] = ()


class Index:
    """A view, indexed once for many questions. Immutable: a new view makes a new index."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.policy = Policy(view.site, view.shelf)
        self._by_mac = {mac: entry for entry in view.entries for mac in entry.machine.macs}
        self._by_address = {entry.address: entry for entry in view.entries if entry.address}
        self._by_name: dict[str, Entry] = {entry.machine.name: entry for entry in view.entries}

    def by_mac(self, mac: Mac) -> Entry | None:
        return self._by_mac.get(mac)

    def by_address(self, address: str) -> Entry | None:
        return self._by_address.get(address)

    def by_name(self, name: str) -> Entry | None:
        return self._by_name.get(name)

    def resolve(self, mac: Mac, firmware: Firmware = ANY_UEFI) -> plan.Decision:
        """The decision for the machine with this card; see `ironwake.plan`."""
        known = self._by_mac.get(mac)
        return plan.resolve(
            plan.BootRequest(mac, firmware),
            known.machine if known else None,
            known.deployment if known else None,
            self.policy,
        )

    def script(self, mac: Mac, loader: Loader) -> str:
        """The per-machine script in this loader's language; always valid."""
        known = self._by_mac.get(mac)
        return plan.script(
            loader,
            plan.BootRequest(mac, ANY_UEFI),
            known.machine if known else None,
            known.deployment if known else None,
            self.policy,
        )
