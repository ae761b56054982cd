"""A system from memory: fetched, set up by its seed, healthy, and nothing written."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ironwake import nocloud
from ironwake.mac import Mac
from ironwake.parameters.network import Network
from ironwake_lab import network
from ironwake_testing import scene as scenes
from ironwake_testing.scene import BOOT_SECONDS, Scene, node, scene

pytestmark = [pytest.mark.root, pytest.mark.qemu, pytest.mark.deep]

MACHINE = node(1, memory_mb=1536)
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFakeFakeFakeFakeFakeFakeFakeFakeFakeFakeFa me"
# Once cloud-init has its seed, before anything is reported. Its own version asks for no
# network-config over the network.
_EARLY = r"""
seed=$(sed -n 's/.*;s=\([^ ]*\).*/\1/p' /proc/cmdline)
curl -fsS -o /run/network-config "${seed}network-config"
"""
_LATE = r"""#!/bin/sh
# Tells the appliance what became of the seed.
seed=$(sed -n 's/.*;s=\([^ ]*\).*/\1/p' /proc/cmdline)
{
    echo "fqdn=$(hostname --fqdn)"
    echo "instance=$(cat /var/lib/cloud/data/instance-id)"
    echo "key=$(cat /home/admin/.ssh/authorized_keys)"
    echo "zone=$(cat /etc/timezone)"
    echo "again=$(curl -s -o /dev/null -w '%{http_code}' "${seed}user-data")"
    echo "network=$(base64 -w 0 /run/network-config)"
} | curl -fsS --data-binary @- "${seed%answers/}callbacks?stage=log&step=seed"
"""
PROFILE = {
    "release": "debian-12-cloud",
    "method": "live",
    "parameters": {
        "hostname": "light",
        "domain": "memory.example",
        "timezone": "Europe/Berlin",
        "users": [{"name": "admin", "ssh_keys": [KEY]}],
        "scripts": {"post": _LATE},
        "fragments": {"live": {"bootcmd": [["sh", "-ec", _EARLY]]}},
    },
}


@pytest.fixture(scope="module")
def live_store() -> Path:
    """Loaders, and Debian 12 as a live system for virtual machines."""
    return scenes.build("debian-12-cloud-live")


@dataclass(frozen=True)
class Up:
    """It runs. `stranger`: what another client got under its token before it had reported."""

    there: Scene
    deployment: str
    stranger: str

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.there.events(self.deployment) if event["kind"] == kind]


@pytest.fixture(scope="module")
def up(live_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """By GRUB, live-boot and cloud-init."""
    folder = tmp_path_factory.mktemp("live")
    profiles = {"live": json.dumps(PROFILE)}
    with scene(folder, MACHINE, profiles=profiles, artifacts=live_store) as there:
        there.enrol(MACHINE)
        deployment = there.deploy(MACHINE.name, "live")
        plan = there.appliance.api("GET", f"/v1/plan?mac={MACHINE.mac}")
        seed = re.search(r";s=(\S+/answers/)", plan["script"])
        assert seed, plan
        there.appliance.wait_deployment(deployment, {"answers"}, BOOT_SECONDS)
        stranger = _status(there, f"{seed[1]}user-data")
        there.succeed(deployment)
        yield Up(there, deployment, stranger)


def _status(there: Scene, url: str) -> str:
    """As another client: from the router's side of the rack."""
    words = ["curl", "-sS", "--max-time", "60", "-o", "/dev/null", "-w", "%{http_code}", url]
    inside = network.enter(there.rack.router_namespace)
    return subprocess.run([*inside, *words], check=True, capture_output=True, text=True).stdout


def test_it_reports_its_health_and_writes_nothing(up: Up) -> None:
    """Its name is the one of its parameters, and the machine's disk stays blank."""
    (health,) = up.events("healthy")
    assert health["detail"]["hostname"] == "light"
    assert health["message"].endswith("reported from memory")
    machine = up.there.rack.machine(MACHINE.name)
    assert machine.is_on
    with machine.disk.open("rb") as disk:
        assert not any(disk.read(1 << 20))


def test_the_seed_is_what_the_system_became(up: Up) -> None:
    """meta-data, user-data and network-config: each value that it was given, from inside of it."""
    (said,) = [event for event in up.events("log") if event["detail"].get("step") == "seed"]
    found = dict(line.split("=", 1) for line in said["message"].splitlines())
    wanted = nocloud.network_config(Network(), Mac(MACHINE.mac))
    assert json.loads(base64.b64decode(found.pop("network"))) == wanted
    assert found == {
        "fqdn": "light.memory.example",
        "instance": up.deployment,
        "key": KEY,
        "zone": "Europe/Berlin",
        "again": "410",  # by now it is used up for its own machine, too
    }


def test_each_file_is_asked_for_once(up: Up) -> None:
    """The first is the claim; of one that were missing there would be eleven requests."""
    # After it: two of cloud-init's, and network-config by our own hand. In vain: the stranger's,
    # and our own once it was over.
    assert _claims(up.there) == {"granted": 1.0, "repeated": 3.0, "refused": 2.0}


def _claims(there: Scene) -> dict[str, float]:
    """How the requests for answers went, as the controller has counted them."""
    appliance = there.appliance
    words = ["-H", f"Authorization: Bearer {appliance.token}", f"{appliance.url}/metrics"]
    text = there.rack.run(["curl", "-fsS", *words]).stdout
    found = re.findall(r'^ironwake_claims_total{outcome="(\w+)"} (\S+)$', text, re.MULTILINE)
    return {outcome: float(count) for outcome, count in found}


def test_runcmd_and_phone_home_call_back(up: Up) -> None:
    """Both are progress, in their order, and before its health is reported."""
    told = [event for event in up.there.events(up.deployment) if event["kind"] != "log"]
    steps = [event["detail"].get("step") or event["kind"] for event in told]
    assert steps.index("live") < steps.index("cloud-init") < steps.index("healthy")
    home = told[steps.index("cloud-init")]
    assert "cloud-init has finished on light; its host key is ssh-ed25519 " in home["message"]


def test_another_client_gets_nothing(up: Up) -> None:
    """Not even in the minutes in which the system itself may ask again."""
    assert up.stranger == "410"
    assert up.events("refused")
