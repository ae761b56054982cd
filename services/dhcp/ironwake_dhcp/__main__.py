"""`python -m ironwake_dhcp`: the composition root of the DHCP service."""

from __future__ import annotations

import asyncio
from ipaddress import AddressValueError, IPv4Address

from ironwake.errors import InputError
from ironwake_dhcp import watch_foreign
from ironwake_dhcp.ask_foreign import ask
from ironwake_dhcp.desk import Desk, open_desk
from ironwake_dhcp.exchange import Exchange
from ironwake_dhcp.pace import Limits
from ironwake_dhcp.place import Place
from ironwake_dhcp.server import Server
from ironwake_runtime import interfaces, service
from ironwake_runtime.clock import SystemClock
from ironwake_runtime.controller import ControllerClient, Reporter, ViewFollower
from ironwake_runtime.settings import Settings


def main() -> None:
    """Run until told to stop."""
    service.main("dhcp", run)


async def run(settings: Settings, log: service.Log) -> None:
    """Build the service from its settings and run it."""
    if settings.dhcp_mode == "off":
        log.info("switched off", setting="IRONWAKE_DHCP_MODE")
        # To end would look like a failure to whoever supervises this process.
        await asyncio.Event().wait()
    place = find_place(settings)  # first of all: a wrong interface is said at once
    client = ControllerClient(settings.controller_url, settings.service_token_file)
    reporter = Reporter(client, "dhcp", log)
    follower = ViewFollower(client, settings.views / "dhcp.json", log)
    desk: Desk | None = None
    try:
        if settings.dhcp_mode == "server":
            desk = await open_desk(settings, place, client, log, SystemClock())
        limits = Limits(settings.dhcp_card_rate, settings.dhcp_rate)
        exchange = Exchange(reporter.report, desk.lending if desk else None, limits)
        follower.on_change(exchange.take)
        journal = desk.journal if desk else None
        server = Server(exchange, lambda: find_place(settings), log, journal)
        async with asyncio.TaskGroup() as tasks:
            for work in desk.work(lambda: find_place(settings), reporter.report) if desk else ():
                tasks.create_task(work)
            tasks.create_task(_watch_foreign(settings, reporter, log))
            tasks.create_task(server.run())
            tasks.create_task(follower.run())
            tasks.create_task(reporter.run())
    except ExceptionGroup as group:
        raise group.exceptions[0] from None  # the first failure ended the others
    finally:
        if desk is not None:
            desk.journal.close()
        await client.close()


async def _watch_foreign(settings: Settings, reporter: Reporter, log: service.Log) -> None:
    alone = settings.dhcp_mode == "server" and not settings.dhcp_beside
    await watch_foreign.watch(
        lambda: ask(interfaces.find(settings.interface).name),
        lambda: str(find_place(settings).address),
        watch_foreign.teller(reporter.report, alone=alone),
        log,
    )


def find_place(settings: Settings) -> Place:
    """The interface and ports that the settings name; InputError where they can't be right."""
    interface = interfaces.find(settings.interface)
    return Place(
        interface=interface.name,
        index=interface.index,
        mac=bytes.fromhex(interfaces.mac_of(interface.name).replace(":", "")),
        address=_address(settings.address or interface.address, "IRONWAKE_ADDRESS"),
        server_port=settings.dhcp_port,
        boot_port=settings.dhcp_proxy_port,
    )


def _address(text: str, setting: str) -> IPv4Address:
    try:
        return IPv4Address(text.strip())
    except AddressValueError:
        raise InputError(
            f"{text!r} is not an IPv4 address", "write it as in 192.0.2.10", setting
        ) from None


if __name__ == "__main__":
    main()
