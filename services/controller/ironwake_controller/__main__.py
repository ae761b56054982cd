"""Build the controller from its settings and run it."""

from __future__ import annotations

import asyncio
import socket

from ironwake_controller import app, house, tokens
from ironwake_controller.limits import Limits
from ironwake_controller.server import Server
from ironwake_runtime import descriptors, service
from ironwake_runtime.clock import SystemClock
from ironwake_runtime.ports import Port, endpoint, opening
from ironwake_runtime.settings import Settings
from ironwake_runtime.shortage import Listener

_LISTEN = "IRONWAKE_CONTROLLER_LISTEN"


async def run(settings: Settings, log: service.Log) -> None:
    """Serve until cancelled.

    :raises InputError: a setting that can't be right
    :raises RefusedError: another controller runs on this database, it is newer than this code, or
        the port is taken
    :raises BrokenError: the database or a token file can't be used
    """
    # The store first: of two controllers, the second shall name the first, not a busy port.
    built = house.build(settings, log, SystemClock())
    try:
        with listen(settings.controller_listen) as sock:
            await _serve(settings, log, built, sock)
    finally:
        built.close()


async def _serve(
    settings: Settings, log: service.Log, built: house.House, sock: socket.socket
) -> None:
    admin, made = tokens.load(settings.admin_token_file)
    data_plane, _ = tokens.load(settings.service_token_file)
    if made:
        log.info("the admin token was made", file=str(settings.admin_token_file))
    limits = Limits(connections=descriptors.clients(Limits.connections))
    server = Server(app.build(built, tokens.Tokens.of(admin, data_plane), limits), limits)
    serving = asyncio.create_task(server.serve(sockets=[sock]))
    keeping = asyncio.create_task(built.housekeeping.run())
    waking = asyncio.create_task(built.wake_loop.run())
    host, port = sock.getsockname()[:2]
    log.info("listening", address=host, port=port, state=str(settings.state_dir))
    try:
        ended, _ = await asyncio.wait(
            (serving, keeping, waking), return_when=asyncio.FIRST_COMPLETED
        )
        for task in ended:
            task.result()  # none ends by itself, but by an error
    finally:
        keeping.cancel()
        waking.cancel()
        built.store.bell.close()  # streams and polls end now
        server.should_exit = True
        await asyncio.gather(serving, keeping, waking, return_exceptions=True)


def listen(where: str) -> socket.socket:
    """A listening socket on "address:port"."""
    host, number = endpoint(where, _LISTEN)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with opening(Port("controller", "tcp", number, _LISTEN, host)):
        there = socket.create_server((host, number), family=family, backlog=512)
        sock = Listener(fileno=there.detach())
    # Without it every answer waits 40 ms for an ACK. The accepted ones inherit it, whoever accepts:
    # asyncio sets it only where it knows the protocol, which Python asks the kernel for here.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def main() -> None:
    """Entry point of `python -m ironwake_controller`."""
    service.main("controller", run)


if __name__ == "__main__":
    main()
