"""The Ansible playbook against the containers and a rack, with two machines at once."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ironwake_testing.stack import PROJECT, Stack

pytestmark = [pytest.mark.root, pytest.mark.docker, pytest.mark.xdist_group("engine")]

Play = Callable[..., "Run"]
PATIENCE = 2400  # seconds: two machines in software emulation on two busy cores
_COUNTS = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.M)


class Run:
    """What a playbook said."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.text = done.stdout + done.stderr
        self.code = done.returncode
        # host → (changed, unreachable or failed)
        self.hosts = {
            host: (int(changed), int(away) + int(failed))
            for host, changed, away, failed in _COUNTS.findall(self.text)
        }

    @property
    def changed(self) -> int:
        return sum(changed for changed, _ in self.hosts.values())


@pytest.fixture
def play(bare: Stack, tmp_path: Path) -> Play:
    """Runs the project's playbook inside the rack's namespace, on an inventory of these hosts."""

    def run(hosts: dict[str, dict[str, Any]], *words: str, settings: Any = None) -> Run:
        inventory = tmp_path / "inventory.json"
        site = {"ironwake_media": ["debian-12-cloud"], "ironwake_wait_minutes": 20}
        machines = {"vars": {"profile": "debian"}, "hosts": hosts}
        inventory.write_text(
            json.dumps({"all": {"vars": site, "children": {"machines": machines}}})
        )
        environment = {
            **bare.environment,
            **(settings or {}),
            "ANSIBLE_HOME": str(tmp_path / "ansible"),
            "ANSIBLE_LOCAL_TEMP": str(tmp_path / "local"),
            "ANSIBLE_REMOTE_TEMP": str(tmp_path / "remote"),
            "ANSIBLE_NOCOLOR": "1",
        }
        playbook = Path(sys.executable).with_name("ansible-playbook")
        argv: list[str | Path] = [
            playbook,
            "-i",
            inventory,
            PROJECT / "ansible" / "site.yml",
            *words,
        ]
        return Run(
            bare.rack.run(argv, env=environment, cwd=tmp_path, check=False, timeout=PATIENCE)
        )

    return run


def node(stack: Stack, name: str) -> dict[str, Any]:
    return {"mac": stack.rack.machine(name).mac, "labels": {"rack": "lab"}}


def test_a_dry_run_from_scratch(bare: Stack, play: Play) -> None:
    """Before the appliance first runs, `--check` tells everything that would be done."""
    nothing = {"COMPOSE_PROJECT_NAME": f"{bare.name}-z"}
    hosts = {"node2": node(bare, "node2")}
    run = play(hosts, "--check", "-e", "ironwake_url=http://127.0.0.1:1", settings=nothing)
    assert run.code == 0, run.text
    for deed in ("docker compose up", "build debian-12-cloud", "enrol node2", "deploy node2"):
        assert f"would {deed}" in run.text.replace("would run", "would"), run.text
    there = bare.engine.docker("ps", "--all", "--quiet", "--filter", f"name={bare.name}-z").stdout
    assert there.strip() == ""


def test_a_mistake_is_told_in_the_controllers_words(stocked: Stack, play: Play) -> None:
    """A profile that does not exist: the error names those that do; nothing is enrolled."""
    run = play({"ghost": {"mac": "52:54:00:77:00:99", "profile": "debain"}})
    assert run.code != 0
    assert "ghost: there is no profile 'debain'; known are: debian" in run.text, run.text
    assert run.hosts["ghost"][0] == 0
    assert "ghost" not in _names(stocked)


@pytest.mark.qemu
def test_two_machines_at_once(stocked: Stack, play: Play) -> None:
    """From stopped containers to two healthy machines; then there is nothing more to do."""
    hosts = {name: node(stocked, name) for name in ("node2", "node3")}
    stocked.compose("stop")

    dry = play(hosts, "--check")
    assert dry.code == 0, dry.text
    assert stocked.compose("ps", "--quiet").stdout.strip() == ""

    first = play(hosts)
    assert first.code == 0, first.text
    assert set(first.hosts) == {"localhost", *hosts}
    assert all(changed for changed, _ in first.hosts.values()), first.text
    found = {name: stocked.api("GET", f"/v1/machines/{name}") for name in hosts}
    assert {one["state"] for one in found.values()} == {"succeeded"}
    assert {one["labels"]["rack"] for one in found.values()} == {"lab"}
    begun = sorted(one["deployment"]["created"] for one in found.values())
    ended = sorted(one["deployment"]["ended"] for one in found.values())
    assert begun[-1] < ended[0], "they were deployed one after the other"

    for words in ((), ("--check",)):
        again = play(hosts, *words)
        assert again.code == 0, again.text
        assert again.changed == 0, again.text
    forced = play(hosts, "--check", "-e", "ironwake_redeploy=true")
    assert forced.text.count("would deploy") == len(hosts), forced.text


def _names(stack: Stack) -> set[str]:
    return {machine["name"] for machine in stack.api("GET", "/v1/machines")["items"]}
