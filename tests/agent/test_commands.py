"""Programs that take long: whoever waits hears that they still run."""

from __future__ import annotations

import itertools
import threading

import pytest

from ironwake_agent import commands
from ironwake_agent.commands import CommandError


def test_a_program_that_takes_long_is_heard_of() -> None:
    """By its own name, each minute in other words (the appliance shows none twice), and not when
    it has ended.
    """
    heard: list[str] = []
    often = threading.Event()

    def told(text: str) -> None:
        heard.append(text)
        if len(heard) == 3:
            often.set()

    def slow(*words: str, stdin: str = "", timeout: float = 300.0) -> str:
        assert often.wait(60)
        return f"{words} {stdin} {timeout}"

    times = itertools.count(0.0, 45.0)
    run = commands.watched(slow, told, every=0.0, clock=lambda: next(times))
    assert run("chroot", "/mnt", "apt-get", stdin="a", timeout=5.0).endswith("a 5.0")
    assert heard[:3] == [
        "apt-get still runs",
        "apt-get still runs, after 1 min",
        "apt-get still runs, after 2 min",
    ]
    assert "watcher" not in {thread.name for thread in threading.enumerate()}


def test_a_quick_one_is_not() -> None:
    """Nor is its failure another one."""
    heard: list[str] = []
    run = commands.watched(commands.run, heard.append)
    assert run("echo", "x") == "x\n"
    with pytest.raises(CommandError, match="false ended with 1"):
        run("false")
    assert heard == []
