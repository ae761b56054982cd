"""Arming, and ending without the machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from ironwake.report import Callback, Stage
from tests.controller.appliance import Appliance, Opened, add_media


def test_the_same_wish_again_is_the_same_deployment(appliance: Appliance) -> None:
    """While it lives, a second call with the same revision is 200 and arms nothing."""
    appliance.enrol()
    first = appliance.call("POST", "/v1/machines/node1/deploy", {"profile": "web"})
    second = appliance.call("POST", "/v1/machines/node1/deploy", {"profile": "web"})
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"]
    assert appliance.kinds().count("armed") == 1


@pytest.mark.parametrize("wish", [{"profile": "other"}, {"profile": "web", "erase": ["WD-1"]}])
def test_another_wish_names_the_live_deployment(
    appliance: Appliance, wish: dict[str, object]
) -> None:
    """One intent at a time: whatever differs is 409 and says which deployment is in the way."""
    appliance.profile("other", "release: debian-12\nmethod: script\n")
    appliance.enrol()
    live = appliance.deploy()
    reply = appliance.call("POST", "/v1/machines/node1/deploy", wish)
    assert reply.status_code == 409
    assert live["id"] in reply.json()["detail"]


def test_an_edited_profile_is_another_wish(appliance: Appliance) -> None:
    """A deployment keeps the profile as it was; the edited file is a new revision."""
    appliance.enrol()
    live = appliance.deploy()
    appliance.profile("web", "release: debian-12\nmethod: script\n")
    assert (
        appliance.call("POST", "/v1/machines/node1/deploy", {"profile": "web"}).status_code == 409
    )
    deployment = appliance.view().entries[0].deployment
    assert deployment is not None
    assert (deployment.revision, deployment.profile.method.value) == (live["revision"], "archive")


def test_unknown_profile_names_the_known_ones(appliance: Appliance) -> None:
    """A mistyped profile is 404 with the list."""
    appliance.enrol()
    reply = appliance.call("POST", "/v1/machines/node1/deploy", {"profile": "wbe"})
    assert (reply.status_code, reply.json()["next_step"]) == (404, "known are: web")


def test_missing_media_are_named(opened: Opened, tmp_path: Path) -> None:
    """Without the built media nothing is armed, and the command that builds them is told."""
    bare = opened(tmp_path, media=False)
    bare.enrol()
    reply = bare.call("POST", "/v1/machines/node1/deploy", {"profile": "web"})
    assert reply.status_code == 409
    assert reply.json()["next_step"] == "run: ironwake media add loaders ramdisk-generic debian-12"
    assert bare.state() == "enrolled"


def test_media_that_come_later_are_noticed(opened: Opened, tmp_path: Path) -> None:
    """New artifacts reach the view without a restart."""
    bare = opened(tmp_path, media=False)
    before = bare.view()
    bare.house.housekeeping.look()
    assert bare.view() == before
    add_media(bare.settings.artifacts)
    bare.house.housekeeping.look()
    after = bare.view()
    assert after.version > before.version
    assert after.shelf.find("debian-12", "archive")


def test_damaged_media_keep_the_last_good_ones(appliance: Appliance) -> None:
    """A broken manifest is told, and takes nothing away from what is known."""
    (appliance.settings.artifacts / "manifests" / "bad.json").write_text("{")
    appliance.house.housekeeping.look()
    assert appliance.view().shelf.find("debian-12", "archive")
    assert "bad.json" in appliance.good("GET", "/v1/site")["trouble"]["artifacts"]


@pytest.mark.parametrize("minutes", [0, -1, 1e9])
def test_arming_time_has_limits(appliance: Appliance, minutes: float) -> None:
    """Nobody arms for ever, nor for no time."""
    appliance.enrol()
    body = {"profile": "web", "minutes": minutes}
    assert appliance.call("POST", "/v1/machines/node1/deploy", body).status_code == 422


def test_cancelling_disarms_and_ends(appliance: Appliance) -> None:
    """After a cancel nothing is handed out, and callbacks hear that it is over."""
    appliance.enrol()
    made = appliance.deploy()
    token, health = appliance.tokens()
    for _ in range(2):
        done = appliance.good("POST", f"/v1/deployments/{made['id']}/cancel")
        assert (done["state"], done["over"]) == ("cancelled", True)
    assert appliance.claim(token).status_code == 410
    assert appliance.report(token, Callback(Stage.INSTALLING)).status_code == 410
    assert appliance.healthy(health).status_code == 410
    assert appliance.kinds().count("cancelled") == 1


def test_a_failure_never_rearms(appliance: Appliance) -> None:
    """After a failure the machine boots its disk until somebody deploys it anew."""
    appliance.enrol()
    made = appliance.deploy()
    token, _ = appliance.tokens()
    appliance.claim(token)
    failed = Callback(Stage.FAILED, "f", message="the disk is not blank")
    assert appliance.report(token, failed).status_code == 204
    shown = appliance.good("GET", f"/v1/deployments/{made['id']}")
    assert (shown["state"], shown["message"]) == ("failed", "the disk is not blank")
    assert appliance.claim(token).status_code == 410
    plan = appliance.good("GET", "/v1/plan?mac=525400770010")
    assert plan["kind"] == "local"
    assert appliance.call("POST", f"/v1/deployments/{made['id']}/cancel").status_code == 409
    assert appliance.deploy()["id"] != made["id"]


def test_deployments_are_listed_newest_first(appliance: Appliance) -> None:
    """Pages join to the whole list, filtered by machine and state."""
    appliance.enrol()
    made = []
    for _ in range(3):
        made.append(appliance.deploy()["id"])
        appliance.good("POST", f"/v1/deployments/{made[-1]}/cancel")
    first = appliance.good("GET", "/v1/deployments?limit=2&machine=node1&state=cancelled")
    second = appliance.good("GET", f"/v1/deployments?limit=2&after={first['next']}")
    assert [item["id"] for item in first["items"] + second["items"]] == made[::-1]
    assert second["next"] is None
    assert appliance.good("GET", "/v1/deployments?machine=node2")["items"] == []
    assert appliance.call("GET", "/v1/deployments?after=nothing").status_code == 422
