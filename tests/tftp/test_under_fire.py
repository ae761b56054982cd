"""The real service on a cable, with its timers as shipped, asked by thousands."""

from __future__ import annotations

from collections import Counter
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
_FIRST = 1024  # port of the first request
_LOOKS = 20_000  # each takes as long as a process
_STRANGER, _MACHINE = "192.0.2.20", "192.0.2.21"


def heard(cable: Cable, asked: Iterable[bytes]) -> Counter[tuple[str, int]]:
    """Ask all of it in the stranger's name, each from a port of its own; what the service has said
    to whom meanwhile, but for the machine that asks behind each batch."""
    found: Counter[tuple[str, int]] = Counter()
    rest = enumerate(asked, _FIRST)
    cable.keep_quiet()
    with cable.client(_MACHINE) as machine, cable.tap() as tap:
        while batch := list(islice(rest, _BATCH)):
            for port, data in batch:
                with cable.client(_STRANGER, port) as stranger:
                    stranger.sendto(data, (OURS, 69))
            machine.sendto(_MARK, (OURS, 69))
            while (to := cable.told(tap))[0] != _MACHINE:
                found[to] += 1
    return found


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
        found = heard(cable, asked)
        assert {address for address, _ in found} == {_STRANGER}
        assert max(found.values()) <= 2, found.most_common(3)
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
        most = cable.descriptors
        out.unlink()
        assert cable.get(url, out, *words) == 0
        assert out.read_bytes() == SHIM
        assert max(most, cable.descriptors) > before + 500
        assert cable.peak_memory < 150 << 20
        asked = 0
        for _ in range(_LOOKS):
            if cable.descriptors <= before:
                break
            asked += cable.get(f"tftp://{OURS}/no/such/file", out, "--max-time", "30") == 68
        else:
            raise AssertionError(f"{cable.descriptors} descriptors, {before} before")
        blocks = len(SHIM) // 1468 + 1  # of our own client, some of them twice
        drawn = cable.datagrams_sent - said - asked - blocks
        assert 800 <= drawn <= 2 * 10_000 + blocks
    # However the service has met them: none was lost before it was read.
    met = ("begin", "refuse", "card asked for", "card not asked for")
    assert sum(cable.counted.get(name, 0) for name in met) >= 10_000 + 2 + asked
