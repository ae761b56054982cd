"""Other people's clients read from the service."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import tftpy

from tests.tftp.rack import CONTENT, GRUB
from tests.tftp.rig import play, serving


@pytest.mark.parametrize("options", [{}, {"blksize": 8192}, {"blksize": 1468, "tsize": 0}])
def test_tftpy_reads_a_file(options: dict[str, int], tmp_path: Path) -> None:
    """tftpy's client, with and without options, gets the file byte for byte."""

    async def scene() -> None:
        async with serving() as rig:
            client = tftpy.TftpClient("127.0.0.1", rig.server.port, options)
            target = tmp_path / "grub"
            await asyncio.to_thread(client.download, "sb/grubx64.efi", str(target))
            assert target.read_bytes() == GRUB

    play(scene)


CLIENTS = {
    "curl": ["curl", "-s", "-o", "{out}", "tftp://127.0.0.1:{port}/{name}"],
    "curl-blksize": [
        *("curl", "-s", "--tftp-blksize", "8192", "-o", "{out}"),
        "tftp://127.0.0.1:{port}/{name}",
    ],
    "tftp-octet": ["tftp", "-m", "octet", "127.0.0.1", "{port}", "-c", "get", "{name}", "{out}"],
    "tftp-netascii": ["tftp", "-m", "ascii", "127.0.0.1", "{port}", "-c", "get", "{name}", "{out}"],
    "busybox": [
        *("busybox", "tftp", "-g", "-b", "1468", "-r", "{name}", "-l", "{out}"),
        *("127.0.0.1", "{port}"),
    ],
    "atftp": ["atftp", "-g", "-r", "{name}", "-l", "{out}", "127.0.0.1", "{port}"],
    "atftp-window": [
        *("atftp", "--option", "blksize 1428", "--option", "windowsize 16"),
        *("--option", "tsize 0", "--option", "timeout 2"),
        *("-g", "-r", "{name}", "-l", "{out}", "127.0.0.1", "{port}"),
    ],
}


@pytest.mark.parametrize("client", CLIENTS)
def test_other_peoples_clients_read_a_file(client: str, tmp_path: Path) -> None:
    """curl, tftp-hpa, BusyBox and atftp get every loader byte for byte."""

    async def scene() -> None:
        async with serving() as rig:
            for number, (name, content) in enumerate(CONTENT.items()):
                if client == "tftp-netascii" and len(content) > 1 << 19:
                    continue
                out = tmp_path / str(number)
                words = [
                    word.format(out=out, port=rig.server.port, name=name)
                    for word in CLIENTS[client]
                ]
                process = await asyncio.create_subprocess_exec(*words)
                assert await process.wait() == 0
                assert out.read_bytes() == content, name
            assert rig.server.counters["failed"] == 0

    play(scene)
