"""Secrets: whatever is secret goes to the machine that claims, and to nobody and nothing else."""

from __future__ import annotations

import logging
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
CANARIES = tuple(f"canary{number}" for number in range(8))
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
    "scripts": {"post": "echo hush"},
    "vars": {"word": CANARIES[6]},
    "template": "canary.ks",
}
TEMPLATE = "# {{ vars.word }} canary7\n{{ parameters.fragments.redhat }}\n"
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
    names = ("canary.yaml", "plain.yaml", "canary.ks")
    files = [rig.stage.profiles / name for name in names]
    try:
        _stock(ArtifactStore(rig.stage.artifacts))
        files[0].write_text(wire.encode(PROFILE).decode())
        files[1].write_text(wire.encode({**PROFILE, "parameters": PLAIN}).decode())
        files[2].write_text(TEMPLATE)
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
        *("profiles/canary", "profiles/plain", f"deployments/{name}", f"plan/answer?mac={CARD}"),
        *(f"deployments/{name}/events", f"plan/answer?mac={CARD}&profile=plain", "nothing"),
        f"plan?mac={STRANGER}",
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


@pytest.mark.parametrize("profile", ["canary", "plain"])
def test_no_secret_is_said_to_anybody_but_the_machine(profile: str) -> None:
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
    told = [one for one in CANARIES if one in given.text]
    assert len(told) >= (3 if profile == "canary" else 5)  # it was there to be said
    everything = "\n".join((*said, *spied))
    assert not [one for one in CANARIES if one in everything or one in shared]
    # A script is no secret for the person who wrote it, but is nobody else's.
    assert "hush" not in "\n".join((shared, *spied))
    own = f"/deployments/{token}"  # in the machine's own boot script, which anybody may read
    others = everything.replace(own, "").replace(f"token={token}", "")
    assert token not in others
    assert health not in everything
