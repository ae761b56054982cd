"""Build the TFTP service from its settings and run it."""

from __future__ import annotations

import asyncio
from ipaddress import IPv4Address

from ironwake.site import Stored
from ironwake_runtime import descriptors, interfaces, neighbours, service
from ironwake_runtime.artifacts import ArtifactStore
from ironwake_runtime.controller import ControllerClient, Reporter, ViewFollower
from ironwake_runtime.settings import Settings
from ironwake_tftp.admission import Caps
from ironwake_tftp.files import Registry
from ironwake_tftp.options import Limits
from ironwake_tftp.server import Server, Surroundings, listen

_OVERHEAD = 20 + 8 + 4  # IPv4, UDP and DATA headers
_PORTS = 2  # of a transfer: descriptors


async def run(settings: Settings, log: service.Log) -> None:
    """Serve until cancelled. IronwakeError for a wrong interface or a taken port."""
    interface = interfaces.find(settings.interface)
    store = ArtifactStore(settings.artifacts)
    client = ControllerClient(settings.controller_url, settings.service_token_file)
    follower = ViewFollower(client, settings.views / "tftp.json", log)
    reporter = Reporter(client, "tftp", log)

    def fetch(item: Stored) -> bytes:
        return store.path(item.sha256).read_bytes()

    def ask(address: str) -> bool:
        near = IPv4Address(address) in interface.network
        if near:
            neighbours.ask(address)
        return near

    sock = listen(interface.name, settings.tftp_port)
    cards = neighbours.on(interface.name)
    around = Surroundings(lambda: follower.index, cards, ask, reporter.report, log)
    limits = Limits(max_blksize=_blksize(interface.name))
    caps = Caps(total=descriptors.clients(Caps().total, _PORTS))
    server = Server(sock, interface.index, Registry(fetch), around, limits, caps)
    log.info("listening", interface=interface.name, port=settings.tftp_port)
    try:
        await asyncio.gather(
            server.run(), follower.run(), reporter.run(), interfaces.watch(interface, log)
        )
    finally:
        await client.close()


def _blksize(interface: str) -> int:
    """The largest block that is not fragmented on this interface: 1468 on Ethernet."""
    return max(8, min(interfaces.mtu_of(interface) - _OVERHEAD, 65464))


def main() -> None:
    """Entry point of `python -m ironwake_tftp`."""
    service.main("tftp", run)


if __name__ == "__main__":
    main()
