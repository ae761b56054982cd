"""Wiping: the disks that are named and no others, by the best way that they have, and looked at."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ironwake.disk import Disk, named
from ironwake.errors import BrokenError, GoneError, RefusedError
from ironwake.report import Callback
from ironwake.wire import decode
from ironwake_agent import nvme, wipe
from ironwake_agent.client import Answer
from ironwake_agent.commands import CommandError
from ironwake_agent.install import Hands
from ironwake_agent.report import Reporter
from ironwake_agent.samples import Samples, has_content
from tests.agent.rig import Recorder

SIZE = 8 << 20
MARK = b"somebody's letters, one after the other. " * 13


@dataclass
class Disks:
    """A runner whose blkdiscard really zeroes a file, as far as `honest` says."""

    honest: Callable[[int, int], tuple[int, int]] = lambda start, length: (start, length)
    calls: list[tuple[str, ...]] = field(default_factory=list)

    def __call__(self, *words: str, stdin: str = "", timeout: float = 300.0) -> str:  # noqa: ARG002
        self.calls.append(words)
        if words[0] == "blkdiscard" and "--zeroout" in words:
            options = dict(word[2:].split("=") for word in words if "=" in word)
            start, length = self.honest(int(options["offset"]), int(options["length"]))
            with Path(words[-1]).open("r+b") as stream:
                stream.seek(start)
                stream.write(bytes(length))
        return ""


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    """A file full of letters."""
    path = tmp_path / "disk"
    path.write_bytes((MARK * (SIZE // len(MARK) + 1))[:SIZE])
    return Disk(str(path), SIZE, serial="S1")


def hands(run: Disks, said: list[str] | None = None) -> Hands:
    reporter = Reporter(lambda _: Answer(204, b""), (0.0,))
    return Hands(run, reporter, (said if said is not None else []).append, ())


def only(hands: Hands, disk: Disk) -> str:
    """Wipe one disk, as all of them are."""
    return wipe.one(hands, disk, (disk,), lambda *_: None)


def test_zeroes_are_written_and_seen(disk: Disk) -> None:
    """A disk without any way of its own is overwritten, all of it, and then looked at."""
    told = only(hands(Disks()), disk)
    assert Path(disk.path).read_bytes() == bytes(SIZE)
    assert told.startswith("overwritten with zeroes; looked at ")


@pytest.mark.parametrize("kept", [(0, 512), (SIZE // 2 + 4096, 512), (SIZE - 512, 512)])
def test_a_disk_that_keeps_something_is_never_called_wiped(
    disk: Disk, kept: tuple[int, int]
) -> None:
    """However little it is, where a sample looks: the order fails, and says what to do."""
    path, (start, length) = Path(disk.path), kept

    class Keeping(Disks):
        def __call__(self, *words: str, stdin: str = "", timeout: float = 300.0) -> str:
            before = path.read_bytes()[start : start + length]
            text = super().__call__(*words, stdin=stdin, timeout=timeout)
            with path.open("r+b") as stream:
                stream.seek(start)
                stream.write(before)
            return text

    said: list[str] = []
    with pytest.raises(BrokenError, match="still has what it had; destroy it"):
        only(hands(Keeping(), said), disk)
    assert "still had what was there" in said[-1]


@settings(max_examples=50)
@given(st.integers(1, 1 << 20), st.integers(1, 64))
def test_samples_stand_at_both_ends_and_between(size: int, count: int) -> None:
    """Of any size: within the disk, in order, the first at its beginning."""
    places = Samples(Path("/nowhere"), size, count).places
    assert places[0] == 0
    assert list(places) == sorted(set(places))
    assert all(0 <= place < size for place in places)


@given(st.lists(st.sampled_from("zkn"), min_size=1, max_size=40))
def test_only_what_was_and_still_is_counts_as_left(
    tmp_path_factory: pytest.TempPathFactory, now: list[str]
) -> None:
    """Sector by sector: zeroes or noise instead of it are gone, and what is kept is named."""
    path = tmp_path_factory.mktemp("samples") / "disk"
    path.write_bytes(MARK[:512] * len(now))
    samples = Samples(path, 512 * len(now))
    before = samples.read()
    becomes = {"z": bytes(512), "k": MARK[:512], "n": MARK[:512][::-1]}
    path.write_bytes(b"".join(becomes[one] for one in now))
    assert samples.left(before) == tuple(512 * n for n, one in enumerate(now) if one == "k")
    assert not has_content(bytes(512))


def test_what_is_named_is_chosen_and_nothing_else() -> None:
    """Each name is one disk; a name of none, or of two, stops all before the first write."""
    one, two = Disk("/dev/vda", SIZE, serial="S1"), Disk("/dev/vdb", SIZE, serial="S2")
    assert named((one, two), ("S2",)) == (two,)
    assert named((one, two), ("S2", "S2", "serial:S1")) == (two, one)
    for name in ("S3", "auto", "smallest ssd"):
        with pytest.raises(RefusedError):
            named((one, two), ("S1", name))
    with pytest.raises(RefusedError, match="serial number of several disks"):
        named((one, replace(two, serial="S1")), ("S1",))


def test_an_ended_order_stops_before_the_next_stretch(disk: Disk) -> None:
    """Cancelled by a person: what is not yet zeroed stays."""
    run = Disks()

    def tell(how: str, fraction: float) -> None:
        if fraction:
            raise GoneError("over")

    large = replace(disk, size=4 << 30)
    with pytest.raises(GoneError):
        wipe.overwrite(run, large, tell)
    assert len(run.calls) == 1


NVME = Disk("/dev/nvme0n1", SIZE, serial="N1", transport="nvme")


def controller(**facts: int) -> Recorder:
    """A runner that answers as a controller with these facts does, and is done sanitizing."""

    def answer(words: tuple[str, ...]) -> str | None:
        match words[:2]:
            case ("nvme", "id-ctrl"):
                return json.dumps({"nn": 1, "cmic": 0, "oacs": 2, "fna": 0, "sanicap": 0} | facts)
            case ("nvme", "list-ns"):
                return json.dumps({"nsid_list": [{"nsid": 1}, {"nsid": 2}][: facts.get("nn", 1)]})
            case ("nvme", "get-log"):
                return "Device:nvme0 log-id:129\n       0  1\n0000: ff ff 01 01 00 \n"
        return None

    return Recorder(wants=answer)


def erased(run: Recorder, *others: Disk) -> list[str]:
    """What it did to the disk: the verbs that change something."""
    nvme.erase(run, NVME, (NVME, *others), lambda *_: None, lambda _: None)
    return [words[1] for words in run.calls if words[1] in ("sanitize", "format")]


@pytest.mark.parametrize(
    ("facts", "done"),
    [
        ({"sanicap": 0b011}, ["sanitize"]),
        ({"sanicap": 0b001}, ["sanitize"]),
        ({}, ["format"]),
        ({"oacs": 0}, []),
        ({"sanicap": 0b100}, ["format"]),  # overwriting is what we do ourselves
        ({"sanicap": 0b010, "cmic": 0b10}, ["format"]),
        ({"cmic": 0b10, "fna": 0b10}, []),
        ({"nn": 2, "fna": 0b01}, []),
        ({"nn": 2, "sanicap": 0b010}, ["format"]),
    ],
)
def test_nvme_takes_its_best_way_that_is_for_this_disk_alone(
    facts: dict[str, int], done: list[str]
) -> None:
    """Sanitizing is for a whole subsystem: never where it has more than the disk that is named."""
    assert erased(controller(**facts)) == done


def test_another_namespace_that_is_seen_is_spared() -> None:
    """A second disk of the same controller was not named."""
    other = replace(NVME, path="/dev/nvme0n2")
    assert erased(controller(sanicap=2), other) == ["format"]
    assert erased(controller(sanicap=2, fna=2), other) == []


def test_a_failed_sanitizing_ends_the_order() -> None:
    """Such a disk takes nothing any more; words of the disk itself decide."""
    run = controller(sanicap=2)
    good = run.wants
    run.wants = lambda words: "0000: 10 00 03 00 \n" if words[1] == "get-log" else good(words)
    with pytest.raises(BrokenError, match="failed to sanitize itself"):
        erased(run)
    run.wants = lambda words: "nothing" if words[1] == "get-log" else good(words)
    with pytest.raises(CommandError, match="does not say"):
        erased(run)


def test_other_disks_are_not_asked() -> None:
    """A disk that is no NVMe has none of these ways."""
    run = Recorder()
    assert nvme.erase(run, Disk("/dev/vda", SIZE), (), lambda *_: None) == ""
    assert run.calls == []


def test_a_wipe_tells_how_far_it_is() -> None:
    """Reports are of the order's own stage, below a hundred until it is done."""
    heard: list[Callback] = []

    def post(body: bytes) -> Answer:
        heard.append(decode(Callback, body))
        return Answer(204, b"")

    reporter = Reporter(post, (0.0,), clock=iter(range(99)).__next__)
    reporter.work("wiping /dev/vda", 30.0, "zeroes")
    reporter.work("wiping /dev/vdb", 100.0, "zeroes")
    reporter.done("both are empty")
    reporter.flush(10)
    assert [(one.stage.value, one.percent) for one in heard][-2:] == [
        ("working", 99.0),
        ("done", 100.0),
    ]
