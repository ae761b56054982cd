"""What a bundle brings, in its places: whose file stays, who can read it, what room it needs."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ironwake.artifact import Artifact, Manifest
from ironwake.bundle import SHIPPED
from ironwake.errors import RefusedError
from ironwake.progress import silent
from ironwake_imager.bundle import room
from ironwake_imager.bundle.bring import bring
from ironwake_imager.bundle.gather import Gathering
from ironwake_runtime.artifacts import ArtifactStore
from tests.packages.bundles import MADE, PROFILE, WHOLE, Site, bundle_of, medium

PROJECT = Path(__file__).parents[2]


def test_a_sites_own_profile_is_kept(tmp_path: Path, site: Site) -> None:
    """A file that a person has changed stays, and is told; --replace takes the bundle's."""
    file = bundle_of(WHOLE, tmp_path / "b", debian=())
    own = site.root / "profiles/web.yaml"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"release: debian-13\n")
    assert bring(file, site.places, silent).kept == [str(own)]
    assert own.read_bytes() == b"release: debian-13\n"
    bring(file, site.places, silent, replace=True)
    assert own.read_bytes() == PROFILE


@pytest.mark.parametrize("path", SHIPPED)
def test_a_default_of_the_products_is_nobodys_own(path: str, tmp_path: Path, site: Site) -> None:
    """A file as it came with the product does not hide the bundle's; one with a change does."""
    shipped, brought = (PROJECT / path).read_bytes(), b"# of the bundle\n"
    assert hashlib.sha256(shipped).hexdigest() in SHIPPED[path], "add the new text's hash"
    file = bundle_of({path: brought}, tmp_path / "b")
    here = site.root / path
    here.parent.mkdir(parents=True)
    here.write_bytes(shipped)
    done = bring(file, site.places, silent)
    assert ((done.parameters or done.profiles), done.kept) == ([here.name], [])
    assert here.read_bytes() == brought
    here.write_bytes(shipped + b"# mine\n")
    done = bring(file, site.places, silent)
    assert (done.parameters, done.profiles, done.kept) == ([], [], [str(here)])
    assert here.read_bytes() == shipped + b"# mine\n"


def test_every_default_of_the_products_is_known() -> None:
    """Else a bundle's file of that name would be kept out by one that nobody has written."""
    there = {f"{folder}/{path.name}" for folder in ("profiles", "parameters")
             for path in (PROJECT / folder).glob("*.yaml")}  # fmt: skip
    assert there == set(SHIPPED)


def test_whoever_imports_the_services_can_read_it(tmp_path: Path, site: Site) -> None:
    """With a umask that closes everything: the services run as another user."""
    here = ArtifactStore(tmp_path / "here")
    medium(here)
    gathering = Gathering(here, "generic", ())
    gathering.media(["debian-12"])
    files = {path: file.read_bytes() for path, file in gathering.files.items()} | WHOLE
    file = bundle_of(files, tmp_path / "b", debian=("http://mirror.example/debian",))
    before = os.umask(0o077)
    try:
        bring(file, site.places, silent)
    finally:
        os.umask(before)
    paths = [path for path in (site.root, *site.root.rglob("*")) if path.name != ".lock"]
    modes = {path: path.stat().st_mode & 0o777 for path in paths}
    assert len(modes) > 20
    assert {path: m for path, m in modes.items() if m != (0o755 if path.is_dir() else 0o644)} == {}


def _disks(**free: int) -> room.Disks:
    """A file system, and a mount, for each folder of a site that is named; "root" for the rest."""
    names = tuple(free)

    def disk(path: Path) -> room.Disk:
        name = next((name for name in names if name in path.parts), "root")
        return room.Disk(names.index(name), names.index(name), free[name])

    return disk


MIB = 1 << 20
LEFT = 64 * MIB  # that an import leaves on a disk
MUCH = 1 << 30


@pytest.mark.parametrize(
    ("disks", "said"),
    [
        (_disks(root=MUCH, cache=LEFT + 3 * MIB), "needs 3.* in .*/cache/bundles, where 67 MiB a"),
        (_disks(root=MUCH, packages=LEFT + MIB), "needs 2 MiB in .*/imported/packages, where 65 M"),
        (
            _disks(root=MUCH, artifacts=LEFT + MIB - 1),
            "needs 1 MiB in .*/artifacts, where 65 MiB a",
        ),
        (_disks(root=MUCH, profiles=LEFT + 34), "needs 35 B in .*/profiles, where 64 MiB are free"),
        (_disks(root=MUCH, artifacts=LEFT + MIB, packages=LEFT + 2 * MIB), ""),
    ],
)
def test_every_disk_has_room_before_anything_begins(
    disks: room.Disks, said: str, tmp_path: Path, site: Site
) -> None:
    """The cache's, the store's and each folder's; what is linked on one disk is counted once."""
    data = os.urandom(MIB)
    artifact = Artifact(hashlib.sha256(data).hexdigest(), len(data))
    manifest = Manifest("debian-12", "media", MADE, "x", {"archive": artifact}, {"archive": "a"})
    files = {
        f"artifacts/{artifact.sha256}": data,
        "manifests/debian-12.json": manifest.to_json().encode(),
        "packages/debian/pool/a.deb": os.urandom(2 * MIB),
        "profiles/web.yaml": PROFILE,
    }
    file = bundle_of(files, tmp_path / "b", debian=())
    places = replace(site.places, disks=disks)
    if not said:
        assert bring(file, places, silent).mirrors == ["debian"]
        assert bring(file, places, silent).mirrors == ["debian"]
        return
    with pytest.raises(RefusedError, match=said):
        bring(file, places, silent)
    assert site.tree() == {}


def test_the_disk_that_is_short_is_named_the_second_time_too(tmp_path: Path, site: Site) -> None:
    """All of it is there, and the largest file is still written anew beside the old one."""
    file = bundle_of({"packages/debian/a.deb": os.urandom(2 * MIB)}, tmp_path / "b", debian=())
    bring(file, site.places, silent)
    places = replace(site.places, disks=_disks(root=MUCH, packages=LEFT + MIB))
    with pytest.raises(RefusedError, match=r"needs 2 MiB in .*/imported/packages, where 65 MiB"):
        bring(file, places, silent)


def test_two_mounts_of_one_disk_hold_the_bytes_twice(tmp_path: Path, site: Site) -> None:
    """As volumes of containers are: nothing is linked from one to the other."""

    def disk(path: Path) -> room.Disk:
        return room.Disk(1, 1 if "cache" in path.parts else 2, LEFT + 4 * MIB - 1)

    file = bundle_of({"packages/debian/a.deb": os.urandom(2 * MIB)}, tmp_path / "b", debian=())
    with pytest.raises(RefusedError, match=r"needs 4 MiB in .*/bundles and .*/imported/packages"):
        bring(file, replace(site.places, disks=disk), silent)


def test_what_a_folder_stands_on(tmp_path: Path) -> None:
    """Of one that is not there yet, it is what its parent stands on."""
    (tmp_path / "file").touch()
    own = room.disk(tmp_path)
    assert own.device == tmp_path.stat().st_dev
    assert own.free > 0
    for path in ("a/b", "file", "file/x"):
        there = room.disk(tmp_path / path)
        assert (there.device, there.mount) == (own.device, own.mount)
    assert room.disk(Path("/proc")).mount != own.mount


def test_json_is_all_that_a_program_reads(tmp_path: Path, site: Site) -> None:
    """One document on standard output; what the import is at, on the other one."""
    file = bundle_of(WHOLE, tmp_path / "b", debian=())
    done = _import(file, site, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["profiles"] == ["web.yaml"]
    assert "bundle 100%: all of it is there" in done.stderr
    (site.root / "profiles/web.yaml").write_bytes(b"release: debian-13\n")
    told = _import(file, site).stdout
    assert f"kept as it is here: {site.root}/profiles/web.yaml" in told
    assert "--replace" in told


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("profiles/a.yaml", "a.yaml:1: release"),
        ("parameters/site.yaml", "parameters/site.yaml:1"),
        ("parameters/groups/a.yaml", "parameters/groups/a.yaml:1"),
    ],
)
def test_a_persons_wrong_file_is_named(path: str, said: str, tmp_path: Path, site: Site) -> None:
    """By its line, before anything is placed: with it no machine could be armed any longer."""
    file = bundle_of({path: b"release: {}\n", "parameters/machines/b.yaml": b"{}"}, tmp_path / "b")
    done = _import(file, site)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert site.tree() == {}


def _import(file: Path, site: Site, *words: str) -> subprocess.CompletedProcess[str]:
    """As a person does it."""
    outside = {key: value for key, value in os.environ.items() if not key.startswith("IRONWAKE_")}
    folders = {"STATE_DIR": site.root, "CACHE_DIR": site.root / "cache"}
    return subprocess.run(
        [sys.executable, "-m", "ironwake_cli", "bundle", "import", str(file), *words],
        env={**outside, **{f"IRONWAKE_{name}": str(at) for name, at in folders.items()}},
        capture_output=True,
        text=True,
        check=False,
    )
