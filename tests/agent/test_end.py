"""How a run ends: what the person, the appliance and init learn about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ironwake.errors import BrokenError, IronwakeError, RefusedError
from ironwake.report import Callback
from ironwake.wire import decode
from ironwake_agent import console
from ironwake_agent.__main__ import reported, understood
from ironwake_agent.client import Answer
from ironwake_agent.commands import CommandError, run
from ironwake_agent.console import Console
from ironwake_agent.network import Lease
from ironwake_agent.order import NothingToDoError
from ironwake_agent.packages import install
from ironwake_agent.report import CancelledError, Reporter
from tests.agent.rig import Recorder, order


class Heard:
    def __init__(self) -> None:
        self.callbacks: list[Callback] = []

    def __call__(self, body: bytes) -> Answer:
        self.callbacks.append(decode(Callback, body))
        return Answer(204, b"")

    @property
    def stages(self) -> list[str]:
        return [callback.stage.value for callback in self.callbacks]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RefusedError("disk /dev/vda is not blank", "--erase S1"), "disk /dev/vda is not blank"),
        (ValueError("oops"), "the agent made a mistake: ValueError: oops"),
    ],
)
def test_a_failure_is_told_with_its_log(error: Exception, words: str) -> None:
    """LOG first, because a failed deployment takes nothing more; then FAILED with the reason."""
    heard, screen = Heard(), Console()
    screen.say("partitioning")
    runner = Recorder(answers={"dmesg": "[1.0] I/O error\n"})
    with pytest.raises(IronwakeError), reported(Reporter(heard, (0.0,)), screen, runner):
        raise error
    assert heard.stages == ["log", "failed"]
    assert words in heard.callbacks[1].message
    assert "partitioning" in heard.callbacks[0].message
    assert "I/O error" in heard.callbacks[0].message


@pytest.mark.parametrize("error", [NothingToDoError("over"), CancelledError("over")])
def test_what_the_appliance_said_itself_is_not_told_back(error: IronwakeError) -> None:
    """Nothing to do, and cancelled, are no failures of this machine."""
    heard = Heard()
    with pytest.raises(type(error)), reported(Reporter(heard, (0.0,)), Console(), Recorder()):
        raise error
    assert heard.stages == []


def test_a_mistake_of_ours_is_one_line() -> None:
    """No traceback reaches a person: the file and line are enough to report it."""
    try:
        raise KeyError("x")
    except KeyError as error:
        text = str(understood(error))
    assert "test_end.py, line" in text
    assert "\n" not in text


def test_all_consoles_get_each_line(tmp_path: Path) -> None:
    """Screen and serial line show the same; a console that is not there is no error."""
    (tmp_path / "sys/class/tty/console").mkdir(parents=True)
    (tmp_path / "sys/class/tty/console/active").write_text("tty0 ttyS0\n")
    devices = console.active(tmp_path)
    assert [device.name for device in devices] == ["tty0", "ttyS0"]
    (tmp_path / "dev").mkdir()
    screen = Console([*devices, tmp_path / "none/tty9"])
    screen.say("hello")
    assert all("ironwake: hello" in device.read_text() for device in devices)
    assert screen.tail() == "hello"


def test_a_program_fails_with_its_own_name_and_words() -> None:
    """Not "chroot failed", but the program that failed in there, and its last line."""
    with pytest.raises(CommandError, match="sh ended with 3: second"):
        run("sh", "-c", "echo first >&2; echo second >&2; exit 3")
    with pytest.raises(CommandError, match="no-such-program cannot be started"):
        run("no-such-program")
    with pytest.raises(CommandError, match=r"sleep did not end within 0\.01 s"):
        run("sleep", "60", timeout=0.01)


def test_packages_that_cannot_be_had_fail_by_name(tmp_path: Path) -> None:
    """The error names the packages and apt's last words; nothing of the attempt stays behind."""
    runner = Recorder(broken={"chroot": "apt-get ended with 100: Unable to locate package nosuch"})
    with pytest.raises(BrokenError, match=r"nosuch could not be installed.*Unable to locate"):
        install(runner, tmp_path, order(packages=("nosuch",)), Lease("eth0", "192.0.2.7"))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_without_packages_apt_is_not_run(tmp_path: Path) -> None:
    """An installation needs no mirror."""
    runner = Recorder()
    install(runner, tmp_path, order(), Lease("eth0", "192.0.2.7"))
    assert runner.calls == []
