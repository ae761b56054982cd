"""One machine goes the whole way, through both APIs."""

from __future__ import annotations

import json

from ironwake import wire
from ironwake.order import Order
from ironwake.report import Callback, Grant, Seen, Stage
from ironwake_controller.history import replay
from tests.controller.appliance import CLIENT, MAC, Appliance


def _install(appliance: Appliance) -> None:
    appliance.enrol()
    appliance.deploy()
    token, health = appliance.tokens()
    appliance.see(Seen.OFFERED, file="sb/shimx64.efi", firmware="uefi-amd64-pxe")
    appliance.see(Seen.ADDRESS, client=CLIENT)
    appliance.see(Seen.LOADER, mac="", client=CLIENT, file="sb/shimx64.efi")
    appliance.see(Seen.KERNEL, mac="", client=CLIENT, file="vmlinuz")
    appliance.see(Seen.INITRD, mac="", client=CLIENT, file="initrd")
    facts = Callback(Stage.FACTS, "1", facts={"vendor": "QEMU"})
    assert appliance.report(token, facts).status_code == 204
    grant = appliance.claim(token, CLIENT, "boot-a")
    order = wire.decode(Order, wire.decode(Grant, grant.content).text)
    assert order.machine == "node1"
    for percent in (10.0, 50.0):
        step = Callback(Stage.INSTALLING, f"p{percent}", "unpack", percent)
        assert appliance.report(token, step).status_code == 204
    assert appliance.report(token, Callback(Stage.INSTALLED, "end")).status_code == 204
    appliance.see(Seen.DHCP, reason="took its answers already")
    assert appliance.state() == "first_boot"
    assert appliance.healthy(health).status_code == 204


def test_from_enrolment_to_success(appliance: Appliance) -> None:
    """Evidence of every hop moves the deployment on, and the health report ends it well."""
    _install(appliance)
    machine = appliance.good("GET", f"/v1/machines/{MAC.replace(':', '-').upper()}")
    assert machine["state"] == "succeeded"
    assert machine["firmware"] == "uefi-amd64-pxe"
    assert machine["facts"] == {"vendor": "QEMU"}
    assert machine["address"] == CLIENT
    assert machine["deployment"]["claim"]["client"] == CLIENT
    states = [event.state for event in appliance.history() if event.evidence]
    assert states == [
        "armed",
        "offered",
        "loader",
        "kernel",
        "answers",
        "installing",
        "installing",
        "installed",
        "first_boot",
        "healthy",
        "succeeded",
    ]


def test_history_alone_gives_the_states(appliance: Appliance) -> None:
    """Folding the events gives the same deployments and machines as the tables."""
    _install(appliance)
    appliance.enrol("node2", "52:54:00:77:00:11")
    appliance.good("PATCH", "/v1/machines/node2", {"labels": {"rack": "a3"}})
    appliance.good("POST", "/v1/machines/node2/lock")
    appliance.enrol("node3", "52:54:00:77:00:12")
    appliance.good("DELETE", "/v1/machines/node3")
    replayed = replay(appliance.history())
    listed = appliance.good("GET", "/v1/deployments")["items"]
    assert {item["id"]: item["state"] for item in listed} == replayed.deployments
    entries = {entry.machine.name: entry.machine for entry in appliance.view().entries}
    assert entries == replayed.machines


def test_tokens_stay_inside(appliance: Appliance) -> None:
    """No token of a deployment stands in what the public API shows, nor in the history."""
    _install(appliance)
    appliance.deploy()
    tokens = appliance.tokens()
    shown = [
        appliance.call("GET", path).text
        for path in ("/v1/machines", "/v1/deployments", "/v1/events", "/v1/site", "/metrics")
    ]
    shown.append(json.dumps([event.detail for event in appliance.history()]))
    assert not [text for text in shown for token in tokens if token in text]


def test_an_ended_deployment_leaves_no_tokens_in_the_view(appliance: Appliance) -> None:
    """The data plane is told how the last deployment ended, without what could use it."""
    _install(appliance)
    assert appliance.tokens() == ("", "")
