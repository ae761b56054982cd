"""TFTP under mutants of recorded requests, every option malformed, and names of thousands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pytest

from ironwake.mac import Mac
from ironwake_tftp.admission import Caps
from ironwake_tftp.options import Limits
from tests.fuzz.mutate import mutants
from tests.fuzz.regressions import bear, known
from tests.fuzz.tftp import SOIL, Running, every_option, first_answer, foul_names, judge_all
from tests.tftp.network import Client
from tests.tftp.rack import ARMED, GRUB, UNKNOWN
from tests.tftp.rig import hear, play, read_all, serving, socket_of_client


def run(asked: Iterable[bytes], patience: float = 60.0) -> Counter[str]:
    """They are judged, nothing failed inside, and a client is served as before."""
    found: Counter[str] = Counter()

    async def scene() -> None:
        # Nothing is sent again meanwhile, however slow the machine is.
        limits = Limits(rto_first=60.0, rto_ceiling=60.0, half_open=3600.0)
        async with serving(limits=limits, caps=Caps(per_source=1000)) as rig:
            found.update(await judge_all(rig, asked))
            client = Client(blksize=1468)
            await read_all(rig, b"\0\1sb/grubx64.efi\0octet\0blksize\x001468\0", client)
            assert bytes(client.received) == GRUB
            assert rig.server.counters["failed"] == 0

    play(scene, patience)
    return found


def test_mutants() -> None:
    """Three thousand; all that a request can come to is among what they came to."""
    found = run(mutants(SOIL, 1, 3000))
    assert set(found) >= {"silence", "data", "options", "error 1", "error 2", "error 4"}


def test_every_option_malformed() -> None:
    """Each is left out or taken within its bounds (RFC 2347), and the file is served."""
    found = run(every_option())
    assert found.total() > 1500
    assert found["options"] > 400
    assert set(found) == {"options", "data", "error 4"}


def test_foul_names() -> None:
    """Thousands of names that are no text, or lead out of a folder: an ERROR each, and no file."""
    names = [b"\0\1" + name + b"\0octet\0" for name in foul_names()]
    assert len(names) > 2500
    found = run(names)
    assert set(found) <= {"error 1", "error 4", "silence", "data"}
    assert found["data"] <= 20, "shim's own name, with slashes or dots that mean nothing"


def test_strangers_draw_nothing() -> None:
    """Whatever a machine says that is not enrolled: not one packet."""

    async def scene() -> None:
        cards: dict[str, Mac] = {"127.0.0.9": UNKNOWN}
        asked = [*mutants(SOIL, 3, 1500), *every_option()]
        async with (
            serving(mac=ARMED, cards=cards) as rig,
            socket_of_client("127.0.0.9") as stranger,
            socket_of_client() as ours,
        ):
            for number, data in enumerate(asked):
                rig.ask(data, stranger)
                if number % 50 == 49:  # behind them, so that none is lost
                    rig.ask(b"\0\1no/such/file\0octet\0", ours)
                    await hear(ours)
            rig.ask(b"\0\1no/such/file\0octet\0", ours)
            await hear(ours)
            with pytest.raises(BlockingIOError):
                stranger.recv(1)
            assert rig.server.transfers == 0
            assert rig.server.counters["failed"] == 0

    play(scene)


def test_mutants_in_mid_transfer() -> None:
    """Ten thousand on a transfer's own port, from its client and from strangers."""
    asked = list(mutants(SOIL, 4, 10_000))
    bear("tftp", Running().test, asked)
    bear("tftp", first_answer, asked)


def test_what_was_found_stays_mended() -> None:
    """Every datagram that once did harm, here or to others' servers."""
    run(known("tftp"))
    bear("tftp", Running().test, known("tftp"))


@pytest.mark.deep
@pytest.mark.parametrize("seed", range(100, 105))
def test_many_mutants(seed: int) -> None:
    """Fifty thousand through the sockets, and half a million to the engine."""
    run(mutants(SOIL, seed, 10_000), patience=600.0)
    bear("tftp", Running().test, mutants(SOIL, seed, 100_000))
