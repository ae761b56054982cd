"""The dry run of a layout shows the very commands that the agent runs."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any

import pytest

from ironwake import wire
from ironwake.disk import Disk
from ironwake.layout.identity import Identity
from ironwake.layout.work import Target, work
from ironwake.order import Order
from ironwake.report import Callback, Stage
from ironwake_cli import plan_disks
from tests.controller.appliance import MAC, Appliance
from tests.layout.rig import MIRRORED, ONE, TWO

PATH = f"/v1/plan/disks?mac={MAC}"
FULL = replace(TWO, found=("ext4 (payroll) on vdb1",))


def show_disks(appliance: Appliance, *disks: Disk) -> None:
    """The agent tells them, at its first words."""
    token, _ = appliance.tokens()
    said = Callback(Stage.FACTS, facts={"firmware": "uefi"}, disks=disks)
    assert appliance.report(token, said).status_code == 204


@pytest.fixture
def shown(appliance: Appliance) -> Appliance:
    """A machine with two disks, armed for a layout over both."""
    rows = "".join(f"  {line}\n" for line in MIRRORED.splitlines())
    appliance.profile("store", f"release: debian-12\nlayout:\n{rows}")
    appliance.enrol()
    appliance.good("POST", "/v1/machines/node1/deploy", {"profile": "store"})
    show_disks(appliance, ONE, TWO)
    return appliance


def test_commands_are_those_of_the_agent(shown: Appliance) -> None:
    """From the order that the machine gets, on the disks that it has: the same, word for word."""
    told = shown.good("GET", PATH)
    order = wire.decode(Order, shown.good("GET", f"/v1/plan?mac={MAC}")["payload"])
    target = Target((ONE, TWO), True, "x86_64", Identity(order.deployment), order.erase)
    meant = work(order.layout, target)
    assert [tuple(one["words"]) for one in told["commands"]] == [c.words for c in meant.commands]
    assert [one["stdin"] for one in told["commands"]] == [c.stdin for c in meant.commands]
    assert told["files"]["etc/fstab"] == "".join(p.line for p in (*meant.places, *meant.swaps))
    assert [one["disk"] for one in told["disks"]] == [str(ONE), str(TWO)]


def test_it_can_be_read(shown: Appliance) -> None:
    """Partitions before and after, commands as a shell would take them; no key is shown."""
    text = "\n".join(plan_disks.lines(shown.good("GET", PATH)))
    assert "--- first: /dev/vda, serial S1, 20 GiB" in text
    assert "before: no partitions" in text
    assert "LUKS2" not in text.partition("--- commands")[0]  # none of the partitions themselves
    assert "  < the key of vg0-root-open" in text
    made = next(line for line in text.splitlines() if line.startswith("mdadm"))
    assert shlex.split(made)[-2:] == ["/dev/vda4", "/dev/vdb4"]


def test_another_profile_can_be_tried(shown: Appliance) -> None:
    """As if it were deployed with it; nothing is deployed."""
    with_two = shown.call("GET", f"{PATH}&profile=web")
    assert with_two.status_code == 409  # two disks are fit, and the usual layout is for one
    shown.profile("one", "release: debian-12\ndisk: {match: S2}\n")
    told = shown.good("GET", f"{PATH}&profile=one")
    assert [one["disk"] for one in told["disks"]] == [str(TWO)]
    assert [part["name"] for part in told["disks"][0]["after"]] == ["ESP", "BIOS-boot", "root"]


def test_a_refusal_is_the_agent_s(shown: Appliance) -> None:
    """In the same words, before the machine is started for it."""
    show_disks(shown, ONE, FULL)
    refused: Any = shown.call("GET", PATH)
    assert refused.status_code == 409
    assert "is not blank: ext4 (payroll) on vdb1" in refused.json()["detail"]
    assert shown.good("GET", f"{PATH}&erase=S2")["disks"]


@pytest.mark.parametrize(
    ("before", "status", "says"),
    [
        ([], 404, "no machine with"),
        (["enrol"], 409, "was never deployed"),
        (["enrol", "deploy"], 409, "has not shown its disks yet"),
    ],
)
def test_what_is_not_known_is_said(
    appliance: Appliance, before: list[str], status: int, says: str
) -> None:
    """And what to do first."""
    for step in before:
        getattr(appliance, step)()
    reply = appliance.call("GET", PATH)
    assert reply.status_code == status
    assert says in reply.json()["detail"]
