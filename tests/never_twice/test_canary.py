"""Secrets: whatever is secret goes to the machine that claims, and to nobody and nothing else."""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import pytest
import structlog

from ironwake import wire
from ironwake.artifact import Manifest
from ironwake.mac import Mac
from ironwake.report import Callback, Stage
from ironwake_controller import house
from ironwake_controller.store import deployments
from ironwake_runtime.artifacts import ArtifactStore
from tests.controller.appliance import Power
from tests.never_twice.rig import Rig

HOME, OTHER = "127.0.0.11", "127.0.0.12"
CARD, STRANGER = Mac("52:54:00:77:00:11"), Mac("52:54:00:77:00:12")
CANARIES = tuple(f"canary{number}" for number in range(10))
_HASH = "$6${}$" + "x" * 20
PARAMETERS = {
    "users": [
        {"name": "one", "password_hash": _HASH.format(CANARIES[0])},
        {"name": "two", "password": CANARIES[1]},
    ],
    "root": "password",
    "root_password_hash": _HASH.format(CANARIES[2]),
    "proxy": f"http://me:{CANARIES[3]}@192.0.2.8:3128",
    "repositories": [{"name": "extra", "url": "http://192.0.2.9/extra"}],  # by the proxy
    "fragments": {"redhat": f"# {CANARIES[4]}"},
    "scripts": {"pre": f"echo {CANARIES[8]}", "post": f"echo hush {CANARIES[9]}"},
    "vars": {"word": CANARIES[6]},
    "template": "canary.ks",
}
TEMPLATE = "# {{ vars.word }} canary7\n{{ parameters.fragments.redhat }}\n"
# Of parameters alone, with what is shown as it was written.
OWN = """# as written
{{ vars.word }} {{ parameters.users[0].password_hash }} {{ parameters.users[1].password }}
{{ parameters.root_password_hash }} {{ parameters.proxy }}
{{ parameters.scripts.pre }} {{ parameters.scripts.post }}
"""
PROFILE = {"release": "rocky-9", "method": "script", "parameters": PARAMETERS}
# What a template leaves out goes into the usual answer file.
PLAIN = {key: value for key, value in PARAMETERS.items() if key != "template"}


@contextmanager
def appliance(said: list[str]) -> Iterator[Rig]:
    """The real controller and http service; every line that any of them logs goes to `said`."""

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    def keep(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> str:
        said.append(repr(event))
        raise structlog.DropEvent

    root, handler = logging.getLogger(), Keep()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    log = structlog.wrap_logger(structlog.PrintLogger(), processors=[keep])
    rig = Rig({HOME: CARD, OTHER: STRANGER})
    manifest = rig.stage.artifacts / "manifests" / "rocky-9.json"
    names = ("canary.yaml", "plain.yaml", "own.yaml", "canary.ks", "own.ks")
    files = [rig.stage.profiles / name for name in names]
    try:
        _stock(ArtifactStore(rig.stage.artifacts))
        files[0].write_text(wire.encode(PROFILE).decode())
        files[1].write_text(wire.encode({**PROFILE, "parameters": PLAIN}).decode())
        own = {**PROFILE, "parameters": {**PARAMETERS, "template": "own.ks"}}
        files[2].write_text(wire.encode(own).decode())
        files[3].write_text(TEMPLATE)
        files[4].write_text(OWN)
        rig.stop(orderly=True)
        settings = rig.settings.model_copy(update={"plain_passwords": True})
        rig.stage.current.house = house.build(settings, log, rig.clock, Power().sender)
        rig.service.log = log
        yield rig
    finally:
        rig.close()
        for path in (*files, manifest):
            path.unlink(missing_ok=True)
        root.removeHandler(handler)
        root.setLevel(level)


def _stock(store: ArtifactStore) -> None:
    roles = ("installer-kernel", "installer-initrd", "tree", "iso")
    artifacts = {role: store.add_bytes(f"rocky {role}".encode()) for role in roles}
    files = {role: role for role in roles}
    made = "2026-01-02T03:04:05Z"
    store.publish(Manifest("rocky-9", "media", made, "f" * 64, artifacts, files))


def _ask(rig: Rig, said: list[str], name: str) -> None:
    """Everything that a person may read, and a few mistakes of theirs."""
    for path in (
        *("machines", "machines/one", "deployments", "events", "profiles", "site", "media"),
        *("profiles/canary", "profiles/plain", "profiles/own", f"deployments/{name}"),
        *(f"plan/answer?mac={CARD}{rest}" for rest in ("", "&profile=plain", "&profile=own")),
        *(f"deployments/{name}/events", "nothing", f"plan?mac={CARD}", f"plan?mac={STRANGER}"),
    ):
        said.append(rig.person("GET", f"/v1/{path}").text)
    for path in ("/metrics", "/", "/machines", f"/deployments/{name}"):
        said.append(rig.person("GET", path).text)
    for body in ({"profile": "plain"}, {"profile": "nothing"}, {"profile": 7}):
        said.append(rig.person("POST", "/v1/machines/one/deploy", body).text)


def _spy(rig: Rig, said: list[str], token: str) -> None:
    """Another client, which has even learned the token."""
    for path in (
        *(f"/boot/{mac}/{script}" for mac in (CARD, STRANGER) for script in ("grub.cfg", "ipxe")),
        *("/grub/grub.cfg", f"/deployments/{token}/answers/ks.cfg", f"/deployments/{token}/order"),
        *(f"/deployments/{token}/capture/x", f"/deployments/{token}/answers/user-data"),
    ):
        said.append(rig.http(OTHER, path).text)
    wrong = f"/deployments/{token}/callbacks?stage=nonsense"
    said.append(rig.http(OTHER, wrong, "POST", body=b"{}").text)
    said.append(rig.http(OTHER, f"/deployments/{token}/reports", "POST", body=b"{").text)
    said.append(repr(rig.tftp(f"boot/{CARD}/grub.cfg", STRANGER)))


def _unpacked(text: str) -> str:
    """With what it has in base64: scripts and files go so."""
    packed = [run[: len(run) // 4 * 4] for run in re.findall(r"[A-Za-z0-9+/]{12,}={0,2}", text)]
    return "\n".join((text, *(base64.b64decode(run).decode(errors="replace") for run in packed)))


@pytest.mark.parametrize(("profile", "least"), [("canary", 3), ("plain", 7), ("own", 7)])
def test_no_secret_is_said_to_anybody_but_the_machine(profile: str, least: int) -> None:
    """Not in a log, an event, a reply of the API, an error, the view, or another client's bytes."""
    said: list[str] = []
    spied: list[str] = []
    with appliance(said) as rig:
        for name, mac in (("one", CARD), ("other", STRANGER)):
            rig.person("POST", "/v1/machines", {"name": name, "macs": [mac]})
        made = rig.person("POST", "/v1/machines/one/deploy", {"profile": profile})
        assert made.status_code == 201, made.text
        said.append(made.text)
        with rig.house.store.read() as connection:
            record = deployments.by_id(connection, made.json()["id"])
        assert record is not None
        token, health = record.deployment.token, record.deployment.health_token
        rig.follow()
        shared = wire.encode(rig.views[-1]).decode()
        _ask(rig, said, record.id)
        _spy(rig, spied, token)
        given = rig.http(HOME, f"/deployments/{token}/answers/ks.cfg", boot="boot-1")
        assert given.status == 200
        _spy(rig, spied, token)
        failed = Callback(Stage.FAILED, "f", message="the disk is not blank")
        path = f"/deployments/{token}/callbacks"
        assert rig.http(HOME, path, "POST", body=wire.encode(failed)).status == 204
        _spy(rig, spied, token)
        _ask(rig, said, record.id)
    told = [one for one in CANARIES if one in _unpacked(given.text)]
    assert len(told) >= least  # it was there to be said
    everything = _unpacked("\n".join((*said, *spied)))
    shared = _unpacked(shared)
    assert not [one for one in CANARIES if one in everything or one in shared]
    # What a template itself says is no secret for whoever wrote it, but is nobody else's.
    assert "# as written" in everything
    assert "# as written" not in "\n".join((shared, *spied))
    own = f"/deployments/{token}"  # in the machine's own boot script, which anybody may read
    others = everything.replace(own, "").replace(f"token={token}", "")
    assert token not in others
    assert health not in everything
