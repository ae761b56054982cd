"""`/v1/images`: what there is, and which machines have it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ironwake.artifact import Artifact, Manifest
from ironwake.image import Page
from ironwake_runtime import images
from ironwake_runtime.artifacts import ArtifactStore
from tests.controller.appliance import Appliance

BUILT = "2026-01-02T03:04:05Z"


def root(store: ArtifactStore, name: str, sequence: int) -> None:
    """Publish the image of a root."""
    roles: dict[str, Artifact] = {"archive": store.add_bytes(name.encode())}
    facts: dict[str, str | int] = {
        "image_kind": "root",
        "unpacked_bytes": 1000,
        "architecture": "amd64",
        "boot_modes": "bios,uefi",
        "sequence": sequence,
        "least_disk": 1 << 30,
    }
    store.publish(Manifest(name, "image", BUILT, "", roles, {"archive": "web.tar.zst"}, facts))


@pytest.fixture
def stocked(appliance: Appliance) -> Appliance:
    """With two versions, and a tag at the first."""
    store = ArtifactStore(appliance.settings.artifacts)
    root(store, "web@1", 1)
    root(store, "web@2", 2)
    images.write(store, {"web": Page(2, (), {"stable": "1"})})
    return appliance


def test_what_there_is(stocked: Appliance) -> None:
    """All of it, and one by name, version or tag."""
    items = stocked.good("GET", "/v1/images")["items"]
    assert [(item["name"], item["tags"]) for item in items] == [
        ("web@1", ["stable"]),
        ("web@2", []),
    ]
    assert stocked.good("GET", "/v1/images/web") == items[1]
    assert stocked.good("GET", "/v1/images/web@stable") == items[0]
    assert items[0]["boot_modes"] == ["bios", "uefi"]
    assert items[0]["machines"] == []


def test_what_there_is_not(stocked: Appliance) -> None:
    """Unknown ones are 404, with what there is; what is no name is 422."""
    reply = stocked.call("GET", "/v1/images/web@7")
    assert (reply.status_code, reply.json()["detail"]) == (
        404,
        "web has no version 7; it has: 1, 2; and the tags: stable",
    )
    assert stocked.call("GET", "/v1/images/Web@1").status_code == 422


def test_which_machines_have_it(stocked: Appliance) -> None:
    """Those that wait for it, too; no longer once their deployment came to nothing."""
    stocked.profile("web", "method: archive\nimage: web@stable\n")
    stocked.enrol()
    deployment = stocked.deploy()["id"]
    assert stocked.good("GET", "/v1/images/web@1")["machines"] == ["node1"]
    assert stocked.good("GET", "/v1/images/web@2")["machines"] == []
    stocked.good("POST", f"/v1/deployments/{deployment}/cancel")
    assert stocked.good("GET", "/v1/images/web@1")["machines"] == []


def test_a_tag_that_moved_a_moment_ago(stocked: Appliance) -> None:
    """The next deployment takes where it stands now; the one before keeps what it took."""
    stocked.profile("web", "method: archive\nimage: web@stable\n")
    stocked.enrol()
    first = stocked.deploy()["id"]
    store = ArtifactStore(stocked.settings.artifacts)
    images.write(store, {"web": Page(2, (), {"stable": "2"})})
    assert stocked.good("GET", "/v1/images/web@1")["machines"] == ["node1"]
    stocked.good("POST", f"/v1/deployments/{first}/cancel")
    stocked.deploy()
    assert stocked.good("GET", "/v1/images/web@stable")["machines"] == ["node1"]
    assert stocked.good("GET", "/v1/images/web@1")["machines"] == []


def test_a_store_without_images(appliance: Appliance) -> None:
    """An empty list, and an error that says how one is made."""
    assert appliance.good("GET", "/v1/images")["items"] == []
    assert "ironwake image import" in appliance.call("GET", "/v1/images/web").json()["next_step"]


def test_damage_is_said(stocked: Appliance, tmp_path: Path) -> None:
    """A file of tags that cannot be read leaves what was known, and is told as trouble."""
    assert len(stocked.good("GET", "/v1/images")["items"]) == 2
    (stocked.settings.artifacts / "images.json").write_text("{")
    assert len(stocked.good("GET", "/v1/images")["items"]) == 2
    assert "images.json" in stocked.good("GET", "/v1/site")["trouble"]["artifacts"]
