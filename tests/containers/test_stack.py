"""The unmodified compose.yaml on a real engine, on a network without any way out."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ironwake_testing.stack import Stack

pytestmark = [pytest.mark.root, pytest.mark.docker, pytest.mark.xdist_group("engine")]

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
PATIENCE = 1200  # seconds: software emulation on two busy cores


def test_without_an_interface_nothing_starts(bare: Stack) -> None:
    """`up` fails, and the log that it points to names the interfaces that there are."""
    other = Stack(bare.rack, bare.engine, f"{bare.name}-x", {})
    try:
        done = other.compose("up", "-d", "--no-build", "--pull", "never", check=False)
        assert done.returncode != 0
        assert 'service "preflight" didn\'t complete successfully' in done.stdout
        told = other.compose("logs", "--no-color", "--no-log-prefix", "preflight").stdout
        assert (
            "ironwake: IRONWAKE_INTERFACE: no network interface is named; set IRONWAKE_INTERFACE "
            f"to the one that the machines are on; there are: br0 ({BR0}/24)\n"
        ) in told
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
    found = _inspect(stack, service)
    status = Path(f"/proc/{found['State']['Pid']}/status").read_text(encoding="ascii")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert set(fields["Uid"].split()) | set(fields["Gid"].split()) == {"10001"}
    assert fields["Groups"].split() in ([], ["10001"])
    assert int(fields["CapEff"], 16) == int(fields["CapPrm"], 16) == EFFECTIVE[service]
    assert fields["NoNewPrivs"] == "1"
    assert found["HostConfig"]["ReadonlyRootfs"] is True
    assert found["HostConfig"]["Privileged"] is False
    write = stack.compose("exec", "-T", service, "touch", "/opt/ironwake/x", check=False)
    assert "Read-only file system" in write.stdout


def _inspect(stack: Stack, service: str) -> dict[str, Any]:
    identity = stack.compose("ps", "--quiet", service).stdout.strip()
    found: dict[str, Any] = json.loads(stack.engine.docker("inspect", identity).stdout)[0]
    return found


def test_nothing_else_listens(stack: Stack) -> None:
    """The API on loopback; towards the machines DHCP, PXE, TFTP, DNS and HTTP, and no more."""
    lines = stack.rack.run(["ss", "-H", "-lntu"]).stdout.splitlines()
    open_ports = {(line.split()[0], line.split()[4]) for line in lines}
    assert open_ports == {
        ("tcp", "127.0.0.1:8080"),
        ("tcp", f"{BR0}:80"),
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
    examined = stack.compose(*ironwake, "doctor", check=False).stdout
    assert "the controller answers at http://127.0.0.1:8080" in examined
    assert "a fault of Ironwake itself" not in examined


def test_the_builder_lists_and_explains(stack: Stack) -> None:
    """`docker compose run --rm media …` is the command line's media."""
    run = ("run", "--rm", "-T", "media")
    said = stack.compose(*run, "catalogue", "--json").stdout
    names = {one["name"] for one in json.loads(said[said.index("[") :])}
    assert {"loaders", "ramdisk-generic", "debian-12"} <= names


@pytest.mark.qemu
def test_containers_install_a_machine(stocked: Stack) -> None:
    """A UEFI machine, enrolled and deployed by curl, woken by its magic packet, is healthy."""
    mac = stocked.rack.machine("node1").mac
    stocked.api("POST", "/v1/machines", {"name": "node1", "macs": [mac]})
    armed = stocked.api("POST", "/v1/machines/node1/deploy", {"profile": "debian"})
    assert stocked.follow(armed["id"], PATIENCE) == "succeeded"
    kinds = [
        event["kind"]
        for event in stocked.api("GET", f"/v1/deployments/{armed['id']}/events")["items"]
    ]
    wanted = ["armed", "offered", "loader", "kernel", "claimed", "installed", "healthy"]
    # A loader of several parts is seen several times.
    assert [kind for kind in dict.fromkeys(kinds) if kind in wanted] == wanted
