"""Installers' logs by UDP: whose they are, what is kept of them, and what nobody shall read."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.families.debian.log import Reader
from ironwake.lifecycle import State
from ironwake.mac import Mac
from ironwake.report import Stage
from ironwake_http import loglines, syslog
from ironwake_http.syslog import Bounds, Receiver
from ironwake_runtime import udp
from ironwake_runtime.ports import Port
from tests.http.hearing import become, telling, told, until
from tests.http.rig import PRESEED, Rig, run


class Clock:
    """Monotonic seconds, moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@contextlib.asynccontextmanager
async def listening(
    rig: Rig, clock: Clock, bounds: Bounds | None = None
) -> AsyncIterator[tuple[Receiver, int]]:
    """The receiver and its port."""
    sock = udp.listen(Port("http", "udp", 0, "IRONWAKE_SYSLOG_PORT", "127.0.0.1"))
    port = int(sock.getsockname()[1])
    async with telling(rig) as hearsay, syslog.serving(hearsay, sock, clock, bounds) as receiver:
        yield receiver, port


def send(port: int, *lines: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for line in lines:
            sock.sendto(line, ("127.0.0.1", port))


def from_the_machine(_: str) -> Mac:
    return PRESEED


def test_the_last_lines_are_told_in_one_piece() -> None:
    """The newest of many, and how many there were besides."""

    async def test(rig: Rig) -> None:
        become(rig, "debian-12")
        async with listening(rig, Clock(), Bounds(kept=2)) as (receiver, port):
            send(port, *(f"<13>Jan  1 00:00:0{n} main: line {n}".encode() for n in range(4)))
            send(port, b"<14>main-menu[1]: Menu item 'bootstrap-base' selected")
            await until(lambda: bool(told(rig)))
            receiver.flush()
            await until(lambda: len(told(rig)) == 2)
        progress, log = told(rig)
        assert (progress.stage, progress.step) == (Stage.INSTALLING, "bootstrap-base")
        assert log.stage is Stage.LOG
        assert log.message == (
            "… 3 more lines\nmain: line 3\nmain-menu: Menu item 'bootstrap-base' selected"
        )

    run(test, neighbour=from_the_machine)


def test_a_question_that_nobody_answers_is_named() -> None:
    """What is asked at the console stands in the log of debconf; nothing of its values is told."""

    async def test(rig: Rig) -> None:
        become(rig, "debian-12")
        lines = (
            b"<13>debconf: --> SET passwd/user-password-crypted hunter2",
            b"<13>debconf: --> INPUT critical partman-auto/disk",
            b"<13>debconf: <-- 0 question will be asked",
            b"<13>debconf: --> GO ",
        )
        async with listening(rig, Clock()) as (receiver, port):
            for line in lines:
                receiver.datagram_received(line, ("127.0.0.1", port))
            receiver.flush()
            assert told(rig) == []
            for _turn in range(3):
                receiver.flush()
            await until(lambda: bool(told(rig)))
        (question,) = told(rig)
        assert (question.stage, question.step) == (Stage.LOG, "question")
        assert question.message == "the installer asks partman-auto/disk, and waits"

    run(test, neighbour=from_the_machine)


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED])
def test_whoever_is_not_being_installed_is_not_heard(state: State) -> None:
    """A machine whose deployment is over, and every stranger."""

    async def test(rig: Rig) -> None:
        become(rig, "debian-12", state)
        clock = Clock()
        async with listening(rig, clock) as (receiver, port):
            receiver.datagram_received(b"<13>main: before", ("127.0.0.1", 514))
            receiver.datagram_received(b"<13>main: a stranger's", ("192.0.2.99", 514))
            become(rig, "debian-12")
            clock.now += 10
            send(port, b"<13>main: now")
            await until(lambda: flushed(receiver, rig))
        assert [callback.message for callback in told(rig)] == ["main: now"]

    def flushed(receiver: Receiver, rig: Rig) -> bool:
        receiver.flush()
        return bool(told(rig))

    run(test, neighbour=lambda address: PRESEED if address == "127.0.0.1" else None)


def test_a_flood_is_cut_off_and_time_makes_room() -> None:
    """So many lines a second, and a burst."""

    async def test(rig: Rig) -> None:
        become(rig, "debian-12")
        clock = Clock()
        async with listening(rig, clock, Bounds(rate=1, burst=3)) as (receiver, _):
            for number in range(10):
                receiver.datagram_received(f"<13>m: {number}".encode(), ("127.0.0.1", 9))
            clock.now += 2
            for number in range(10, 20):
                receiver.datagram_received(f"<13>m: {number}".encode(), ("127.0.0.1", 9))
            receiver.flush()
            await until(lambda: bool(told(rig)))
        assert told(rig)[0].message.split("\n") == ["m: 0", "m: 1", "m: 2", "m: 10", "m: 11"]

    run(test, neighbour=from_the_machine)


def test_strangers_make_no_room_for_a_flood() -> None:
    """Who invents addresses has each of them forgotten again, and not what a machine has sent."""

    async def test(rig: Rig) -> None:
        become(rig, "debian-12")
        async with listening(rig, Clock(), Bounds(rate=1, burst=3)) as (receiver, _):
            for number in range(5):
                receiver.datagram_received(f"<13>m: {number}".encode(), ("192.0.2.1", 9))
                for low in range(3000):
                    address = f"198.51.{100 + low // 256}.{low % 256}"
                    receiver.datagram_received(b"<13>m: a stranger's", (address, 9))
            receiver.flush()
            await until(lambda: bool(told(rig)))
        assert told(rig)[0].message.split("\n") == ["m: 0", "m: 1", "m: 2"]

    run(test, neighbour=lambda address: PRESEED if address == "192.0.2.1" else None)


def test_all_addresses_of_a_machine_have_one_share() -> None:
    """Of lines, as they have one log."""

    async def test(rig: Rig) -> None:
        become(rig, "debian-12")
        async with listening(rig, Clock(), Bounds(rate=1, burst=3)) as (receiver, _):
            for number in range(8):
                receiver.datagram_received(f"<13>m: {number}".encode(), (f"192.0.2.{number}", 9))
            receiver.flush()
            await until(lambda: bool(told(rig)))
        assert told(rig)[0].message.split("\n") == ["m: 0", "m: 1", "m: 2"]

    run(test, neighbour=from_the_machine)


@pytest.mark.parametrize(
    ("data", "severity", "program", "text"),
    [
        (b"<30>Oct  9 22:33:20 host in-target: hello", 6, "in-target", "hello"),
        (b"<13>Oct  9 22:33:20 debconf: --> GO", 5, "debconf", "--> GO"),
        (b"<14>main-menu[137]: INFO: x", 6, "main-menu", "INFO: x"),
        (
            b"<165>1 2003-10-11T22:14:15.003Z h su - ID47 - 'su root' failed",
            5,
            "su",
            "'su root' failed",
        ),
        (b'<165>1 2003-10-11T22:14:15Z h app 1 ID [a b="]"][c] text', 5, "app", "text"),
        (b"no priority at all", 5, "", "no priority at all"),
        (b"<999>odd", 5, "", "<999>odd"),
        (b"", 5, "", ""),
    ],
)
def test_lines_of_both_forms_and_of_none(
    data: bytes, severity: int, program: str, text: str
) -> None:
    """RFC 3164, RFC 5424, BusyBox's own, and what is no syslog."""
    line = loglines.parse(data)
    assert (line.severity, line.program, line.text) == (severity, program, text)


def test_the_end_of_a_giant_line_is_not_looked_at() -> None:
    """RFC 5424 section 6.1 asks for 2,048 octets: more costs time, and no person reads it."""
    line = loglines.parse(b"<13>main: " + b"latecommand " * 700)
    assert len(line.text) == 2048 - len("<13>main: ")
    assert loglines.shown(line).startswith("main: latecommand latecommand")
    behind = "in late command: rm canary; again: late_command and more canary"
    assert loglines.shown(loglines.LogLine(5, "", behind)) == "in late command: …"


@given(st.binary(max_size=3000))
def test_every_datagram_is_a_line(data: bytes) -> None:
    """Printable, on one line, of a bounded length; nothing is raised."""
    line = loglines.parse(data)
    assert 0 <= line.severity <= 7
    shown = loglines.shown(line)
    assert shown.isprintable()
    assert len(shown) <= 400


@given(st.text(max_size=60))
def test_secrets_are_taken_out(around: str) -> None:
    """Tokens, hashes of passwords, and commands out of answer files."""
    token, hashed = "ab" * 32, "$6$salt$" + "x" * 86
    text = f"{around} url=http://a/deployments/{token}/x {hashed} {around}"
    assert token not in loglines.shown(loglines.LogLine(5, "k", text))
    assert hashed not in loglines.shown(loglines.LogLine(5, "k", text))
    command = "preseed: running preseed command preseed/late_command: mkdir canary"
    assert "canary" not in loglines.shown(loglines.parse(b"<13>" + command.encode()))


LINES = st.sampled_from(
    [
        "--> INPUT critical a/b",
        "--> INPUT high c",
        "<-- 0 question will be asked",
        "<-- 30 question skipped",
        "--> GO",
        "--> GET a/b",
        "<-- 0 secret",
        "noise",
    ]
)


@given(st.lists(LINES, max_size=20))
def test_what_was_answered_is_no_question(lines: list[str]) -> None:
    """Only what debconf said it would ask is named, once, and only while GO has no reply."""
    reader, asked, waits, before = Reader(), 0, 0, ""
    for line in lines:
        assert reader.heard("debconf", line) is None
        if line == "noise":  # of another program's, in between
            continue
        waits = 0
        if before.startswith("--> INPUT") and line == "<-- 0 question will be asked":
            asked += 1
        if line == "--> GO":
            waits, asked = asked, 0
        before = line
    news = [reader.turn() for _ in range(4)]
    told = [one for one in news if one is not None]
    assert len(told) == (1 if waits else 0)
    assert all("secret" not in one.message for one in told)


@given(st.text(), st.text())
def test_no_line_is_too_odd_for_the_reader(program: str, text: str) -> None:
    """Nothing is raised."""
    Reader().heard(program, text)
