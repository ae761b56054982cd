"""Deploying an image: which version a machine gets, and what its order says."""

from __future__ import annotations

import pytest

from ironwake import wire
from ironwake.artifact import Manifest
from ironwake.image import Page
from ironwake.order import Order
from ironwake.profile import Ids, Seed, Verify
from ironwake.view import Index
from ironwake_runtime import images
from ironwake_runtime.artifacts import ArtifactStore
from tests.controller.appliance import Appliance
from tests.controller.test_images import BUILT, root

DISK_BYTES = 4_000_000_000
PROFILE = "method: disk-image\nimage: {}\nidentity: new\nseed: nocloud\nverify: fast\n"


def disk(store: ArtifactStore, name: str, sequence: int, architecture: str = "amd64") -> None:
    """Publish the image of a disk."""
    artifacts = {role: store.add_bytes(f"{name} {role}".encode()) for role in ("pack", "index")}
    facts: dict[str, str | int] = {
        "image_kind": "disk",
        "logical_bytes": DISK_BYTES,
        "architecture": architecture,
        "sequence": sequence,
        "least_disk": DISK_BYTES,
    }
    files = {"pack": f"{name}.pack", "index": f"{name}.index"}
    store.publish(Manifest(name, "image", BUILT, "", artifacts, files, facts))


@pytest.fixture
def stocked(appliance: Appliance) -> Appliance:
    """With two versions of a disk, a tag at the first, and the image of a root."""
    store = ArtifactStore(appliance.settings.artifacts)
    disk(store, "gold@1", 1)
    disk(store, "gold@2", 2)
    disk(store, "arm@1", 1, "arm64")
    root(store, "tree@1", 1)
    images.write(store, {"gold": Page(2, (), {"stable": "1"}), "tree": Page(1), "arm": Page(1)})
    appliance.house.surroundings.refresh()
    appliance.enrol()
    return appliance


def _order(appliance: Appliance) -> Order:
    return wire.decode(Order, appliance.claim(appliance.tokens()[0]).json()["text"])


@pytest.mark.parametrize(
    ("reference", "version"), [("gold", "gold@2"), ("gold@1", "gold@1"), ("gold@stable", "gold@1")]
)
def test_a_reference_means_a_version_once_it_is_armed(
    stocked: Appliance, reference: str, version: str
) -> None:
    """The deployment keeps it: a tag that moves, or a newer version, changes nothing of it."""
    stocked.profile("web", PROFILE.format(reference))
    stocked.deploy()
    store = ArtifactStore(stocked.settings.artifacts)
    disk(store, "gold@3", 3)
    images.write(store, {"gold": Page(3, (), {"stable": "3"})})
    stocked.house.surroundings.refresh()
    entry = Index(stocked.view()).by_name("node1")
    assert entry is not None
    assert entry.deployment is not None
    assert entry.deployment.profile.image == version
    image = _order(stocked).image
    assert image is not None
    assert image.name == version
    manifest = store.manifest(version)
    assert image.index_sha256 == manifest.artifact("index").sha256
    assert image.packed == manifest.artifact("pack").size
    assert manifest.artifact("pack").sha256 in image.url


def test_the_order_says_what_becomes_of_the_disk(stocked: Appliance) -> None:
    """Sizes, ids, seed, and how it is verified; no archive beside it."""
    stocked.profile("web", PROFILE.format("gold"))
    stocked.deploy()
    order = _order(stocked)
    image = order.image
    assert image is not None
    assert (image.ids, image.seed, image.verify) == (Ids.NEW, Seed.NOCLOUD, Verify.FAST)
    assert image.size == order.least_disk == DISK_BYTES
    assert order.archive is None


def test_an_archive_may_be_the_image_of_a_root(stocked: Appliance) -> None:
    """Instead of a release; its own size and least disk count."""
    stocked.profile("web", "image: tree\n")
    stocked.deploy()
    order = _order(stocked)
    assert order.archive is not None
    assert order.archive.unpacked == 1000
    assert order.least_disk == 1 << 30
    assert order.image is None


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [
        ("method: disk-image\nimage: tree\n", 409, "method: archive"),
        ("image: gold\n", 409, "method: disk-image"),
        ("method: disk-image\nimage: nothing\n", 404, "there is no image nothing"),
        ("method: disk-image\nimage: gold@9\n", 404, "no version 9"),
        ("method: disk-image\nimage: arm\n", 409, "not made for amd64"),
        ("method: disk-image\nrelease: debian-12\n", 422, "takes no release"),
        ("method: script\nimage: tree\n", 422, "takes no image"),
        ("release: debian-12\nimage: tree\n", 422, "release or image"),
        ("method: disk-image\n", 422, "image"),
        ("method: archive\n", 422, "release"),
    ],
)
def test_what_does_not_fit_arms_nothing(
    stocked: Appliance, text: str, status: int, words: str
) -> None:
    """Another kind, another processor, nothing at all, two things: said with the way out."""
    stocked.profile("web", text)
    reply = stocked.call("POST", "/v1/machines/node1/deploy", {"profile": "web"})
    assert reply.status_code == status
    assert words in reply.text
    assert stocked.state() == "enrolled"
