"""The real service on a cable, with its timers as shipped, asked by thousands."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import pytest

from tests.fuzz.mutate import mutants
from tests.fuzz.tftp import SOIL, every_option, foul_names
from tests.tftp.cable import OURS, Cable, service
from tests.tftp.rack import ARMED, SHIM, UNKNOWN

pytestmark = pytest.mark.root

_BATCH = 100
_MARK = b"\0\1no/such/file\0octet\0"  # what has an ERROR 1 for an answer
_STRANGER, _MACHINE = "192.0.2.20", "192.0.2.21"


def heard(cable: Cable, asked: Iterable[bytes]) -> list[str]:
    """Ask all of it in the stranger's name; to whom the service has said something meanwhile, but
    for the machine that asks behind each batch."""
    found = []
    rest = iter(asked)
    with (
        cable.client(_STRANGER) as stranger,
        cable.client(_MACHINE) as machine,
        cable.tap() as tap,
    ):
        while batch := list(islice(rest, _BATCH)):
            for data in batch:
                stranger.sendto(data, (OURS, 69))
            machine.sendto(_MARK, (OURS, 69))
            while (to := _told(tap)) != _MACHINE:
                found.append(to)
    return found


def _told(tap: socket.socket) -> str:
    """To whom the next UDP datagram goes that the service sends."""
    while True:
        frame = tap.recv(65535)
        udp = frame[12:14] == b"\x08\0" and frame[23] == 17
        if udp and socket.inet_ntoa(frame[26:30]) == OURS:
            return socket.inet_ntoa(frame[30:34])


def test_strangers_draw_no_packet(tmp_path: Path) -> None:
    """Thousands of requests, good ones too, from a card that is not enrolled: 0 packets."""
    good = [b"\0\1sb/shimx64.efi\0octet\0", b"\0\1grub/grub.cfg\0octet\0", b"\0\2x\0octet\0"]
    names = [b"\0\1" + name + b"\0octet\0" for name in foul_names()]
    asked = [*good * 20, *names[::3], *every_option(), *mutants(SOIL, 7, 2000)]
    with service(tmp_path) as cable:
        cable.have_card(_STRANGER, UNKNOWN)
        cable.have_card(_MACHINE, ARMED)
        assert not heard(cable, asked)


def test_a_machine_gone_mad(tmp_path: Path) -> None:
    """The same from an armed machine: at most two packets for each, the process lives, and the
    next client is served."""
    names = [b"\0\1" + name + b"\0octet\0" for name in foul_names()]
    asked = [*names[::3], *every_option(), *mutants(SOIL, 8, 2000)]
    with service(tmp_path) as cable:
        cable.have_card(_STRANGER, ARMED)
        cable.have_card(_MACHINE, ARMED)
        assert 0 < len(heard(cable, asked)) <= 2 * len(asked)
        out = tmp_path / "out"
        assert cable.get(f"tftp://{OURS}/sb/shimx64.efi", out, "--tftp-blksize", "1468") == 0
        assert out.read_bytes() == SHIM


def test_ten_thousand_that_never_answer(tmp_path: Path) -> None:
    """They draw two packets each at most and take no more than 150 MiB; a real client is served
    meanwhile, and when they have lapsed no descriptor is left."""
    words = ("--tftp-blksize", "1468", "--max-time", "30")
    with service(tmp_path) as cable:
        out, url = tmp_path / "out", f"tftp://{OURS}/sb/shimx64.efi"
        assert cable.get(url, out, *words) == 0
        before, said = cable.descriptors, cable.datagrams_sent
        cable.ask_and_go(10_000)
        out.unlink()
        assert cable.get(url, out, *words) == 0
        assert out.read_bytes() == SHIM
        assert cable.peak_memory < 150 << 20
        asked = 0
        while cable.descriptors > before:
            asked += cable.get(f"tftp://{OURS}/no/such/file", out, "--max-time", "30") == 68
        blocks = 2 * (len(SHIM) // 1468 + 1)  # of our own client, some of them twice
        assert cable.datagrams_sent - said <= 2 * 10_000 + blocks + asked
