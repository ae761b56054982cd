"""Method `script`: the vendor's own installer takes its answers once, reports that it began, and
sends its log.

It ends at its first question: it needs a mirror, and a rack has no way to any. What it would do
next is nothing of ours before the disk is written.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ironwake_lab import network
from ironwake_testing.scene import BOOT_SECONDS, Scene, node, scene

pytestmark = [pytest.mark.root, pytest.mark.qemu]


@dataclass(frozen=True)
class Reply:
    status: int
    body: str


@dataclass(frozen=True)
class Begun:
    """The installer has called back, has asked its question, and its machine is off.

    `url` is that of its answers, `early` what a stranger got there before the callback.
    """

    there: Scene
    deployment: str
    url: str
    early: Reply

    @property
    def address(self) -> str:
        """The installer's."""
        return str(self.events("claimed")[0]["detail"]["client"])

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        return [event for event in self.there.events(self.deployment) if event["kind"] in kinds]


def _fetch(there: Scene, url: str) -> Reply:
    """As another client: from the router's side of the rack."""
    words = ["curl", "-sS", "--max-time", "60", "-w", "\n%{http_code}", url]
    inside = network.enter(there.rack.router_namespace)
    done = subprocess.run([*inside, *words], check=True, capture_output=True, text=True)
    body, _, status = done.stdout.rpartition("\n")
    return Reply(int(status), body)


def _take_over(there: Scene, address: str) -> None:
    """From now on `_fetch` comes from this address, which nobody else has any more."""
    gateway = ["ip", "-n", there.rack.router_namespace]
    route = ["route", "replace", f"{there.appliance.address}/32", "dev", "eth0", "src", address]
    subprocess.run([*gateway, "address", "add", f"{address}/24", "dev", "eth0"], check=True)
    subprocess.run([*gateway, *route], check=True)
    # The appliance still knows it as the machine's.
    there.rack.run(["ip", "neighbour", "flush", "dev", "br0"])


def _answers_url(there: Scene, mac: str) -> str:
    """As the machine's boot script will name it."""
    plan = there.appliance.api("GET", f"/v1/plan?mac={mac}")
    found = re.search(r"\burl=(\S+)", plan["script"])
    assert found, plan
    return found[1]


@pytest.fixture(scope="module")
def begun(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Begun]:
    """Debian's installer, booted by iPXE from its own kernel and initrd."""
    # Its shell forks two dozen times for each line of the answers: a second processor helps. GRUB
    # would fetch the 50 MB four times as slowly.
    machine = node(1, firmware="bios", cpus=2)
    with scene(tmp_path_factory.mktemp("installer"), machine, artifacts=store) as there:
        there.enrol(machine)
        deployment = there.deploy(machine.name, "installer")
        url = _answers_url(there, machine.mac)
        there.appliance.wait_deployment(deployment, {"answers"}, BOOT_SECONDS)
        early = _fetch(there, url)
        there.appliance.wait_deployment(deployment, {"installing"}, BOOT_SECONDS)
        there.appliance.wait_event(deployment, lambda e: e["kind"] == "question", BOOT_SECONDS)
        there.rack.machine(machine.name).power_off()
        yield Begun(there, deployment, url, early)


def test_the_installer_fetches_its_answers_once_and_calls_back(begun: Begun) -> None:
    """The answers go to one client; `early_command`, and nothing before it, means installing."""
    hops = begun.events("kernel", "initrd", "claimed", "progress")[:4]
    assert [event["kind"] for event in hops] == ["kernel", "initrd", "claimed", "progress"]
    assert hops[-1]["state"] == "installing"
    assert hops[-1]["detail"]["step"] == "installer"  # what its log says, comes after it
    leases = begun.there.rack.router.leases.read_text()
    assert f"52:54:00:77:00:10 {begun.address} " in leases


def test_another_client_gets_nothing(begun: Begun) -> None:
    """Between claim and callback a stranger with the token gets 410, and changes nothing."""
    _check_refused(begun.early)
    assert begun.events("refused")
    assert len(begun.events("claimed")) == 1


def test_after_the_callback_nobody_gets_anything(begun: Begun) -> None:
    """Neither a stranger nor whoever has the installer's own address now."""
    _check_refused(_fetch(begun.there, begun.url))
    _take_over(begun.there, begun.address)
    _check_refused(_fetch(begun.there, begun.url))
    asked = [event["detail"].get("client") for event in begun.events("refused")]
    assert begun.address in asked
    assert len(begun.events("claimed")) == 1


def test_the_question_that_it_waits_at_is_named(begun: Begun) -> None:
    """By the name that an answer file has for it, out of the installer's own log."""
    (*_, last) = begun.events("question")
    assert re.fullmatch(r"the installer asks [a-z-]+/\S+, and waits", last["message"])


def test_the_end_of_its_log_is_kept(begun: Begun) -> None:
    """Lines as syslog brought them; no token of the kernel's, no value of debconf's."""
    told = begun.events("log")
    assert told
    text = "\n".join(event["message"] for event in told)
    token = begun.url.split("/")[4]
    assert token not in text
    assert "debconf: -->" not in text


def test_the_disk_is_untouched(begun: Begun) -> None:
    """Nothing was written before the installer's own partitioning, which did not come."""
    with begun.there.rack.machine("node1").disk.open("rb") as disk:
        assert not any(disk.read(1 << 20))


def _check_refused(reply: Reply) -> None:
    """410, with a body that is a comment to shells, installers and GRUB."""
    assert reply.status == 410
    assert reply.body.startswith("# ")
    assert reply.body.count("\n") == 1
