"""The service on loopback: boots as they were recorded, repeats, and many at once."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from ironwake.mac import Mac
from ironwake.report import Seen
from ironwake.site import Stored
from ironwake_tftp.admission import Caps
from ironwake_tftp.options import Limits
from tests.tftp.network import Client
from tests.tftp.rack import ARMED, CONTENT, GRUB, SHIM, fetch
from tests.tftp.recorded import requests
from tests.tftp.rig import RRQ, hear, play, read_all, serving, socket_of_client


def test_an_edk2_boot_from_probe_to_bytes() -> None:
    """Size probe, ERROR 8, the read with a window of 4, and the timeline that comes of it."""

    async def scene() -> None:
        async with serving(limits=Limits()) as rig, socket_of_client() as sock:
            rig.ask(RRQ, sock)
            oack, server = await hear(sock)
            assert oack == b"\0\6blksize\x001468\0tsize\x001036152\0windowsize\x004\0"
            assert server != rig.address, "each transfer has a port of its own"
            sock.sendto(b"\0\5\0\x08User aborted the transfer\0", server)
            await rig.idle()
            client = Client(blksize=1468, windowsize=4)
            await read_all(rig, RRQ.replace(b"tsize\x000\0", b""), client)
            assert bytes(client.received) == SHIM
            await rig.idle()
            assert [seen for seen, _, _ in rig.reported] == [Seen.LOADER, Seen.SENT]
            assert rig.reported[0][1] == ARMED
            assert rig.reported[1][2]["bytes"] == "1036152"
            assert rig.reported[1][2]["outcome"] == "completed"
            assert rig.server.counters["probed"] == 1

    play(scene)


def test_the_same_file_again_is_no_news() -> None:
    """A machine in a loop of restarts has one line of each kind in a few seconds, not thousands."""

    async def scene() -> None:
        async with serving() as rig:
            large = RRQ.replace(b"1468", b"65464")
            for _ in range(3):
                await read_all(rig, large, Client(blksize=65464, windowsize=4))
                await rig.idle()
            assert [seen for seen, _, _ in rig.reported] == [Seen.LOADER, Seen.SENT]
            assert rig.server.counters["completed"] == 3

    play(scene)


def test_every_recorded_request_is_answered() -> None:
    """What firmware sent is answered with an OACK for its options, or ERROR 1 at once."""

    async def scene() -> None:
        known = {name.rpartition("/")[2] for name in CONTENT} | set(CONTENT)
        async with serving(limits=Limits(), caps=Caps(per_source=1000)) as rig:
            for data, request in requests():
                async with socket_of_client() as sock:
                    rig.ask(data, sock)
                    answer, _ = await hear(sock)
                    if request.name.lstrip("/") in known:
                        assert answer.startswith(b"\0\6blksize\0" + str(request.blksize).encode())
                    else:
                        assert answer.startswith(b"\0\5\0\1"), request

    play(scene)


def test_a_repeated_request_is_answered_from_the_same_port() -> None:
    """A client whose OACK was lost asks again: same transfer, same answer."""

    async def scene() -> None:
        async with serving() as rig, socket_of_client() as sock:
            rig.ask(RRQ, sock)
            first = await hear(sock)
            rig.ask(RRQ, sock)
            assert await hear(sock) == first
            assert rig.server.transfers == 1

    play(scene)


def test_a_failure_that_comes_again_is_counted_again() -> None:
    """Where even the ERROR cannot be decided on, nothing is sent, and nobody hides it."""

    class Cards(dict[str, Mac]):
        def __getitem__(self, address: str) -> Mac:
            raise ZeroDivisionError(address)

    async def scene() -> None:
        async with (
            serving(cards=Cards({"127.0.0.1": ARMED})) as rig,
            socket_of_client() as sock,
            socket_of_client("127.0.0.2") as other,
        ):
            rig.ask(RRQ, sock)
            rig.ask(b"\0\1sb/nothing\0octet\0", other)
            assert (await hear(other))[0].startswith(b"\0\5\0\1")
            assert rig.server.counters["failed"] == 2

    play(scene)


def test_a_broken_store_ends_one_request_only() -> None:
    """When an artifact can't be read its client hears of it, and the next file is served."""

    def broken(item: Stored) -> bytes:
        if item.role == "sb/shimx64.efi":
            raise OSError("input/output error")
        return fetch(item)

    async def scene() -> None:
        async with serving(broken) as rig, socket_of_client() as sock:
            rig.ask(RRQ, sock)
            assert (await hear(sock))[0] == b"\0\5\0\0the server failed\0"
            client = Client(blksize=512)
            await read_all(rig, b"\0\1sb/grubx64.efi\0octet\0", client)
            assert bytes(client.received) == GRUB
            assert rig.server.counters["failed"] == 1

    play(scene)


@pytest.mark.parametrize("blksize", [8, 512, 1468])
def test_windows_of_every_size_of_block(blksize: int) -> None:
    """An OACK that is longer than a block goes out whole, and the blocks after it in order."""

    async def scene() -> None:
        async with serving() as rig:
            client = Client(blksize=blksize, windowsize=64)
            options = b"blksize\0%d\0tsize\x000\0windowsize\x0064\0timeout\x005\0" % blksize
            await read_all(rig, b"\0\1ipxe/ipxe.efi\0octet\0" + options, client)
            assert bytes(client.received) == CONTENT["ipxe/ipxe.efi"]
            assert b"tsize\x0010240\0" in client.oack

    play(scene)


def test_every_transfer_has_a_port_of_its_own() -> None:
    """Transfers that run side by side never share a port, though each has two sockets on it."""

    async def scene() -> None:
        async with serving(caps=Caps(per_source=1000)) as rig, AsyncExitStack() as stack:
            ports = []
            for _ in range(100):
                sock = await stack.enter_async_context(socket_of_client())
                rig.ask(RRQ, sock)
                ports.append((await hear(sock))[1])
            assert len(set(ports)) == 100

    play(scene)


def test_many_clients_at_once() -> None:
    """Two hundred clients read one loader at the same time, and each gets all of it."""

    async def scene() -> None:
        async with serving(caps=Caps(per_source=1000)) as rig:
            clients = [Client(blksize=1468, windowsize=4) for _ in range(200)]
            request = b"\0\1sb/grubx64.efi\0octet\0blksize\x001468\0windowsize\x004\0"
            await asyncio.gather(*(read_all(rig, request, client) for client in clients))
            assert all(bytes(client.received) == GRUB for client in clients)
            await rig.idle()
            assert rig.server.counters["completed"] == 200

    play(scene)
