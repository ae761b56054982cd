"""The supervisor with real child processes. Nothing here waits by the clock: pipes tell.

Reading a named pipe gives the child's pid once it runs, and its end of file once it is gone.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

_PROGRAM = Path(__file__).with_name("supervised.py")
_PATIENCE = 60.0  # seconds: an end for a broken run, never a measure

Supervisor = subprocess.Popen[str]
Run = Callable[..., Supervisor]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Start a supervisor of children with these names; ended at the end of the test."""
    started: list[Supervisor] = []

    def start(*names: str) -> Supervisor:
        for name in names:
            os.mkfifo(tmp_path / name)
        command = [sys.executable, str(_PROGRAM), str(tmp_path), *names]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        # Not killed: it ends the workers of its children, too, which else would keep its pipes.
        process.terminate()
        process.communicate(timeout=_PATIENCE)


class Life:
    """One life of one child, seen through its pipe."""

    def __init__(self, path: Path) -> None:
        self._pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self._poll = select.poll()
        self._poll.register(self._pipe, select.POLLIN)
        self.pid = int(self._read())

    def _read(self) -> bytes:
        # Neither data nor an end is told before the child has opened its side.
        assert self._poll.poll(_PATIENCE * 1000), "the child neither spoke nor ended"
        return os.read(self._pipe, 100)

    def wait_end(self) -> None:
        assert self._read() == b""
        os.close(self._pipe)


def test_a_child_that_dies_is_started_again(run: Run, tmp_path: Path) -> None:
    """Killed with the signal that nothing survives, a child is back under another pid."""
    process = run("one", "two")
    one, two = Life(tmp_path / "one"), Life(tmp_path / "two")
    os.kill(one.pid, signal.SIGKILL)
    one.wait_end()
    again = Life(tmp_path / "one")
    assert again.pid != one.pid
    os.kill(two.pid, 0)  # its sibling never noticed
    process.send_signal(signal.SIGTERM)
    two.wait_end()
    again.wait_end()


def test_all_stop_together(run: Run, tmp_path: Path) -> None:
    """SIGTERM stops every child, one that ignores it included, and the exit code is 0."""
    process = run("one", "stubborn")
    lives = [Life(tmp_path / "one"), Life(tmp_path / "stubborn")]
    process.send_signal(signal.SIGTERM)
    for life in lives:
        life.wait_end()
    assert process.wait(_PATIENCE) == 0


def test_no_child_outlives_a_killed_supervisor(run: Run, tmp_path: Path) -> None:
    """When the supervisor itself is killed with SIGKILL, the kernel ends its children."""
    process = run("one", "stubborn")
    lives = [Life(tmp_path / "one"), Life(tmp_path / "stubborn")]
    process.kill()
    for life in lives:
        life.wait_end()


def test_what_a_dead_child_left_behind_is_ended(run: Run, tmp_path: Path) -> None:
    """A worker process of a child that died does not keep the child's port from the next one."""
    run("parent")
    life = Life(tmp_path / "parent")
    os.kill(life.pid, signal.SIGKILL)
    life.wait_end()


def test_wrong_input_stops_all(run: Run, tmp_path: Path) -> None:
    """A child that ends with status 2 is not started again: all stop, and the code is 2."""
    process = run("one", "wrong")
    one = Life(tmp_path / "one")
    Life(tmp_path / "wrong").wait_end()
    one.wait_end()
    _, errors = process.communicate(timeout=_PATIENCE)
    assert process.returncode == 2
    assert "the wrong service cannot run like this (exit status 2)" in errors
    assert "Traceback" not in errors


def test_a_missing_program_is_told_plainly(run: Run, tmp_path: Path) -> None:
    """A child that cannot be started at all is an error with a cause, no traceback."""
    code = (
        "import asyncio, structlog\n"
        "from ironwake_runtime.supervise import Child, supervise\n"
        "try:\n"
        f"    asyncio.run(supervise([Child('x', ('{tmp_path}/none',))], structlog.get_logger()))\n"
        "except Exception as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "the x service cannot be started: No such file or directory" in done.stdout
