"""What people get wrong, and what is wrong around them: said clearly, and nothing half done.

`test_wrong_machines.py` has what only shows once a machine runs.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ironwake_lab import Rack, RackSpec
from ironwake_lab.appliance import Appliance, ApplianceSpec
from ironwake_testing.player import Reply, played
from ironwake_testing.scene import ARTIFACTS, PROFILES, Scene, node, scene

pytestmark = pytest.mark.root

BROKEN = "release: debian-12-cloud\nmethod: archive\nparameters:\n  timezon: Europe/Berlin\n"
NODE = node(1)
_EXPIRY_SECONDS = 120.0


@pytest.fixture(scope="module")
def there(store: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One enrolled machine, and a profile with a mistake beside the good ones."""
    folder = tmp_path_factory.mktemp("wrong")
    with scene(folder, profiles={**PROFILES, "broken": BROKEN}) as there:
        there.enrol(NODE)
        yield there


def refused(there: Scene, *words: str) -> tuple[int, str]:
    """The exit code of a command that shall fail, and its one line of error."""
    done = there.appliance.cli(*words, check=False)
    assert done.returncode != 0, done.stdout
    lines = done.stderr.splitlines()
    assert len(lines) == 1
    return done.returncode, lines[0].removeprefix("ironwake: ")


def problem(there: Scene, method: str, path: str, body: object = None) -> dict[str, Any]:
    """The problem document (RFC 9457) that the API answers with."""
    words = ["curl", "-sS", "-X", method, "-H", f"Authorization: Bearer {there.appliance.token}"]
    words += [] if body is None else ["-d", json.dumps(body)]
    text = there.rack.run([*words, f"{there.appliance.url}{path}"]).stdout
    found: dict[str, Any] = json.loads(text)
    return found


def state(there: Scene) -> tuple[Any, Any]:
    """All machines and deployments."""
    api = there.appliance.api
    return api("GET", "/v1/machines")["items"], api("GET", "/v1/deployments")["items"]


def test_a_bad_mac(there: Scene) -> None:
    """Refused with the value and how it is written; the machine is not half enrolled."""
    before = state(there)
    code, line = refused(there, "enroll", "node7", "--mac", "52:54:00:77:00:zz")
    assert code == 2
    assert "'52:54:00:77:00:zz' is not a MAC address" in line
    said = problem(there, "POST", "/v1/machines", {"name": "node7", "macs": ["nonsense"]})
    assert said["status"] == 422
    assert "'nonsense'" in said["detail"]
    assert state(there) == before


def test_the_mac_of_another_machine(there: Scene) -> None:
    """Refused with the name of the machine that has it, in whatever notation it comes."""
    before = state(there)
    code, line = refused(there, "enroll", "node7", "--mac", NODE.mac.upper().replace(":", "-"))
    assert code == 4
    assert NODE.mac in line
    assert NODE.name in line
    said = problem(there, "POST", "/v1/machines", {"name": "node7", "macs": [NODE.mac]})
    assert said["status"] == 409
    assert NODE.name in said["detail"]
    assert state(there) == before


def test_an_unknown_profile(there: Scene) -> None:
    """Refused with the names of those that there are; nothing is armed."""
    before = state(there)
    code, line = refused(there, "deploy", NODE.name, "--profile", "debain")
    assert code == 3
    assert "'debain'" in line
    assert "debian" in line
    assert "installer" in line
    said = problem(there, "POST", f"/v1/machines/{NODE.name}/deploy", {"profile": "debain"})
    assert said["status"] == 404
    assert state(there) == before


def test_a_profile_with_a_mistake(there: Scene) -> None:
    """Refused with file and line; the other profiles can be used, and the listing shows it."""
    before = state(there)
    code, line = refused(there, "deploy", NODE.name, "--profile", "broken")
    assert code == 2
    assert line.startswith("broken.yaml:4: ")
    assert "no field 'timezon'" in line
    said = problem(there, "POST", f"/v1/machines/{NODE.name}/deploy", {"profile": "broken"})
    assert (said["status"], said["where"]) == (422, "broken.yaml:4")
    listing = there.appliance.cli("profile", "list").stdout
    assert "broken.yaml:4" in listing
    assert "debian" in listing
    assert state(there) == before


def test_a_wrong_admin_token(there: Scene, tmp_path: Path) -> None:
    """The API opens to the admin token only; the command says what to do."""
    wrong = tmp_path / "token"
    for text in ("0" * 64, (there.state / "secrets/service.token").read_text()):
        wrong.write_text(text)
        code, line = refused(there, "--token-file", str(wrong), "machine", "list")
        assert code == 4
        assert "token" in line
    words = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}"]
    url = f"{there.appliance.url}/v1/machines"
    assert there.rack.run([*words, url]).stdout == "401"
    bearer = ["-H", f"Authorization: Bearer {'0' * 64}"]
    assert there.rack.run([*words, *bearer, url]).stdout == "401"


def test_a_wrong_deployment_token(there: Scene) -> None:
    """On the machines' side, a guessed token opens nothing: no order, no callback, no health."""
    before = state(there)
    wrong = "0" * 64
    with played(there.rack, node(9).mac, "10.77.0.61") as player:
        order = player.http(f"deployments/{wrong}/order")
        report = ("-X", "POST", "-d", '{"stage": "installed"}')
        callback = player.http(f"deployments/{wrong}/callbacks", *report)
        health = player.http(f"health/{wrong}", "-X", "POST", "-d", "{}")
    assert [reply.status for reply in (order, callback, health)] == [404, 404, 404]
    assert _is_harmless(order)
    assert state(there) == before


def test_an_expired_deployment(there: Scene) -> None:
    """Its time over and nothing claimed: it says so, its token is worth nothing, arming is new."""
    deployment = there.deploy(NODE.name, wake=False, minutes=0.001)
    ended = there.appliance.wait_deployment(deployment, {"expired"}, _EXPIRY_SECONDS)
    assert "nothing was claimed" in there.events(deployment)[-1]["message"]
    there.appliance.settle()
    with played(there.rack, NODE.mac, "10.77.0.62") as player:
        order = player.http(f"deployments/{_token(there, deployment)}/order")
        script = player.http(f"boot/{NODE.mac}/grub.cfg")
    assert order.status == 410
    assert _is_harmless(order)
    assert "the last deployment of node1 is over: expired" in script.text
    code, line = refused(there, "cancel", deployment)
    assert code == 4
    assert f"{deployment} is over: expired" in line
    assert there.appliance.api("GET", f"/v1/deployments/{deployment}") == ended
    again = there.deploy(NODE.name, wake=False)
    assert again != deployment
    there.appliance.api("POST", f"/v1/deployments/{again}/cancel")


def _token(there: Scene, deployment: str) -> str:
    """From the database: once a deployment is over, nobody is told its token any more."""
    with contextlib.closing(sqlite3.connect(there.state / "ironwake.sqlite")) as database:
        query = "select token from deployments where id = ?"
        (token,) = database.execute(query, (deployment,)).fetchone()
    return str(token)


def _is_harmless(reply: Reply) -> bool:
    """GRUB would run the body: it must not start anything, and not be empty."""
    lines = reply.text.splitlines()
    return bool(lines) and all(line.startswith(("#", "echo ")) for line in lines)


@pytest.fixture
def rack() -> Iterator[Rack]:
    """A network without an appliance."""
    with Rack.up(RackSpec(f"t{secrets.token_hex(4)}")) as rack:
        yield rack


def appliance(rack: Rack, folder: Path, **settings: str) -> Appliance:
    """One that is not started."""
    spec = ApplianceSpec(folder / "state", ARTIFACTS, folder / "profiles", settings)
    return Appliance(rack, spec)


_HOLD = """
import socket, sys
kind = socket.SOCK_DGRAM if sys.argv[1] == "udp" else socket.SOCK_STREAM
held = socket.socket(socket.AF_INET, kind)
held.bind(("", int(sys.argv[2])))
if kind == socket.SOCK_STREAM:
    held.listen()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("protocol", "number", "service"), [("udp", 67, "dhcp"), ("tcp", 80, "http")]
)
def test_a_busy_port(rack: Rack, tmp_path: Path, protocol: str, number: int, service: str) -> None:
    """The port, who needs it, who has it: and nothing is started, made or left."""
    words = [sys.executable, "-c", _HOLD, protocol, str(number)]
    holder = rack.popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    ours = appliance(rack, tmp_path)
    done = ours.cli("serve", check=False)
    assert done.returncode == 4
    said = f"{protocol.upper()} port {number}, which the {service} service needs, is in use by"
    assert said in done.stderr
    assert f"(pid {holder.pid})" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []
    looked = ours.cli("doctor", "--seconds", "0.1", check=False)
    assert looked.returncode == 1
    assert said in looked.stdout


@pytest.mark.parametrize("name", ["eth9", ""])
def test_a_missing_interface(rack: Rack, tmp_path: Path, name: str) -> None:
    """Wrong or not named at all: those that there are, with their addresses; nothing is made."""
    ours = appliance(rack, tmp_path, IRONWAKE_INTERFACE=name)
    done = ours.cli("serve", check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("ironwake: IRONWAKE_INTERFACE: ")
    assert f"there is no network interface {name!r}" in done.stderr or not name
    assert "there are: br0 (10.77.0.2/24)" in done.stderr
    assert list(tmp_path.iterdir()) == []
