"""Every way in from the machines' network, in every situation of a machine: what it answers.

A new route, a new name or a new door without a row here fails, and so does a new situation for
which one of them has no word.
"""

from __future__ import annotations

import itertools
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
from ironwake_dhcp.offer import Door
from ironwake_http.table import ROUTES
from ironwake_testing.dhcp import KIND, discover, with_option
from tests.never_twice.dhcp import leads
from tests.never_twice.rig import Reply, Rig

CARD = Mac("52:54:00:77:00:11")
HOME = "127.0.0.11"
NOBODY = "f" * 64
UUID = bytes(range(16))
FIRST, LATER = "boot-1", "boot-9"
# Nothing was deployed; what can be handed out, and what cannot for a person's sake; what is over.
_NEVER, _KEPT, _OVER = ("unknown", "known", "rung"), ("locked", "held"), ("failed", "expired")
SITUATIONS = (*_NEVER, "armed", *_KEPT, "claimed", "installed", *_OVER, "restored")


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

    def say(self, stage: Stage, **facts: str) -> None:
        body = wire.encode(Callback(stage, facts=facts))
        path = f"/deployments/{self.token}/callbacks"
        assert self.rig.http(HOME, path, "POST", body=body).status == 204


@contextmanager
def scene(situation: str, profile: str = "web", *, serves: bool = False) -> Iterator[Scene]:
    """The appliance, and a machine to which that has happened; the services know of it."""
    there = Scene(Rig({HOME: CARD}, serves))
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
    machine = {"name": "one", "macs": [CARD], "serial": "S1"}
    if situation == "rung":
        machine["local_boot"] = "sanboot"
    rig.person("POST", "/v1/machines", machine)
    if situation in ("known", "rung"):
        return
    there.arm(profile)
    if situation in ("claimed", "installed", "failed"):
        there.claim(profile)
    match situation:
        case "locked":
            assert rig.person("POST", "/v1/machines/one/lock").status_code == 200
        case "held":
            rig.follow()
            there.say(Stage.FACTS, serial="another")
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


# What a later boot of the machine hears: each word with the situations in which it is said.
Answers = dict[str, tuple[str, ...]]


def word(answers: Answers, situation: str) -> str:
    """The one word for it; LookupError where nobody has decided, or twice."""
    found = [said for said, where in answers.items() if situation in where]
    if len(found) != 1:
        raise LookupError(f"what is said when a machine is {situation}? {found}")
    return found[0]


@dataclass(frozen=True)
class Row:
    """`guard`: whose decision it is."""

    guard: str
    target: str
    answers: Answers
    method: str = "GET"
    profile: str = "web"
    body: bytes = b""


_PLAN, _CLAIM, _TABLE = "plan.resolve", "Claims.claim", "lifecycle.TABLE"
_PUBLIC = "nobody's: bytes without secrets, that install nothing by themselves"
_ALWAYS = SITUATIONS
_SCRIPT = {
    "boots": ("armed",),
    "disk": (*_NEVER, *_KEPT, "claimed", "installed", *_OVER, "restored"),
}
_PAYLOAD = {
    "404": _NEVER,
    "payload": ("armed",),
    "409": _KEPT,
    "410": ("claimed", "installed", *_OVER, "restored"),
}
_PROGRESS = wire.encode(Callback(Stage.INSTALLING))
# A script boots the installation or leads to the disk. 204: it counts. 409: out of turn, changes
# nothing. 410: over, or handed out already.
HTTP: dict[str, tuple[Row, ...]] = {
    "/boot/{mac}/{script}": tuple(
        Row(_PLAN, f"/boot/{CARD}/{name}", _SCRIPT) for name in loaders.BY_SCRIPT
    ),
    "/grub/grub.cfg": (Row(_PUBLIC, "/grub/grub.cfg", {"sends on": _ALWAYS}),),
    "/sb/{file*}": (Row(_PUBLIC, "/sb/shimx64.efi", {"bytes": _ALWAYS}),),
    "/ipxe/{file*}": (Row(_PUBLIC, "/ipxe/undionly.kpxe", {"bytes": _ALWAYS}),),
    "/artifacts/{sha256}/{file}": (Row(_PUBLIC, "{archive}", {"bytes": _ALWAYS}),),
    "/deployments/{token}/order": (Row(_CLAIM, "/deployments/{token}/order", _PAYLOAD),),
    "/deployments/{token}/answers/{file}": (
        Row(
            _CLAIM,
            "/deployments/{token}/answers/preseed.cfg",
            _PAYLOAD,
            profile="installer",
        ),
    ),
    "/deployments/{token}/callbacks": (
        Row(
            _TABLE,
            "/deployments/{token}/callbacks",
            {
                "404": _NEVER,
                "409": ("armed", *_KEPT, "installed"),
                "204": ("claimed",),
                "410": (*_OVER, "restored"),
            },
            method="POST",
            body=_PROGRESS,
        ),
    ),
    # What is no news is taken and forgotten; tokens of what is over are not known any more.
    "/deployments/{token}/reports": (
        Row(
            _TABLE,
            "/deployments/{token}/reports",
            {
                "404": (*_NEVER, *_OVER, "restored"),
                "204": ("armed", *_KEPT, "claimed", "installed"),
            },
            method="POST",
            profile="installer",
            body=b"{}",
        ),
    ),
    "/media/{sha256}/{path*}": (Row(_PUBLIC, f"/media/{'0' * 64}/README", {"404": _ALWAYS}),),
    # Of another method's deployment: nothing is ever taken.
    "/deployments/{token}/capture/{part}": (
        Row(_TABLE, "/deployments/{token}/capture/pack", {"404": _ALWAYS}),
    ),
    "/health/{token}": (
        Row(
            _TABLE,
            "/health/{health}",
            {
                "404": _NEVER,
                "409": ("armed", *_KEPT, "claimed"),
                "204": ("installed",),
                "410": (*_OVER, "restored"),
            },
            method="POST",
        ),
    ),
    "/healthz": (Row(_PUBLIC, "/healthz", {"alive": _ALWAYS}),),
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
        assert _word(reply, there.token) == word(row.answers, situation), reply


# A loader, the machine's script, the script that sends on to it: by TFTP.
_LOADER_BYTES = {
    "given": ("armed", "rung"),
    "refused": ("unknown", "known", *_KEPT, "claimed", "installed", *_OVER, "restored"),
}
_OWN_SCRIPT = {
    "refused": ("unknown",),
    "boots": ("armed",),
    "disk": ("known", "rung", *_KEPT, "claimed", "installed", *_OVER, "restored"),
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_every_name_of_tftp_answers_by_the_plan(situation: str) -> None:
    """Loaders for whom shall boot; scripts for the machine that they are about; no third kind."""
    with scene(situation) as there:
        index = there.rig.index
        assert index is not None
        roles = [item.role for item in index.policy.shelf.items if item.manifest == "loaders"]
        assert len(roles) >= 2
        for role in roles:
            said = "refused" if there.rig.tftp(role, CARD) is None else "given"
            assert said == word(_LOADER_BYTES, situation), role
        for name in loaders.BY_SCRIPT:
            found = there.rig.tftp(f"boot/{CARD}/{name}", CARD)
            said = "refused" if found is None else _word(Reply(200, found), there.token)
            assert said == word(_OWN_SCRIPT, situation)
        common = there.rig.tftp("grub/grub.cfg", CARD)
        assert (common is None) is (situation == "unknown")
        others = [i.role for i in index.policy.shelf.items if i.manifest != "loaders"]
        assert not [role for role in others if there.rig.tftp(role, CARD) is not None]


# What a client may say, by door: RFC 2132 section 9.6.
DOORS = {Door.SERVER: (1,), Door.BOOT: (1, 3, 8)}
_OFFERS = {
    "the installation": ("armed",),
    "the way to the disk": ("rung",),
    "nothing to boot": ("unknown", "known", *_KEPT, "claimed", "installed", *_OVER, "restored"),
}
# Without their own loader on the shelf, ARM64 machines get none; these must have one.
_SERVED = {
    "the installation": {"bios-pxe", "bios-ipxe", "uefi-amd64-pxe", "uefi-amd64-http"},
    "the way to the disk": {"bios-pxe", "bios-ipxe", "uefi-amd64-pxe", "uefi-amd64-ipxe"},
    "nothing to boot": set(),
}


@pytest.mark.parametrize("serves", [False, True], ids=["proxy", "server"])
@pytest.mark.parametrize("situation", SITUATIONS)
def test_every_door_of_dhcp_answers_by_the_plan(situation: str, serves: bool) -> None:
    """Each firmware at each door: a loader for whom shall boot; a proxy says nothing to others."""
    assert set(DOORS) == set(Door)
    expected = word(_OFFERS, situation)
    with scene(situation, serves=serves) as there:
        led: dict[Door, set[str]] = {door: set() for door in DOORS}
        for door, kinds in DOORS.items():
            for kind, firmware in itertools.product(kinds, FIRMWARE):
                reply = _asks(there.rig, door, discover(CARD, firmware, UUID), kind)
                assert serves or reply is None or leads(reply)
                if reply is not None and leads(reply):
                    led[door].add(firmware.name)
        for names in led.values():
            assert bool(names) is (expected != "nothing to boot")
            assert names >= _SERVED[expected]


def _asks(rig: Rig, door: Door, request: bytes, kind: int) -> bytes | None:
    said = with_option(request, KIND, bytes((kind,)))
    own = IPv4Address("10.77.0.99") if door is Door.BOOT else None
    return rig.dhcp.ask(said, door=door, address=own)
