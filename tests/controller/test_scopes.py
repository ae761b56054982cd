"""The folder of parameters, as an armed machine has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ironwake.report import Callback, Stage
from tests.controller.appliance import MAC, Appliance

INSTALLER = "release: debian-12\nmethod: script\nparameters: {timezone: Asia/Tokyo}\n"


def write(appliance: Appliance, name: str, text: str) -> Path:
    path = appliance.settings.parameters / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def deployment(appliance: Appliance):  # type: ignore[no-untyped-def]
    found = appliance.view().entries[0].deployment
    assert found is not None
    return found


def test_a_deployment_is_bound_to_what_the_files_said(appliance: Appliance) -> None:
    """Joined when armed; what changes in the files later is for later deployments."""
    write(appliance, "site.yaml", "parameters: {keyboard: de, locale: de_DE.UTF-8}\n")
    write(appliance, "groups/db.yaml", "match: {role: db}\nparameters: {keyboard: fr}\n")
    write(appliance, "groups/web.yaml", "match: {role: web}\nparameters: {keyboard: it}\n")
    write(appliance, "machines/node1.yaml", "parameters: {hostname: alpha}\n")
    appliance.enrol(labels={"role": "db"})
    appliance.deploy()
    write(appliance, "site.yaml", "parameters: {locale: it_IT.UTF-8}\n")
    told = deployment(appliance).parameters
    assert (told.keyboard, told.locale, told.hostname) == ("fr", "de_DE.UTF-8", "alpha")
    again = appliance.call("POST", "/v1/machines/node1/deploy", {"profile": "web"})
    assert again.status_code == 409


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("site.yaml", "parameters:\n  timezon: x\n", "site.yaml:2"),
        ("site.yaml", "timezone: x\n", "site.yaml:1"),
        ("groups/db.yaml", "match: {}\nparameters: {}\n", "groups/db.yaml:1"),
        ("groups/db.yaml", "match: {a: b}\npriority: 0\n", "groups/db.yaml:2"),
        ("machines/node1.yaml", "parameters: {packages: ['a b']}\n", "machines/node1.yaml:1"),
    ],
)
def test_a_wrong_file_arms_nobody_and_is_named(
    appliance: Appliance, name: str, text: str, says: str
) -> None:
    """With file and line; nothing is armed on half of what was meant."""
    write(appliance, name, text)
    appliance.enrol()
    reply = appliance.call("POST", "/v1/machines/node1/deploy", {"profile": "web"})
    assert reply.status_code == 422
    assert reply.json()["where"] == says
    assert appliance.state() == "enrolled"


def test_what_the_installer_cannot_be_told_is_refused_with_its_origin(appliance: Appliance) -> None:
    """Named, with the scope that stated it; never silently left out."""
    write(appliance, "site.yaml", "parameters: {security: permissive}\n")
    appliance.enrol()
    reply = appliance.call("POST", "/v1/machines/node1/deploy", {"profile": "web"})
    assert reply.status_code == 422
    assert reply.json()["where"] == "parameters.security"
    assert "stated by the site" in reply.json()["detail"]


def test_a_plain_password_needs_the_sites_word(tmp_path: Path) -> None:
    """It is refused by name unless the site allows it."""
    text = "release: debian-12\nparameters: {users: [{name: a, password: canary}]}\n"
    for allowed, where in (
        (False, "parameters.users[0].password"),
        (True, "parameters.users[0].password"),  # the agent takes hashes only
    ):
        appliance = Appliance(tmp_path / str(allowed), plain_passwords=allowed)
        try:
            appliance.profile("web", text)
            appliance.enrol()
            reply = appliance.call("POST", "/v1/machines/node1/deploy", {"profile": "web"})
            assert (reply.status_code, reply.json()["where"]) == (422, where)
            assert ("IRONWAKE_PLAIN_PASSWORDS" in reply.text) is not allowed
            assert "canary" not in reply.text
        finally:
            appliance.close()


def test_too_little_memory_is_told_before_anything_is_served(appliance: Appliance) -> None:
    """Where the machine's facts are known: refused when it is armed, and in the plan."""
    appliance.profile("inst", INSTALLER)
    appliance.enrol()
    made = appliance.deploy(profile="inst")
    token, _ = appliance.tokens()
    assert appliance.good("GET", f"/v1/plan?mac={MAC}")["kind"] == "boot"
    facts = {"memory": "256 MiB", "secure_boot": "off"}
    appliance.report(token, Callback(Stage.FACTS, "f", facts=facts))
    plan = appliance.good("GET", f"/v1/plan?mac={MAC}")
    assert plan["kind"] == "silence"
    assert "has 256 MiB of memory, and the installer of Debian 12 needs 512 MiB" in plan["reason"]
    appliance.good("POST", f"/v1/deployments/{made['id']}/cancel")
    reply = appliance.call("POST", "/v1/machines/node1/deploy", {"profile": "inst"})
    assert reply.status_code == 409
    assert "256 MiB" in reply.json()["detail"]
