"""`ironwake plan --answer` and `--disks`: what the controller says of a machine, to people."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ironwake_testing.stand_in import Answer

from .conftest import Cli

MAC = "52:54:00:77:00:10"
ANSWER: dict[str, Any] = {
    "machine": "node1",
    "profile": "web",
    "files": {"ks.cfg": "lang en_US\n", "config.tar.gz": "QUJD"},
    "binary": ["config.tar.gz"],
    "parameters": [{"name": "ntp", "value": ["192.0.2.1"], "origin": "site"}],
}
DISKS: dict[str, Any] = {
    "machine": "node1",
    "profile": "web",
    "disks": [{"name": "first", "disk": "/dev/vda", "stays": False, "before": [], "after": []}],
    "commands": [{"words": ["sfdisk", "/dev/vda"], "stdin": "label: gpt\n", "key": ""}],
    "files": {"etc/fstab": "none\n"},
}


@pytest.mark.parametrize(
    ("words", "path", "found", "query", "line"),
    [
        (("--answer",), "answer", ANSWER, {}, "(4 characters of base64)"),
        (("--answer", "--profile", "web"), "answer", ANSWER, {"profile": "web"}, "--- ks.cfg"),
        (("--disks",), "disks", DISKS, {}, "    label: gpt"),
        (
            ("--disks", "--profile", "web", "--erase", "WD-1"),
            "disks",
            DISKS,
            {"profile": "web", "erase": "WD-1"},
            "--- /etc/fstab",
        ),
    ],
)
def test_each_part_is_asked_for_by_the_machines_card(
    cli: Cli,
    words: tuple[str, ...],
    path: str,
    found: dict[str, Any],
    query: dict[str, str],
    line: str,
) -> None:
    """For people line by line, and as it came with --json."""
    cli.controller.on("GET", f"/v1/plan/{path}", Answer(200, found))
    done = cli("plan", MAC, *words)
    assert done.code == 0, done.err
    assert done.out.startswith("node1 by profile web\n")
    assert line in done.out.splitlines()
    assert cli.controller.asked[-1].query == {"mac": MAC, **query}
    assert json.loads(cli("plan", MAC, *words, "--json").out) == found


def test_one_part_at_a_time(cli: Cli) -> None:
    """Nothing is asked where it is not clear what for."""
    for words in (("--answer", "--disks"), ("--answer", "--erase", "a"), ("--profile", "web")):
        assert cli("plan", MAC, *words).code == 2
    assert not cli.controller.asked
