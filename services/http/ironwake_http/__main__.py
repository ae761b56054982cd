"""Build the http service from its settings and run it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Coroutine

from ironwake.errors import IronwakeError
from ironwake.sizes import octets
from ironwake_http import monitor, syslog
from ironwake_http.captures import Captures
from ironwake_http.hearsay import Hearsay
from ironwake_http.limits import Limits
from ironwake_http.ports import listen
from ironwake_http.server import serving
from ironwake_http.service import Service
from ironwake_http.witness import Witness
from ironwake_runtime import descriptors, interfaces, neighbours, service, udp
from ironwake_runtime.artifacts import ArtifactStore
from ironwake_runtime.controller import ControllerClient, Reporter, ViewFollower
from ironwake_runtime.ports import Port
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
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(serving(built, sock))
            log.info("listening", address=address, port=settings.http_port)
            heard = await _listen(stack, Hearsay(built), settings, address, log)
            # One's own choice of an address stays, whatever becomes of the interface.
            watch = (interfaces.watch(interface, log),) if interface else ()
            await asyncio.gather(follower.run(), reporter.run(), *heard, *watch)
    finally:
        await client.close()


async def _listen(
    stack: contextlib.AsyncExitStack,
    hearsay: Hearsay,
    settings: Settings,
    address: str,
    log: service.Log,
) -> list[Coroutine[None, None, None]]:
    """To what installers say otherwise, where it is wanted; what has to be run for it.

    Without these ports machines are installed all the same: who has one is said, and no more. The
    other services go by the settings: machines are sent there, whoever listens.
    """
    told: list[Coroutine[None, None, None]] = [hearsay.run()]

    def tcp(number: int) -> socket.socket:
        return listen(address, number, "IRONWAKE_MONITOR_PORT")

    if sock := opened(tcp, settings.monitor_port, log):
        await stack.enter_async_context(monitor.serving(hearsay, sock))

    def datagrams(number: int) -> socket.socket:
        return udp.listen(Port("http", "udp", number, "IRONWAKE_SYSLOG_PORT", address))

    if sock := opened(datagrams, settings.syslog_port, log):
        receiver = await stack.enter_async_context(syslog.serving(hearsay, sock, time.monotonic))
        told.append(receiver.run())
    return told


def opened(
    opener: Callable[[int], socket.socket], number: int, log: service.Log
) -> socket.socket | None:
    """The socket for this port; None where none is wanted, or it cannot be had, which is said."""
    if not number:
        return None
    try:
        return opener(number)
    except IronwakeError as error:
        log.warning(
            "installers are not heard here, and are told to come here all the same",
            port=number,
            error=error.what,
            next_step=f"{error.next_step}; {error.where}=0 tells none",
        )
        return None


def main() -> None:
    """Entry point of `python -m ironwake_http`."""
    service.main("http", run)


if __name__ == "__main__":
    main()
