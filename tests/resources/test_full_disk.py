"""A disk that is full: it is said, nothing is promised that is not kept, and nothing ends."""

from __future__ import annotations

import mmap
from pathlib import Path

import pytest

from ironwake.artifact import Manifest
from ironwake.errors import BrokenError
from ironwake.progress import silent
from ironwake.report import Callback, Stage
from ironwake_runtime.aptsources import Mirror
from ironwake_runtime.artifacts import ArtifactStore
from ironwake_runtime.builds import Product, Recipe, Versions, Workshop
from ironwake_testing.player import played
from tests.resources.rig import ACK, NODE, OTHER, Client, Place, full, place, small_disk

pytestmark = pytest.mark.root

_MOST = 100


def test_the_disk_of_the_database_and_the_leases(tmp_path: Path) -> None:
    """Reads and boots go on; no lease, claim or report is acknowledged; then all goes on."""
    with (
        small_disk(tmp_path / "state", "8m") as state,
        place(tmp_path, state=state) as there,
        there.rack.capture() as frames,
        played(there.rack, NODE) as player,
    ):
        client = Client(player, frames, there.rack.spec.appliance_mac)
        assert there.enrol("node1", NODE).status == 201
        deployment, token = there.arm("node1")
        offered = client.offered()
        before = there.pids()
        with full(state):
            refused = there.enrol("node2", OTHER)
            assert refused.status == 503
            assert "full" in refused.problem["detail"]
            assert refused.problem["next_step"]
            assert there.claim(token, offered).status == 503
            report = Callback(Stage.LOG, "c1", message="hello")
            path = f"/internal/deployments/{token}/callbacks"
            assert there.call("POST", path, report, "service").status == 503
            # Reads, and what boots a machine.
            shown = there.good("GET", f"/v1/deployments/{deployment}")
            assert shown["state"] in ("armed", "offered")
            taking = unkept(there, client, offered)
            player.take(offered)
            assert "linux" in player.http(f"boot/{NODE}/grub.cfg").text
            assert player.tftp("ipxe/undionly.kpxe") is not None
            assert there.resolve("ironwake.ironwake.internal") == ["10.77.0.2"]
            assert player.http(f"deployments/{token}/order").status == 503
        # There is room again.
        assert there.enrol("node2", OTHER).status == 201
        assert player.http(f"deployments/{token}/order").status == 200
        assert client.heard(taking) == []
        assert client.ask(client.request(offered)) == (ACK, offered)
        assert there.call("POST", path, report, "service").status == 204
        assert there.pids() == before
        said = there.said()
    assert "Traceback" not in said
    assert "leases.jsonl" in said


def unkept(there: Place, client: Client, address: str) -> bytes:
    """A REQUEST whose lease does not fit on the disk: a few may, in what is left of a page."""
    for _ in range(_MOST):
        told = "leases.jsonl cannot be written" in there.said()
        message = client.request(address)
        client.player.broadcast(message)
        assert client.offered() == address
        if told:
            return message
    raise AssertionError("all leases had room")


def test_the_disk_of_the_log(tmp_path: Path) -> None:
    """Nothing ends because nothing can be said; afterwards it says how much is missing."""
    with (
        small_disk(tmp_path / "logs", "64k") as logs,
        place(tmp_path, log=logs / "serve.log") as there,
    ):
        before = there.pids()
        with there.log.open("ab") as log:  # its last page is full, too
            log.write(b"#" * (-log.tell() % mmap.PAGESIZE))
        with full(logs):
            there.appliance.kill("dns")
            there.appliance.settle()
            assert there.enrol("node1", NODE).status == 201
            assert there.resolve("ironwake.ironwake.internal") == ["10.77.0.2"]
        there.appliance.kill("dns")
        after = there.pids()
        assert {name for name in after if after[name] != before[name]} == {"dns"}
        said = there.said()
    assert "lines could not be written here" in said
    assert "Traceback" not in said


def built(store: Path, cache: Path) -> Manifest:
    """A build of half a megabyte."""

    def make(work: Path, _: Versions) -> Product:
        (work / "out").write_bytes(bytes(1 << 19))
        return Product({"out": work / "out"}, {})

    recipe = Recipe("thing", "media", (Path(__file__),))
    shop = Workshop(ArtifactStore(store), cache, Mirror("http://mirror.example/debian"), silent)
    return shop.build(recipe, dict, make)


def left(folder: Path) -> set[Path]:
    """Files, but for locks, which are empty."""
    return {one for one in folder.rglob("*") if one.is_file() and one.stat().st_size}


@pytest.mark.parametrize("which", ["store", "cache"])
def test_a_build_without_room(tmp_path: Path, which: str) -> None:
    """It says where to make room, leaves nothing half made, and works once there is some."""
    store, cache = tmp_path / "store", tmp_path / "cache"
    with small_disk(tmp_path / which, "2m") as disk:
        before = left(disk) | {disk / "ballast"}
        with full(disk):
            with pytest.raises(BrokenError, match="no room") as caught:
                built(store, cache)
            assert str(disk) in caught.value.next_step
            assert left(disk) == before
            assert ArtifactStore(store).manifests() == ()
        manifest = built(store, cache)
        assert ArtifactStore(store).has(manifest.artifact("out"))
