"""Build the DNS service from its settings and run it."""

from __future__ import annotations

import asyncio
import ipaddress

from ironwake.errors import InputError
from ironwake.view import Index
from ironwake_dns.answer import Zone
from ironwake_dns.server import Address, Server, Surroundings, listen
from ironwake_runtime import interfaces, service
from ironwake_runtime.controller import ControllerClient, ViewFollower
from ironwake_runtime.settings import Settings


class Current:
    """The zone of the newest view; the same object until there is another."""

    def __init__(self) -> None:
        self.zone: Zone | None = None

    def take(self, index: Index) -> None:
        """A new view came."""
        self.zone = Zone.of(index.view)


async def run(settings: Settings, log: service.Log) -> None:
    """Serve until cancelled. IronwakeError for a wrong setting or a taken port."""
    interface = interfaces.find(settings.interface)
    address = settings.address or interface.address
    client = ControllerClient(settings.controller_url, settings.service_token_file)
    follower = ViewFollower(client, settings.views / "dns.json", log)
    current = Current()
    follower.on_change(current.take)
    around = Surroundings(lambda: current.zone, log, resolver(settings.dns_forward))
    sockets = listen(address, settings.dns_port)
    server = Server(sockets, interface.index, around)
    log.info("listening", address=address, port=settings.dns_port)
    try:
        # An address that was set need not be there yet when the interface is back, and starting
        # without it would end this service for good.
        watch = () if settings.address else (interfaces.watch(interface, log),)
        await asyncio.gather(server.run(), follower.run(), *watch)
    finally:
        await client.close()


def resolver(text: str) -> Address | None:
    """`198.51.100.1` or `198.51.100.1:5353`; None for "". Raises InputError."""
    if not text:
        return None
    host, _, port = text.partition(":")
    try:
        number = int(port or "53")
        if not 0 < number < 65536:
            raise ValueError(port)
        return str(ipaddress.IPv4Address(host)), number
    except ValueError:
        raise InputError(
            f"{text!r} is not a resolver's address",
            "write an IPv4 address, with :port if it is not 53",
            "IRONWAKE_DNS_FORWARD",
        ) from None


def main() -> None:
    """Entry point of `python -m ironwake_dns`."""
    service.main("dns", run)


if __name__ == "__main__":
    main()
