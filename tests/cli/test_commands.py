"""What each command asks of the controller, and what a person and a script then read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ironwake.errors import BrokenError
from ironwake_cli.api import Api
from ironwake_cli.watch import documents
from ironwake_testing.stand_in import Answer, StandIn, stream

from .conftest import Cli
from .test_timeline import GOLDEN, WHOLE, event

MAC = "52:54:00:77:00:10"
MACHINE: dict[str, Any] = {
    "name": "node1",
    "macs": [MAC],
    "uuid": "",
    "serial": "",
    "architecture": "amd64",
    "labels": {"rack": "a3"},
    "locked": False,
    "state": "armed",
    "address": "10.77.0.100",
    "firmware": "uefi-amd64-pxe",
    "last_seen": None,
    "deployment": None,
    "facts": {},
}
DEPLOYMENT: dict[str, Any] = {
    "id": "d1",
    "machine": "node1",
    "profile": "debian",
    "revision": "f" * 64,
    "release": "debian-12-cloud",
    "state": "armed",
    "over": False,
    "stuck": None,
    "created": "2026-03-01T12:00:00Z",
}
EVENTS = "/v1/deployments/d1/events"


def page(*items: dict[str, Any], after: str | None = None) -> Answer:
    return Answer(200, {"items": list(items), "next": after})


def test_enrolling_sends_what_was_named(cli: Cli) -> None:
    """Only what was given is sent, in one notation: the rest is not compared by the controller."""
    cli.controller.on("POST", "/v1/machines", Answer(201, MACHINE))
    done = cli("enroll", "node1", "--mac", "52-54-00-77-00-10", "--label", "rack=a3")
    assert (done.code, done.err) == (0, "")
    assert (
        done.out == "node1 is enrolled; deploy it with: ironwake deploy node1 --profile PROFILE\n"
    )
    (asked,) = cli.controller.asked
    assert asked.body == {"name": "node1", "macs": [MAC], "labels": {"rack": "a3"}}
    cli("machine", "add", "node1", "--mac", MAC)
    assert cli.controller.asked[-1].body == {"name": "node1", "macs": [MAC]}


def test_listing_machines_reads_every_page(cli: Cli) -> None:
    """All machines of all pages, as a table and as JSON."""
    other = {**MACHINE, "name": "node2", "labels": {}, "address": "", "locked": True}
    pages = (page(MACHINE, after="node1"), page(other))
    cli.controller.on("GET", "/v1/machines", *pages, *pages)
    assert cli("machine", "list").out == (
        "NAME   STATE  MAC                ADDRESS      LOCKED  LABELS\n"
        "node1  armed  52:54:00:77:00:10  10.77.0.100  no      rack=a3\n"
        "node2  armed  52:54:00:77:00:10  -            yes     -\n"
    )
    cli.controller.on("GET", "/v1/machines", *pages)
    assert json.loads(cli("machine", "list", "--json").out) == [MACHINE, other]
    assert cli.controller.asked[-1].query == {"after": "node1"}


def test_showing_a_machine(cli: Cli) -> None:
    """One fact per line; the deployment by its id."""
    cli.controller.on(
        "GET", "/v1/machines/node1", Answer(200, {**MACHINE, "deployment": DEPLOYMENT})
    )
    done = cli("machine", "show", "node1")
    assert "macs          52:54:00:77:00:10\n" in done.out
    assert "deployment    d1\n" in done.out
    assert json.loads(cli("machine", "show", "node1", "--json").out)["deployment"] == DEPLOYMENT


@pytest.mark.parametrize(
    ("words", "path"),
    [
        (("wake", "node1"), "/v1/machines/node1/wake"),
        (("machine", "lock", "node1"), "/v1/machines/node1/lock"),
        (("machine", "unlock", "node1"), "/v1/machines/node1/unlock"),
    ],
)
def test_a_deed_is_one_request(cli: Cli, words: tuple[str, ...], path: str) -> None:
    """Waking, locking and unlocking do that and say so."""
    cli.controller.on("POST", path, Answer(200, MACHINE))
    done = cli(*words)
    assert (done.code, done.err) == (0, "")
    assert "node1" in done.out
    assert [asked.path for asked in cli.controller.asked] == [path]


def test_removing_a_machine(cli: Cli) -> None:
    """204 without a body is fine."""
    cli.controller.on("DELETE", "/v1/machines/node1", Answer(204))
    assert cli("machine", "rm", "node1").out == "node1 is removed\n"


def test_deploying(cli: Cli) -> None:
    """The profile, the disks and the waking are sent; the next command is named."""
    cli.controller.on("POST", "/v1/machines/node1/deploy", Answer(201, DEPLOYMENT))
    words = ("deploy", "node1", "--profile", "debian", "--erase", "WD-1", "--erase", "/dev/vdb")
    done = cli(*words, "--no-wake")
    assert done.out == (
        "node1 is armed for debian: deployment d1\nfollow it with: ironwake watch node1\n"
    )
    assert cli.controller.asked[0].body == {
        "profile": "debian",
        "erase": ["WD-1", "/dev/vdb"],
        "wake": False,
    }
    assert json.loads(cli(*words, "--json").out) == DEPLOYMENT
    assert cli.controller.asked[1].body["wake"] is True


def test_deploying_and_watching(cli: Cli) -> None:
    """--watch shows every hop and ends with the one line; exit code 0."""
    cli.controller.on("POST", "/v1/machines/node1/deploy", Answer(201, DEPLOYMENT))
    cli.controller.on("GET", EVENTS, stream(*WHOLE, comment="following"))
    done = cli("deploy", "node1", "--profile", "debian", "--watch")
    last = "node1 is healthy: Debian 12, 74 s from power-on to first-boot report\n"
    assert (done.code, done.out) == (0, GOLDEN + last)


@pytest.mark.parametrize("target", ["node1", "d1", ""])
def test_watching_by_machine_by_id_or_the_newest(cli: Cli, target: str) -> None:
    """A machine means its latest deployment; without a name it is the newest of all."""
    newest = page(DEPLOYMENT) if target != "d1" else page()
    cli.controller.on("GET", "/v1/deployments", newest)
    cli.controller.on("GET", "/v1/deployments/d1", Answer(200, DEPLOYMENT))
    cli.controller.on("GET", EVENTS, stream(*WHOLE))
    done = cli("watch", *([target] if target else []))
    assert done.code == 0
    assert done.out.startswith(GOLDEN)


def test_a_broken_stream_is_taken_up(controller: StandIn) -> None:
    """A controller that restarts in between costs no event, and tells none twice."""
    cut = Answer(200, stream(*WHOLE[:3]).body + 'id: 1\ndata: {"se', "text/event-stream")
    controller.on("GET", EVENTS, cut, Answer(503), stream(*WHOLE[3:]))
    pauses: list[float] = []
    seen = []
    for document in documents(Api(controller.url, controller.token), "d1", pauses.append):
        seen += [document["seq"]] if document else []
        if len(seen) == len(WHOLE):
            break
    assert seen == [one["seq"] for one in WHOLE]
    assert [a.headers.get("last-event-id") for a in controller.asked] == [None, "91", "91"]
    assert pauses == [1.0, 1.0]


def test_a_controller_that_stays_away_ends_it(controller: StandIn) -> None:
    """Half a minute without any answer is an error, not for ever a dead screen."""
    controller.on("GET", EVENTS, Answer(503, {"detail": "away"}))
    pauses: list[float] = []
    with pytest.raises(BrokenError, match="away"):
        for _ in documents(Api(controller.url, controller.token), "d1", pauses.append):
            pass
    assert len(pauses) == 30


def test_a_failure_is_the_exit_code(cli: Cli) -> None:
    """A deployment that failed ends with its cause and the next step, on standard error."""
    cli.controller.on("GET", "/v1/deployments", page(DEPLOYMENT))
    bad = event(30, "failed", "failed", "the disk vda is not blank")
    cli.controller.on("GET", EVENTS, stream(*WHOLE[:6], bad))
    done = cli("watch", "node1")
    assert done.code == 4
    assert done.err == (
        "ironwake: node1: the deployment has failed: the disk vda is not blank; "
        "try again with: ironwake deploy node1 --profile PROFILE\n"
    )


def test_watching_as_json(cli: Cli) -> None:
    """One JSON document per line, and nothing else on standard output."""
    cli.controller.on("GET", "/v1/deployments", page(DEPLOYMENT))
    cli.controller.on("GET", EVENTS, stream(*WHOLE))
    done = cli("watch", "node1", "--json")
    kinds = [json.loads(line)["kind"] for line in done.out.splitlines()]
    assert kinds == [one["kind"] for one in WHOLE]
    assert done.err == "node1 is healthy: Debian 12, 74 s from power-on to first-boot report\n"


def test_nothing_to_watch(cli: Cli) -> None:
    """Exit code 3 and the next step where there is no deployment at all, or none of that name."""
    cli.controller.on("GET", "/v1/deployments", page())
    done = cli("watch")
    assert (done.code, "there is no deployment yet" in done.err) == (3, True)
    done = cli("watch", "nobody")
    assert (done.code, "no deployment 'nobody'" in done.err) == (3, True)


def test_cancelling_by_machine(cli: Cli) -> None:
    """The machine's latest deployment is the one that ends."""
    cli.controller.on("GET", "/v1/deployments", page(DEPLOYMENT))
    cli.controller.on("POST", "/v1/deployments/d1/cancel", Answer(200, DEPLOYMENT))
    assert cli("cancel", "node1").out == "deployment d1 of node1 is cancelled\n"
    assert json.loads(cli("cancel", "node1", "--json").out) == DEPLOYMENT


def test_listing_deployments(cli: Cli) -> None:
    """The newest first, of one machine if that is wanted."""
    cli.controller.on("GET", "/v1/deployments", page(DEPLOYMENT))
    assert cli("deployment", "list", "--machine", "node1").out == (
        "DEPLOYMENT  MACHINE  PROFILE  STATE  CREATED\n"
        "d1          node1    debian   armed  2026-03-01T12:00:00Z\n"
    )
    assert cli.controller.asked[0].query == {"machine": "node1"}
    assert json.loads(cli("deployment", "list", "--json").out) == [DEPLOYMENT]
    assert "release   debian-12-cloud\n" in cli("deployment", "show", "node1").out


def test_profiles(cli: Cli) -> None:
    """A broken profile stands in the list, with its error."""
    fine = {"release": "debian-12", "method": "archive"}
    good = {"name": "debian", "revision": "a" * 64, "profile": fine, "error": None}
    bad = {"name": "x", "revision": "b" * 64, "profile": None, "error": "x.yaml:1: no"}
    cli.controller.on("GET", "/v1/profiles", page(good, bad))
    cli.controller.on("GET", "/v1/profiles/debian", Answer(200, good))
    assert cli("profile", "list").out == (
        "NAME    RELEASE    METHOD   REVISION      ERROR\n"
        "debian  debian-12  archive  aaaaaaaaaaaa  -\n"
        "x       -          -        bbbbbbbbbbbb  x.yaml:1: no\n"
    )
    assert cli("profile", "show", "debian").out.startswith("release   debian-12\n")
    assert json.loads(cli("profile", "list", "--json").out) == [good, bad]


def test_the_token(cli: Cli) -> None:
    """Its file by default; itself only when asked for."""
    path = str(cli.state / "secrets" / "admin.token")
    assert cli("token").out == f"{path}\n"
    assert cli("token", "--show").out == "a-token\n"
    assert json.loads(cli("token", "--json").out) == {"file": path}
    assert json.loads(cli("token", "--show", "--json").out) == {"file": path, "token": "a-token"}


def test_media(cli: Cli, tmp_path: Path) -> None:
    """An empty store is an empty list; the catalogue has what the README names."""
    assert cli("media", "list").out == "NAME  KIND  SIZE  BUILT\n"
    assert json.loads(cli("media", "list", "--json").out) == []
    names = {row["name"] for row in json.loads(cli("media", "catalogue", "--json").out)}
    assert {"loaders", "ramdisk-generic", "ramdisk-cloud", "debian-12"} <= names
    done = cli("media", "add", "zzz", IRONWAKE_MIRROR="http://mirror.example/debian")
    assert (done.code, done.out) == (3, "")
    assert "there is no medium 'zzz'; see: ironwake media catalogue" in done.err


def test_settings_show_what_is_in_force(cli: Cli) -> None:
    """Each setting with the value that the environment gives it."""
    rows = json.loads(cli("settings", "--json", IRONWAKE_TFTP_PORT="6969").out)
    assert {row["name"]: row["value"] for row in rows}["IRONWAKE_TFTP_PORT"] == "6969"
    assert "IRONWAKE_STATE_DIR" in cli("settings").out
    assert cli("settings", "--markdown").out.startswith("# Settings\n")


def test_the_doctor_speaks_json(cli: Cli) -> None:
    """Findings as data; exit code 1 with a fault (here: no interface is named)."""
    done = cli("doctor", "--json")
    assert done.code == 1
    findings = {row["check"]: row for row in json.loads(done.out)}
    assert findings["interface"]["grade"] == "fault"
    assert "IRONWAKE_INTERFACE" in findings["interface"]["fix"]
    assert findings["artifacts"]["fix"] == (
        "run: ironwake media add loaders ramdisk-generic debian-12"
    )
    assert set(findings["secrets"]) == {"check", "grade", "says", "fix"}


LEASE: dict[str, Any] = {
    "address": "10.77.0.100",
    "mac": MAC,
    "machine": "node1",
    "hostname": "debian",
    "subnet": "10.77.0.0/24",
    "state": "live",
    "reserved": False,
    "expires": "2026-03-01T12:00:00.000Z",
    "first_seen": "2026-03-01T11:00:00.000Z",
}


def test_leases_are_listed(cli: Cli) -> None:
    """A line for each, filtered by the controller; JSON for scripts."""
    cli.controller.on("GET", "/v1/leases", page(LEASE))
    done = cli("lease", "list", "--machine", "node1")
    assert done.code == 0
    assert done.out.splitlines()[1].split() == [
        "10.77.0.100",
        MAC,
        "node1",
        "debian",
        "live",
        "no",
        "2026-03-01T12:00:00.000Z",
    ]
    assert json.loads(cli("lease", "list", "--machine", "node1", "--json").out) == [LEASE]


def test_reservations_are_shown_before_they_are_written(cli: Cli) -> None:
    """Without --yes nothing is written, and that is said; with it, when it takes effect."""
    change = {"machine": "node1", "mac": MAC, "before": None, "address": "10.77.0.10"}
    answers = {False: "the same with --yes writes it", True: "when it boots the next time"}
    for written, word in answers.items():
        answer = Answer(200, {"items": [change], "written": written, "next": None})
        cli.controller.on("POST", "/v1/leases/reserve", answer)
        done = cli(*["lease", "reserve", "--all", "--first", "10.77.0.10"], *(["--yes"] * written))
        assert (done.code, word in done.err) == (0, True)
        assert done.out.splitlines()[1].split() == ["node1", MAC, "-", "10.77.0.10"]
        assert cli.controller.asked[-1].body == {
            "machines": [],
            "all": True,
            "first": "10.77.0.10",
            "write": written,
        }


def test_a_reservation_comes_with_the_machine(cli: Cli) -> None:
    """Enrolled with it, given another one, and none: MAC= takes it away."""
    cli.controller.on("POST", "/v1/machines", Answer(201, MACHINE))
    there = {**MACHINE, "reservations": {MAC: "10.77.0.10"}}
    cli.controller.on("GET", "/v1/machines/node1", Answer(200, there))
    cli.controller.on("PATCH", "/v1/machines/node1", Answer(200, there))
    assert cli("enroll", "node1", "--mac", MAC, "--reserve", f"{MAC}=10.77.0.10").code == 0
    assert cli.controller.asked[-1].body["reservations"] == {MAC: "10.77.0.10"}
    assert cli("machine", "set", "node1", "--reserve", f"{MAC}=10.77.0.11").code == 0
    assert cli.controller.asked[-1].body == {"reservations": {MAC: "10.77.0.11"}}
    assert cli("machine", "set", "node1", "--reserve", f"{MAC}=").code == 0
    assert cli.controller.asked[-1].body == {"reservations": {}}
    wrong = cli("enroll", "node1", "--mac", MAC, "--reserve", "10.77.0.10")
    assert (wrong.code, "write it as MAC=ADDRESS" in wrong.err) == (2, True)
