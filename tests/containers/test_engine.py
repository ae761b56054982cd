"""The unmodified compose.yaml and the playbook on a real engine, on a network without any way out.

One engine, one rack with three machines: node2 and node3 by Ansible, node1 by the API. They are one
file because one worker must run them all.
"""

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

pytestmark = [pytest.mark.root, pytest.mark.docker]

_NET_BIND_SERVICE, _NET_RAW = 1 << 10, 1 << 13  # capabilities(7), linux/capability.h
_BOTH = _NET_BIND_SERVICE | _NET_RAW
EFFECTIVE = {
    "controller": 0,
    "dhcp": _BOTH,
    "tftp": _BOTH,
    "dns": _NET_BIND_SERVICE,
    "http": _NET_BIND_SERVICE,
}
BR0 = "10.77.0.2"
PATIENCE = 2400  # seconds: two machines in software emulation on two busy cores
HOPS = ["armed", "offered", "loader", "kernel", "claimed", "installed", "healthy"]
Play = Callable[..., "Run"]
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
    for one in found.values():
        assert _hops(stocked, one["deployment"]["id"]) == HOPS

    for words in ((), ("--check",)):
        again = play(hosts, *words)
        assert again.code == 0, again.text
        assert again.changed == 0, again.text
    forced = play(hosts, "--check", "-e", "ironwake_redeploy=true")
    assert forced.text.count("would deploy") == len(hosts), forced.text


def _names(stack: Stack) -> set[str]:
    return {machine["name"] for machine in stack.api("GET", "/v1/machines")["items"]}


def test_without_an_interface_nothing_starts(bare: Stack) -> None:
    """`up` fails, and the log that it points to names the interfaces that there are."""
    other = Stack(bare.rack, bare.engine, f"{bare.name}-x", {})
    try:
        done = other.compose("up", "-d", "--no-build", "--pull", "never", check=False)
        assert done.returncode != 0
        assert 'service "preflight" didn\'t complete successfully' in done.stdout + done.stderr
        logs = other.compose("logs", "--no-color", "--no-log-prefix", "preflight")
        assert (
            "ironwake: IRONWAKE_INTERFACE: no network interface is named; set IRONWAKE_INTERFACE "
            f"to the one that the machines are on; there are: br0 ({BR0}/24)\n"
        ) in logs.stdout + logs.stderr
        assert other.compose("ps", "--quiet").stdout.strip() == ""
    finally:
        other.down()


def test_it_is_up_again_after_up(stack: Stack) -> None:
    """`up` on a running appliance changes nothing: its own ports are no strangers."""
    before = stack.compose("ps", "--quiet", "--no-trunc").stdout.split()
    stack.up()
    assert stack.compose("ps", "--quiet", "--no-trunc").stdout.split() == before
    assert len(before) == len(EFFECTIVE)


@pytest.mark.parametrize("service", EFFECTIVE)
def test_a_running_container_is_small(stack: Stack, service: str) -> None:
    """Uid 10001 for good, the counted capabilities, and nothing to write on but its volumes."""
    found = stack.inspect(service)
    status = Path(f"/proc/{found['State']['Pid']}/status").read_text(encoding="ascii")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert set(fields["Uid"].split()) | set(fields["Gid"].split()) == {"10001"}
    assert fields["Groups"].split() in ([], ["10001"])
    assert int(fields["CapEff"], 16) == int(fields["CapPrm"], 16) == EFFECTIVE[service]
    assert fields["NoNewPrivs"] == "1"
    assert found["HostConfig"]["ReadonlyRootfs"] is True
    assert found["HostConfig"]["Privileged"] is False
    write = stack.compose("exec", "-T", service, "touch", "/opt/ironwake/x", check=False)
    assert "Read-only file system" in write.stdout + write.stderr


def test_nothing_else_listens(stack: Stack) -> None:
    """The API on loopback; towards the machines DHCP, PXE, TFTP, DNS, HTTP and installers' logs,
    and no more."""
    lines = stack.rack.run(["ss", "-H", "-lntu"]).stdout.splitlines()
    open_ports = {(line.split()[0], line.split()[4]) for line in lines}
    assert open_ports == {
        ("tcp", "127.0.0.1:8080"),
        ("tcp", f"{BR0}:80"),
        ("tcp", f"{BR0}:4711"),
        ("udp", f"{BR0}:514"),
        ("tcp", f"{BR0}:53"),
        ("udp", f"{BR0}:53"),
        ("udp", "0.0.0.0%br0:67"),
        ("udp", "0.0.0.0%br0:4011"),
        ("udp", "0.0.0.0%br0:69"),
    }


def test_tokens_are_for_uid_10001(stack: Stack) -> None:
    """Token files are 0600 in a 0700 folder, and each service reads them as that user."""
    words = ("exec", "-T", "controller", "stat", "--format", "%a %u %n", "--")
    folder = "/var/lib/ironwake-secrets"
    files = (folder, f"{folder}/admin.token", f"{folder}/service.token")
    assert stack.compose(*words, *files).stdout.split() == [
        *("700", "10001", files[0], "600", "10001", files[1], "600", "10001", files[2])
    ]


def test_the_command_line_works_in_the_controller(stack: Stack) -> None:
    """`docker compose exec controller ironwake …` needs no token, address or setting."""
    ironwake = ("exec", "-T", "controller", "ironwake")
    assert re.fullmatch(r"[0-9a-f]{64}", stack.token)
    listed = json.loads(stack.compose(*ironwake, "profile", "list", "--json").stdout)
    assert [(one["name"], one["error"]) for one in listed] == [("debian", None)]
    examined = stack.compose(*ironwake, "doctor", check=False)
    assert "the controller answers at http://127.0.0.1:8080" in examined.stdout
    assert "a fault of Ironwake itself" not in examined.stdout + examined.stderr


def test_the_builder_lists_and_explains(stack: Stack) -> None:
    """`docker compose run --rm media …` is the command line's media."""
    run = ("run", "--rm", "-T", "media")
    said = stack.compose(*run, "catalogue", "--json").stdout
    names = {one["name"] for one in json.loads(said)}
    assert {"loaders", "ramdisk-generic", "debian-12"} <= names


@pytest.mark.qemu
@pytest.mark.deep
def test_a_machine_by_the_api_alone(stocked: Stack) -> None:
    """A UEFI machine, enrolled and deployed by curl, woken by its magic packet, is healthy."""
    mac = stocked.rack.machine("node1").mac
    stocked.api("POST", "/v1/machines", {"name": "node1", "macs": [mac]})
    armed = stocked.api("POST", "/v1/machines/node1/deploy", {"profile": "debian"})
    assert stocked.follow(armed["id"], PATIENCE) == "succeeded"
    assert _hops(stocked, armed["id"]) == HOPS


def _hops(stack: Stack, deployment: str) -> list[str]:
    """Which hops of a deployment are in its history, by when each was first seen."""
    events = stack.api("GET", f"/v1/deployments/{deployment}/events?limit=1000")["items"]
    # A loader of several parts is seen several times.
    return [kind for kind in dict.fromkeys(event["kind"] for event in events) if kind in HOPS]
