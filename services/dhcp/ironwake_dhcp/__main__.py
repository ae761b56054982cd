"""`python -m ironwake_dhcp`: the composition root of the DHCP service."""

from __future__ import annotations

import asyncio
from ipaddress import AddressValueError, IPv4Address

from ironwake.errors import InputError
from ironwake_dhcp.exchange import Exchange, Lending
from ironwake_dhcp.lease_file import LeaseFile
from ironwake_dhcp.leases import Leases, Pool
from ironwake_dhcp.lend import Lender
from ironwake_dhcp.reply import Terms
from ironwake_dhcp.server import Place, Server
from ironwake_runtime import interfaces, service
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
    journal = LeaseFile(settings.state_dir / "dhcp" / "leases.jsonl")
    try:
        lending = _lending(settings, place, journal) if settings.dhcp_mode == "server" else None
        exchange = Exchange(reporter.report, lending)
        follower.on_change(exchange.take)
        server = Server(exchange, lambda: find_place(settings), log)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.run())
            tasks.create_task(follower.run())
            tasks.create_task(reporter.run())
    except ExceptionGroup as group:
        raise group.exceptions[0] from None  # the first failure ended the others
    finally:
        journal.close()
        await client.close()


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


def _lending(settings: Settings, place: Place, journal: LeaseFile) -> Lending:
    network = interfaces.find(settings.interface).network
    first, dash, last = settings.dhcp_pool.partition("-")
    if not dash:
        raise InputError(
            f"{settings.dhcp_pool!r} is not a pool of addresses",
            f"write the first and the last one inside {network}, joined by a hyphen",
            "IRONWAKE_DHCP_POOL",
        )
    pool = Pool(
        network,
        _address(first, "IRONWAKE_DHCP_POOL"),
        _address(last, "IRONWAKE_DHCP_POOL"),
        place.address,
    )
    router = settings.dhcp_router
    terms = Terms(
        netmask=network.netmask,
        router=_address(router, "IRONWAKE_DHCP_ROUTER") if router else None,
        name_servers=(place.address,),
        domain=settings.domain,
        seconds=pool.seconds,
    )
    leases = Leases(pool, journal.load())
    journal.start(leases.all())
    return Lending(Lender(place.address, terms), leases, journal.keep)


def _address(text: str, setting: str) -> IPv4Address:
    try:
        return IPv4Address(text.strip())
    except AddressValueError:
        raise InputError(
            f"{text!r} is not an IPv4 address", "write it as in 192.0.2.10", setting
        ) from None


if __name__ == "__main__":
    main()
