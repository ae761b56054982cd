"""Build the http service from its settings and run it."""

from __future__ import annotations

import asyncio
import time

from ironwake.sizes import octets
from ironwake_http.captures import Captures
from ironwake_http.limits import Limits
from ironwake_http.ports import listen
from ironwake_http.server import serving
from ironwake_http.service import Service
from ironwake_http.witness import Witness
from ironwake_runtime import descriptors, interfaces, neighbours, service
from ironwake_runtime.artifacts import ArtifactStore
from ironwake_runtime.controller import ControllerClient, Reporter, ViewFollower
from ironwake_runtime.settings import Settings


async def run(settings: Settings, log: service.Log) -> None:
    """Serve until cancelled. IronwakeError for a wrong interface or a taken port."""
    interface = None if settings.address else interfaces.find(settings.interface)
    address = interface.address if interface else settings.address
    sock = listen(address, settings.http_port)
    client = ControllerClient(settings.controller_url, settings.service_token_file)
    follower = ViewFollower(client, settings.views / "http.json", log)
    reporter = Reporter(client, "http", log)
    cards = neighbours.on(interface.name) if interface else neighbours.lookup
    built = Service(
        controller=client,
        store=ArtifactStore(settings.artifacts),
        captures=Captures(settings.captures, octets(settings.image_largest)),
        witness=Witness(reporter.report, cards, time.monotonic),
        log=log,
        limits=Limits(connections=descriptors.clients(Limits.connections)),
    )
    follower.on_change(built.take)
    try:
        async with serving(built, sock):
            log.info("listening", address=address, port=settings.http_port)
            # One's own choice of an address stays, whatever becomes of the interface.
            watch = (interfaces.watch(interface, log),) if interface else ()
            await asyncio.gather(follower.run(), reporter.run(), *watch)
    finally:
        await client.close()


def main() -> None:
    """Entry point of `python -m ironwake_http`."""
    service.main("http", run)


if __name__ == "__main__":
    main()
