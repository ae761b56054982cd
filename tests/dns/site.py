"""A small site's view: two machines with an address, one without."""

from __future__ import annotations

from ironwake.mac import Mac
from ironwake.machine import Machine
from ironwake.names import DomainName, HostName
from ironwake.site import Site
from ironwake.view import Entry, View
from ironwake_dns.answer import Zone


def zone(address: str = "192.0.2.1", prefix: int = 24) -> Zone:
    """The zone of `view`."""
    return Zone.of(view(address, prefix))


def view(address: str = "192.0.2.1", prefix: int = 24) -> View:
    """The site of site.example, with node1 at .10, node2 at .11, and node3 nowhere yet."""
    network = address.rpartition(".")[0]
    hosts = {"node1": f"{network}.10", "node2": f"{network}.11", "node3": ""}
    entries = tuple(
        Entry(Machine(HostName(name), (Mac(f"52:54:00:00:00:{n:02}"),)), None, place)
        for n, (name, place) in enumerate(hosts.items())
    )
    site = Site(address, prefix, domain=DomainName("site.example"))
    return View(7, site, entries=entries)
