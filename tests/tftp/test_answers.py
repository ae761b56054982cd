"""Who hears something, and how much: machines of ours what they need, others nothing."""

from __future__ import annotations

import asyncio

import pytest

from ironwake.mac import Mac
from ironwake.report import Seen
from ironwake_tftp.admission import Caps
from ironwake_tftp.options import Limits
from ironwake_tftp.packet import data_packet
from tests.tftp.network import Client
from tests.tftp.rack import ARMED, GRUB, SHIM, UNARMED, UNKNOWN
from tests.tftp.rig import RRQ, hear, play, read_all, serving, socket_of_client
from tests.tftp.test_packet import MALFORMED


def test_hostile_datagrams_get_one_error_or_silence() -> None:
    """What ends tftpy's server draws one small ERROR or nothing here, and service goes on."""

    async def scene() -> None:
        async with serving() as rig, socket_of_client() as sock:
            for data in [*MALFORMED, b"\0\4\0\1", b"\0\5\0\0x\0"]:
                rig.ask(data, sock)
            rig.ask(b"\0\1no/such/file\0octet\0blksize\0abc\0", sock)
            answers: list[bytes] = []
            while not answers or answers[-1][:4] != b"\0\5\0\1":
                answers.append((await hear(sock))[0])
            assert len(answers) < len(MALFORMED)
            assert all(answer[:2] == b"\0\5" and len(answer) <= 105 for answer in answers)
            assert rig.server.counters["malformed"] == len(MALFORMED)
            client = Client(blksize=512)
            await read_all(rig, b"\0\1sb/grubx64.efi\0octet\0blksize\0abc\0", client)
            assert bytes(client.received) == GRUB

    play(scene)


def test_writing_is_refused() -> None:
    """WRQ gets ERROR 2 in words, and opens nothing."""

    async def scene() -> None:
        async with serving() as rig, socket_of_client() as sock:
            rig.ask(b"\0\2sb/shimx64.efi\0octet\0", sock)
            answer, _ = await hear(sock)
            assert answer == b"\0\5\0\2this server is read-only\0"
            assert rig.server.transfers == 0

    play(scene)


def test_a_machine_that_shall_not_boot_gets_error_1() -> None:
    """The unarmed machine gets "file not found" for a loader; the refusal is reported once."""

    async def scene() -> None:
        async with serving(mac=UNARMED) as rig, socket_of_client() as sock:
            for _ in range(3):
                rig.ask(RRQ, sock)
                answer, _ = await hear(sock)
                assert answer == b"\0\5\0\1file not found\0"
            ((seen, mac, detail),) = rig.reported
            assert (seen, mac) == (Seen.REFUSED, UNARMED)
            assert "no deployment" in detail["reason"]

    play(scene)


def test_a_card_that_the_kernel_forgot_is_asked_for() -> None:
    """An armed machine that is missing in the neighbour table gets its file, and no ERROR."""

    async def scene() -> None:
        async with serving(forgotten=1) as rig, socket_of_client() as sock:
            rig.ask(RRQ, sock)
            answer, _ = await hear(sock)
            assert answer.startswith(b"\0\6")
            assert rig.asked == ["127.0.0.1"]

    play(scene)


def test_an_address_that_no_card_has_gets_nothing() -> None:
    """A request in the name of nobody on our network draws silence; the next one is served."""

    async def scene() -> None:
        async with serving(forgotten=2) as rig, socket_of_client() as sock:
            rig.ask(RRQ, sock)
            while rig.server.counters["card asked for"] == 0 or rig.server.looking:
                await asyncio.sleep(0)
            assert rig.server.transfers == 0
            rig.ask(RRQ, sock)
            answer, _ = await hear(sock)
            assert answer.startswith(b"\0\6"), "the first datagram that was sent"

    play(scene)


def test_cards_that_are_asked_for_are_bounded() -> None:
    """A flood in the names of nobody has the kernel ask a few hundred times, not thousands."""

    async def scene() -> None:
        async with serving(mac=None) as rig, socket_of_client() as sock:
            for _ in range(60):
                for _ in range(50):
                    rig.ask(RRQ, sock)
                await asyncio.sleep(0)
                assert rig.server.looking <= 256
            assert rig.server.transfers == 0

    play(scene)


NOTHING_TO_STRANGERS = [
    RRQ,
    b"\0\1no/such/file\0octet\0",
    b"\0\1sb/shimx64.efi\0octet\0blksize\0abc\0",
    b"\0\2sb/shimx64.efi\0octet\0",
    *MALFORMED,
]


@pytest.mark.parametrize(("mac", "near"), [(UNKNOWN, True), (None, True), (None, False)])
def test_strangers_hear_nothing(mac: Mac | None, near: bool) -> None:
    """Whoever is not enrolled, on our network or behind a router, draws no packet, not even an
    ERROR: an address is easily forged, and its owner would get it."""

    async def scene() -> None:
        async with (
            serving(mac=mac, near=near, cards={"127.0.0.9": ARMED}) as rig,
            socket_of_client() as sock,
            socket_of_client("127.0.0.9") as ours,
        ):
            for data in NOTHING_TO_STRANGERS:
                rig.ask(data, sock)
            rig.ask(RRQ, ours)  # behind them: what has not come by now will not come
            await hear(ours)
            while rig.server.looking:
                await asyncio.sleep(0)
            with pytest.raises(BlockingIOError):
                sock.recv(1)
            assert rig.server.transfers == 1

    play(scene)


def test_a_table_that_cannot_be_read_ends_one_request_only() -> None:
    """Whose the address is cannot be told, so nobody is told; the next one is served."""

    class Unreadable(dict[str, Mac]):
        def __getitem__(self, address: str) -> Mac:
            raise OSError("input/output error")

    async def scene() -> None:
        broken = Unreadable({"127.0.0.9": ARMED})
        async with (
            serving(cards=broken) as rig,
            socket_of_client("127.0.0.9") as unlucky,
            socket_of_client() as sock,
        ):
            for data in (RRQ, b"\0\2x\0octet\0"):
                rig.ask(data, unlucky)
            rig.ask(RRQ, sock)
            await hear(sock)
            # Each fails twice: to tell the client off, its address would have to be known, too.
            assert rig.server.counters["failed"] == 4
            with pytest.raises(BlockingIOError):
                unlucky.recv(1)

    play(scene)


def test_an_unacknowledged_request_draws_two_packets() -> None:
    """The offer, and once more, until the transfer is dropped: no forged request draws a third."""

    async def scene() -> None:
        limits = Limits(rto_first=0.02, half_open=3.0)
        async with (
            serving(limits=limits) as rig,
            socket_of_client() as with_options,
            socket_of_client() as plain,
        ):
            first = {}
            for sock, request in ((with_options, RRQ), (plain, b"\0\1sb/shimx64.efi\0octet\0")):
                rig.ask(request, sock)
                first[sock], _ = await hear(sock)
            await rig.idle()
            for sock, offer in first.items():
                assert sock.recv(2048) == offer
                with pytest.raises(BlockingIOError):
                    sock.recv(2048)
            assert rig.server.counters["timed out"] == 2

    play(scene)


def test_a_strangers_datagram_gets_error_5() -> None:
    """An ACK from another port is told off, and the transfer is undisturbed."""

    async def scene() -> None:
        async with (
            serving() as rig,
            socket_of_client() as sock,
            socket_of_client() as stranger,
        ):
            rig.ask(RRQ, sock)
            _, server = await hear(sock)
            stranger.sendto(b"\0\4\0\0", server)
            answer, _ = await hear(stranger)
            assert answer[:4] == b"\0\5\0\5"
            sock.sendto(b"\0\4\0\0", server)
            assert (await hear(sock))[0] == data_packet(1, SHIM[:1468])

    play(scene)


def test_acks_from_foreign_ports_change_nothing() -> None:
    """Hundreds in the middle of a transfer, for every block: eight are told off, the others hear
    nothing, and the file arrives intact."""

    async def scene() -> None:
        async with serving(limits=Limits()) as rig, socket_of_client() as sock:
            client, told = Client(blksize=1468, windowsize=4), 0
            async with socket_of_client() as near, socket_of_client("127.0.0.66") as far:
                rig.ask(RRQ, sock)
                while not client.done:
                    data, server = await hear(sock)
                    for stranger in (near, far):
                        for block in (0, client.block, client.block + 4, 700):
                            stranger.sendto(b"\0\4" + block.to_bytes(2, "big"), server)
                    answer = client.hear(data)
                    if answer is not None:
                        sock.sendto(answer, server)
                await rig.idle()
                for stranger in (near, far):
                    while True:
                        try:
                            assert stranger.recv(2048)[:4] == b"\0\5\0\5"
                        except BlockingIOError:
                            break
                        told += 1
            assert bytes(client.received) == SHIM
            assert 0 < told <= 8

    play(scene)


def test_orphans_leave_room_for_a_real_client() -> None:
    """Thousands of unacknowledged requests: bounded sockets, and a real client is served."""

    async def scene() -> None:
        async with serving(caps=Caps(total=64, per_source=10**6)) as rig:
            for n in range(3000):
                async with socket_of_client(f"127.0.0.{1 + n % 200}") as orphan:
                    rig.ask(RRQ, orphan)
                if n % 50 == 0:
                    await asyncio.sleep(0)
                assert rig.server.transfers <= 64
            client = Client(blksize=1468, windowsize=4)
            await read_all(rig, RRQ, client)
            assert bytes(client.received) == SHIM

    play(scene)
