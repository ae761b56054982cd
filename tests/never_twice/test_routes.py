"""Every way in from the machines' network, in every situation of a machine: what it answers.

A new route, a new name or a new door without a row here fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address

import pytest

from ironwake import loaders, wire
from ironwake.firmware import FIRMWARE
from ironwake.mac import Mac
from ironwake.report import Callback, Stage
from ironwake_controller.store import deployments
from ironwake_dhcp.delivery import Source
from ironwake_dhcp.exchange import Now
from ironwake_dhcp.offer import Door
from ironwake_http.table import ROUTES
from tests.never_twice.rig import Reply, Rig, discover

CARD = Mac("52:54:00:77:00:11")
HOME = "127.0.0.11"
NOBODY = "f" * 64
UUID = bytes(range(16))
FIRST, LATER = "boot-1", "boot-9"
SITUATIONS = (
    "unknown",
    "known",
    "armed",
    "claimed",
    "installed",
    "failed",
    "expired",
    "restored",
)


@dataclass
class Scene:
    """A machine in its situation; the tokens are nobody's where it has no deployment."""

    rig: Rig
    token: str = NOBODY
    health: str = NOBODY

    def arm(self, profile: str) -> None:
        made = self.rig.person("POST", "/v1/machines/one/deploy", {"profile": profile})
        assert made.status_code == 201, made.text
        with self.rig.house.store.read() as connection:
            record = deployments.by_id(connection, made.json()["id"])
        assert record is not None
        self.token, self.health = record.deployment.token, record.deployment.health_token

    def claim(self, profile: str) -> None:
        self.rig.follow()
        name = "order" if profile == "web" else "answers/preseed.cfg"
        path = f"/deployments/{self.token}/{name}"
        assert self.rig.http(HOME, path, boot=FIRST).status == 200

    def say(self, stage: Stage) -> None:
        body = wire.encode(Callback(stage))
        path = f"/deployments/{self.token}/callbacks"
        assert self.rig.http(HOME, path, "POST", body=body).status == 204


@contextmanager
def scene(situation: str, profile: str = "web") -> Iterator[Scene]:
    """The appliance, and a machine to which that has happened; the services know of it."""
    there = Scene(Rig({HOME: CARD}))
    try:
        _play(there, situation, profile)
        there.rig.follow()
        yield there
    finally:
        there.rig.close()


def _play(there: Scene, situation: str, profile: str) -> None:
    rig = there.rig
    if situation == "unknown":
        return
    rig.person("POST", "/v1/machines", {"name": "one", "macs": [CARD]})
    if situation == "known":
        return
    there.arm(profile)
    if situation in ("claimed", "installed", "failed"):
        there.claim(profile)
    match situation:
        case "installed":
            there.say(Stage.INSTALLING)
            there.say(Stage.INSTALLED)
        case "failed":
            there.say(Stage.FAILED)
        case "expired":
            rig.clock.pass_time(3600)
            rig.house.housekeeping.keep_time()
        case "restored":
            rig.copy_folder(rig.folder / "copy")
            rig.stop(orderly=True)
            rig.put_back(rig.folder / "copy")
            rig.start()


# What a later boot of the machine hears, by situation: the one decision's word for those that are
# not in the row.
Answers = dict[str, str]


@dataclass(frozen=True)
class Row:
    """`guard`: whose decision it is. `other`: the answer in all situations that are not named."""

    guard: str
    target: str
    other: str
    named: Answers
    method: str = "GET"
    profile: str = "web"
    body: bytes = b""

    def expected(self, situation: str) -> str:
        return self.named.get(situation, self.other)


_PLAN, _CLAIM, _TABLE = "plan.resolve", "Claims.claim", "lifecycle.TABLE"
_PUBLIC = "nobody's: bytes without secrets, that install nothing by themselves"
_NO_TOKEN = {"unknown": "404", "known": "404"}
_PAYLOAD = {**_NO_TOKEN, "armed": "payload"}
_PROGRESS = wire.encode(Callback(Stage.INSTALLING))
# A script boots the installation or leads to the disk. 204: it counts. 409: out of turn, changes
# nothing. 410: over, or handed out already.
HTTP: dict[str, tuple[Row, ...]] = {
    "/boot/{mac}/{script}": tuple(
        Row(_PLAN, f"/boot/{CARD}/{name}", "disk", {"armed": "boots"}) for name in loaders.BY_SCRIPT
    ),
    "/grub/grub.cfg": (Row(_PUBLIC, "/grub/grub.cfg", "sends on", {}),),
    "/sb/{file*}": (Row(_PUBLIC, "/sb/shimx64.efi", "bytes", {}),),
    "/ipxe/{file*}": (Row(_PUBLIC, "/ipxe/undionly.kpxe", "bytes", {}),),
    "/artifacts/{sha256}/{file}": (Row(_PUBLIC, "{archive}", "bytes", {}),),
    "/deployments/{token}/order": (Row(_CLAIM, "/deployments/{token}/order", "410", _PAYLOAD),),
    "/deployments/{token}/answers/{file}": (
        Row(
            _CLAIM,
            "/deployments/{token}/answers/preseed.cfg",
            "410",
            _PAYLOAD,
            profile="installer",
        ),
    ),
    "/deployments/{token}/callbacks": (
        Row(
            _TABLE,
            "/deployments/{token}/callbacks",
            "410",
            {**_NO_TOKEN, "armed": "409", "claimed": "204", "installed": "409"},
            method="POST",
            body=_PROGRESS,
        ),
    ),
    "/health/{token}": (
        Row(
            _TABLE,
            "/health/{health}",
            "410",
            {**_NO_TOKEN, "armed": "409", "claimed": "409", "installed": "204"},
            method="POST",
        ),
    ),
    "/healthz": (Row(_PUBLIC, "/healthz", "alive", {}),),
}
_CASES = [row for rows in HTTP.values() for row in rows]


def _target(row: Row, there: Scene) -> str:
    assert there.rig.index is not None
    archive = next(i for i in there.rig.index.policy.shelf.items if i.role == "archive")
    return row.target.format(
        token=there.token,
        health=there.health,
        archive=f"/artifacts/{archive.sha256}/{archive.file}",
    )


def _word(reply: Reply, token: str) -> str:
    """A reply in one word, as the rows have it."""
    if reply.status != 200:
        assert reply.status == 204 or reply.body.startswith(b"# ")  # harmless, run as a script
        return str(reply.status)
    text = reply.body.decode()
    kinds: tuple[tuple[str, Callable[[], bool]], ...] = (
        ("alive", lambda: text == "ok\n"),
        ("sends on", lambda: "source (http" in text),
        ("disk", lambda: "booting the local disk" in text and "/artifacts/" not in text),
        ("boots", lambda: "/artifacts/" in text and f"ironwake.token={token}" in text),
        ("payload", lambda: token in text),
    )
    return next((word for word, is_it in kinds if is_it()), "bytes")


def test_every_route_has_its_row() -> None:
    """The router's table and ours are the same set."""
    assert {route.pattern for route in ROUTES} == set(HTTP)
    for route in ROUTES:
        assert all(row.method in route.methods for row in HTTP[route.pattern])


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("row", _CASES, ids=[row.target for row in _CASES])
def test_every_route_answers_by_its_decision(row: Row, situation: str) -> None:
    """Asked by a later boot of the machine, with its deployment's token where there is one."""
    with scene(situation, row.profile) as there:
        reply = there.rig.http(HOME, _target(row, there), row.method, LATER, row.body)
        assert _word(reply, there.token) == row.expected(situation), reply


@pytest.mark.parametrize("situation", SITUATIONS)
def test_every_name_of_tftp_answers_by_the_plan(situation: str) -> None:
    """Loaders for whom shall boot; scripts for the machine that they are about; no third kind."""
    with scene(situation) as there:
        index = there.rig.index
        assert index is not None
        roles = [item.role for item in index.policy.shelf.items if item.manifest == "loaders"]
        assert len(roles) >= 2
        for role in roles:
            assert (there.rig.tftp(role, CARD) is not None) is (situation == "armed"), role
        for name in loaders.BY_SCRIPT:
            found = there.rig.tftp(f"boot/{CARD}/{name}", CARD)
            if situation == "unknown":
                assert found is None
                continue
            word = _word(Reply(200, found or b""), there.token)
            assert word == ("boots" if situation == "armed" else "disk")
        common = there.rig.tftp("grub/grub.cfg", CARD)
        assert (common is None) is (situation == "unknown")
        others = [i.role for i in index.policy.shelf.items if i.manifest != "loaders"]
        assert not [role for role in others if there.rig.tftp(role, CARD) is not None]


# What a client may say, by door: RFC 2132 section 9.6. All are silence but to an armed machine.
DOORS = {Door.SERVER: (1,), Door.BOOT: (1, 3, 8)}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_every_door_of_dhcp_answers_by_the_plan(situation: str) -> None:
    """Each firmware at each door: an answer to the armed machine, to all others not a byte."""
    assert set(DOORS) == set(Door)
    with scene(situation) as there:
        heard = {
            (door, firmware.name)
            for door, kinds in DOORS.items()
            for kind in kinds
            for firmware in FIRMWARE
            if _asks(there.rig, door, discover(CARD, firmware, UUID), kind)
        }
        if situation != "armed":
            assert heard == set()
        else:
            assert {door for door, _ in heard} == set(Door)
            assert {name for _, name in heard} >= {"bios-pxe", "uefi-amd64-pxe", "uefi-amd64-http"}


def _asks(rig: Rig, door: Door, request: bytes, kind: int) -> bool:
    source = Source(IPv4Address("10.77.0.99" if door is Door.BOOT else 0), 68, door)
    said = request.replace(b"\x35\x01\x01", bytes((53, 1, kind)), 1)
    return rig.exchange.receive(said, source, Now(rig.clock.monotonic(), 0.0)) is not None
