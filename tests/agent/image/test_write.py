"""A pack becomes a disk: a real server that misbehaves, real libzstd, image files as disks."""

from __future__ import annotations

import hashlib
import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ironwake.errors import BrokenError, GoneError, IronwakeError, RefusedError
from ironwake.newtable import NewTable
from ironwake.pack import BLOCK
from ironwake.sizes import MIB
from ironwake_agent.image import fetch
from ironwake_agent.image.deploy import put_table
from ironwake_agent.image.device import Device, opened
from ironwake_agent.image.fetch import Ways
from ironwake_agent.image.source import Place
from ironwake_agent.image.write import EDGE, Outcome, write
from ironwake_agent.unpack import DamagedError
from tests.agent.image.packs import Pack, served, ways
from tests.agent.rig import Clock

SIZE = 12 * MIB + 3 * 512
DISK = 16 * MIB


def _plain(seed: int, size: int = SIZE) -> bytes:
    """A disk with full, sparse and empty stretches."""
    chance = random.Random(seed)
    found = bytearray(size)
    for start in range(0, size, BLOCK):
        if chance.random() < 0.4 or start in (0, 8 * BLOCK):
            content = chance.randbytes(1000) * 66
            found[start : start + BLOCK] = content[: min(BLOCK, size - start)]
    return bytes(found)


@pytest.fixture(scope="module")
def pack() -> Pack:
    return Pack(_plain(1))


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """One that is full of somebody else's bytes."""
    path = tmp_path / "disk"
    path.write_bytes(b"OLD!" * (DISK // 4))
    return path


def _write(disk: Path, pack: Pack, place: Place, how: Ways | None = None) -> Outcome:
    with opened(str(disk)) as device:
        return write(device, pack.index, place, how or ways(), verify=True)


def _finish(disk: Path, outcome: Outcome) -> None:
    with disk.open("r+b") as stream:
        for start, content in outcome.edges.parts():
            stream.seek(start)
            stream.write(content)


def test_a_disk_becomes_the_image_and_nothing_of_the_old_one_stays(disk: Path, pack: Pack) -> None:
    """Blocks, gaps, and what is beyond the image: all as it should be, to the last byte."""
    with served(pack) as (_, place, _index):
        outcome = _write(disk, pack, place)
    now = disk.read_bytes()
    assert now[:EDGE] == bytes(EDGE)
    _finish(disk, outcome)
    now = disk.read_bytes()
    assert now[:SIZE] == pack.plain
    assert now[SIZE:].strip(b"\0") == b""


def test_the_index_is_checked(pack: Pack) -> None:
    """Only the index that the order names is believed."""
    with served(pack) as (_, _place, index):
        assert fetch.index(index, pack.sha256, ways()).blocks == pack.index.blocks
        with pytest.raises(DamagedError, match="0000"):
            fetch.index(index, "0" * 64, ways())


def test_a_disk_that_is_too_small_is_left_alone(tmp_path: Path, pack: Pack) -> None:
    """Refused before the first write, and before a byte of the image comes."""
    disk = tmp_path / "small"
    disk.write_bytes(b"OLD!" * (SIZE // 4 - 128))
    before = disk.read_bytes()
    with served(pack) as (server, place, _index):
        with pytest.raises(RefusedError, match="too small"):
            _write(disk, pack, place)
        assert not server.asked
    assert disk.read_bytes() == before


def test_another_size_of_sectors_is_refused(disk: Path) -> None:
    """A GPT stands in the second sector, wherever that is: it would not be found."""
    plain = bytearray(_plain(3))
    plain[4096:4104] = b"EFI PART"
    other = Pack(bytes(plain))
    before = disk.read_bytes()
    with served(other) as (_, place, _index), pytest.raises(RefusedError, match="4096"):
        _write(disk, other, place)
    assert disk.read_bytes() == before


@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize("damage", ["flip", "less", "other"])
def test_damage_is_never_written(disk: Path, pack: Pack, at: int, damage: str) -> None:
    """A flipped byte, a truncation, another pack: an error, and the disk has no such block."""
    places = [0, len(pack.packed) // 3, len(pack.packed) // 2, len(pack.packed) - 1]
    bad = bytearray(pack.packed)
    if damage == "flip":
        bad[places[at]] ^= 0x10
    elif damage == "less":
        del bad[places[at] :]
    else:
        bad = bytearray(Pack(_plain(50 + at)).packed)
    with served(pack) as (server, place, _index):
        server.files["/pack"] = bytes(bad)
        with pytest.raises(IronwakeError):
            _write(disk, pack, place)
    now = disk.read_bytes()
    for block in pack.index.blocks:
        start, length = pack.index.extent(block.number)
        content = now[start : start + length]
        assert hashlib.sha256(content).digest() == block.sha256 or content in (
            bytes(length),
            (b"OLD!" * length)[:length],
        )
    assert now[:EDGE] in (bytes(EDGE), (b"OLD!" * EDGE)[:EDGE])


@pytest.mark.parametrize(
    ("breaks", "status"),
    [
        ((0, 1, 17, 5000, 70_000, 0, 3), ()),
        ((), (503, 503, 429)),
        ((100, 100), (206, 500, 206, 503)),
    ],
    ids=["dropped", "restarting", "both"],
)
def test_dropped_connections_are_taken_up_again(
    disk: Path, pack: Pack, breaks: tuple[int, ...], status: tuple[int, ...]
) -> None:
    """However often it breaks, the disk is the image afterwards."""
    with served(pack, breaks=breaks, status=status) as (_, place, _index):
        _finish(disk, _write(disk, pack, place))
    assert disk.read_bytes()[:SIZE] == pack.plain


def test_a_connection_that_was_ended_meanwhile_is_no_trouble(disk: Path, pack: Pack) -> None:
    """Nobody asked while a slow disk was written: the next request has a connection of its own."""
    clock = Clock()
    with served(pack, closes=True) as (_, place, _index):
        _finish(disk, _write(disk, pack, place, ways(clock)))
    assert disk.read_bytes()[:SIZE] == pack.plain
    assert not clock.pauses


def test_a_cache_that_knows_no_ranges_will_do(disk: Path, pack: Pack) -> None:
    """HTTP allows it: everything comes, and what was asked for is picked out."""
    with served(pack, ranges=False) as (_, place, _index):
        _finish(disk, _write(disk, pack, place))
    assert disk.read_bytes()[:SIZE] == pack.plain


def test_an_appliance_that_stays_away_ends_it(disk: Path, pack: Pack) -> None:
    """After the patience, with what was wrong; the disk does not boot then."""
    clock = Clock()
    with (
        served(pack, breaks=(0,) * 500) as (_, place, _index),
        pytest.raises(BrokenError, match="nothing of the image came for 60 s"),
    ):
        _write(disk, pack, place, ways(clock))


def test_a_pack_that_the_appliance_finds_damaged_ends_it(disk: Path, pack: Pack) -> None:
    """It may be mended, and is waited for; then its own words are told."""
    words = b"the bytes of this artifact are damaged or gone\n"
    said: list[str] = []
    with (
        served(pack, status=(503,) * 500, change=lambda *_: words) as (server, place, _index),
        pytest.raises(BrokenError, match=r"are damaged or gone \(HTTP 503\)"),
    ):
        _write(disk, pack, place, ways(say=said.append))
    told = [line for line in said if "HTTP 503" in line]
    assert told[0].endswith("are damaged or gone (HTTP 503); going on")
    # Whoever reads the log needs what stands before it, too.
    assert len(told) <= 5
    assert len(server.asked) > 2 * len(told)


def test_an_update_moves_what_changed(disk: Path, pack: Pack) -> None:
    """A disk that holds the version before: only blocks that are others now are fetched."""
    with served(pack) as (_, place, _index):
        _finish(disk, _write(disk, pack, place))
    plain = bytearray(pack.plain)
    for number in (40, 41, 90, 130):
        plain[number * BLOCK + 5 : number * BLOCK + 9] = b"new!"
    plain[60 * BLOCK : 64 * BLOCK] = bytes(4 * BLOCK)
    newer = Pack(bytes(plain))
    with served(newer) as (server, place, _index):
        outcome = _write(disk, newer, place)
        changed = {
            block.number
            for block in newer.index.blocks
            if (old := pack.index.find(block.number)) is None or old.sha256 != block.sha256
        }
        lengths = {block.number: block.length for block in newer.index.blocks}
        assert outcome.fetched == server.sent == sum(lengths[number] for number in changed)
        assert outcome.written == len(changed) * BLOCK
    _finish(disk, outcome)
    assert disk.read_bytes()[:SIZE] == newer.plain


def test_a_disk_that_is_stopped_anywhere_never_boots_and_can_be_written_again(
    tmp_path: Path, pack: Pack
) -> None:
    """Stopped at each of many points: the first MiB is the old one before the first write, and
    zeroes ever after; the copy of the table at the disk's end goes with it."""
    with served(pack) as (_, place, _index):
        for point in range(20):
            disk = tmp_path / str(point)
            disk.write_bytes(b"OLD!" * (DISK // 4))
            with opened(str(disk)) as real, pytest.raises(_KilledError):
                write(_Mortal(real, point), pack.index, place, ways(), verify=True)
            head, end = disk.read_bytes()[:EDGE], disk.read_bytes()[-EDGE:]
            old = (b"OLD!" * EDGE)[:EDGE]
            assert head in (old, bytes(EDGE))
            if point > 1:
                assert head == end == bytes(EDGE)
            if point % 5 == 0:
                _finish(disk, _write(disk, pack, place))
                assert disk.read_bytes()[:SIZE] == pack.plain


class _KilledError(Exception):
    pass


class _Mortal(Device):
    """A disk that does not live longer than so many changes."""

    def __init__(self, real: Device, changes: int) -> None:
        super().__init__(real.path, real._fd, block=False)
        self._left = changes

    def _count(self) -> None:
        if not self._left:
            raise _KilledError
        self._left -= 1

    def write(self, offset: int, content: memoryview) -> None:
        self._count()
        super().write(offset, content)

    def zero(self, offset: int, length: int) -> None:
        self._count()
        super().zero(offset, length)


def test_the_first_sector_is_written_last(tmp_path: Path) -> None:
    """Whatever power leaves of the table: without that sector no firmware looks at it."""
    path = tmp_path / "disk"
    path.write_bytes(bytes(4 * MIB))
    firsts: list[bytes] = []

    class Watched(Device):
        def write(self, offset: int, content: memoryview) -> None:
            firsts.append(path.read_bytes()[:512])
            super().write(offset, content)

    head, end = random.Random(0).randbytes(MIB), random.Random(1).randbytes(17 * 512)
    table = NewTable(head, (), (), end, 4 * MIB - len(end))
    with path.open("r+b") as stream:
        put_table(Watched(str(path), stream.fileno(), block=False), table)
    assert firsts == [bytes(512)] * 3
    now = path.read_bytes()
    assert (now[:MIB], now[-len(end) :]) == (head, end)


def test_a_disk_that_forgets_is_found_out(disk: Path, pack: Pack) -> None:
    """What was written is read again; a disk that gives back something else is not called good."""

    class Forgetful(Device):
        def write(self, offset: int, content: memoryview) -> None:
            lost = offset <= 40 * BLOCK < offset + len(content)
            super().write(offset, memoryview(bytes(len(content))) if lost else content)

    plain = bytearray(pack.plain)
    plain[40 * BLOCK : 41 * BLOCK] = b"x" * BLOCK
    other = Pack(bytes(plain))
    with served(other) as (_, place, _index), opened(str(disk)) as real:
        device = Forgetful(real.path, real._fd, block=False)
        with pytest.raises(BrokenError, match="other bytes than were written"):
            write(device, other.index, place, ways(), verify=True)
        write(device, other.index, place, ways(), verify=False)


def test_who_ends_the_deployment_ends_the_write(disk: Path, pack: Pack) -> None:
    """What the progress raises stops all threads, and is what the caller hears."""
    told: list[float] = []

    def progress(fraction: float) -> None:
        told.append(fraction)
        if fraction > 0.1:
            raise GoneError("cancelled")

    with served(pack) as (_, place, _index), pytest.raises(GoneError, match="cancelled"):
        _write(disk, pack, place, ways(progress=progress))
    assert told == sorted(told)


def test_an_index_of_another_pack_is_refused(disk: Path, pack: Pack) -> None:
    """Sizes are compared before the first write."""
    before = disk.read_bytes()
    with served(pack) as (_, place, _index), pytest.raises(DamagedError):
        _write(disk, pack, replace(place, size=place.size + 1))
    assert disk.read_bytes() == before


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1 << 30), st.integers(1, 60), st.integers(0, 3), st.integers(0, 40))
def test_every_image_gets_onto_every_disk(
    tmp_path_factory: pytest.TempPathFactory, seed: int, blocks: int, cut: int, more: int
) -> None:
    """Of whatever size, and however much larger the disk is."""
    pack = Pack(_plain(seed, blocks * BLOCK - cut * 512))
    disk = tmp_path_factory.mktemp("disk") / "disk"
    disk.write_bytes(b"x" * (max(len(pack.plain), 2 * MIB) + more * 17 * 512))
    with served(pack) as (_, place, _index):
        _finish(disk, _write(disk, pack, place))
    assert disk.read_bytes()[: len(pack.plain)] == pack.plain
    assert disk.read_bytes()[len(pack.plain) :].strip(b"\0") == b""
