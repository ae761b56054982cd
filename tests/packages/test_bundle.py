"""Bundles: what goes in comes out, hostile ones change nothing, an interrupted one goes on."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from ironwake.artifact import Artifact, Manifest
from ironwake.bundle import NAME, SHIPPED, Bundle, BundleError, Entry, is_path, sorted_entries
from ironwake.errors import InputError, RefusedError
from ironwake.progress import silent
from ironwake_imager.bundle import archive, room
from ironwake_imager.bundle.bring import Places, bring
from ironwake_imager.bundle.gather import Gathering
from ironwake_runtime import packagecache
from ironwake_runtime.artifacts import ArtifactStore

PROJECT = Path(__file__).parents[2]
MADE = "2026-11-01T00:00:00+00:00"
PROFILE = b"release: debian-12\nmethod: archive\n"


def check(name: str, raw: bytes) -> None:
    if raw == b"wrong":
        raise InputError("this is no profile", "", name)


@dataclass
class Site:
    """One appliance's folders."""

    root: Path

    @property
    def places(self) -> Places:
        at = self.root
        store = ArtifactStore(at / "artifacts")
        return Places(
            at / "cache", store, at / "packages", at / "profiles", at / "parameters", check
        )

    def tree(self) -> dict[str, bytes]:
        """All files but the cache's own."""
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and "cache" not in path.parts and path.name != ".lock"
        }


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "there")


def _medium(store: ArtifactStore, name: str = "debian-12", kind: str = "media") -> Manifest:
    artifact = store.add_bytes(os.urandom(70_000))
    facts: dict[str, str | int] = {}
    if kind == "image":
        facts = {"image_kind": "root", "unpacked_bytes": 1}
    manifest = Manifest(name, kind, MADE, "x", {"archive": artifact}, {"archive": "a"}, facts)
    store.publish(manifest)
    return manifest


def bundle_of(files: dict[str, bytes], folder: Path, **mirrors: tuple[str, ...]) -> Path:
    """A bundle of these files, as we write one."""
    folder.mkdir(parents=True, exist_ok=True)
    paths, entries = {}, []
    for number, (path, data) in enumerate(files.items()):
        paths[path] = folder / str(number)
        paths[path].write_bytes(data)
        entries.append(Entry(path, hashlib.sha256(data).hexdigest(), len(data)))
    named = {name.replace("_", "-"): urls for name, urls in mirrors.items()}
    found = Bundle(MADE, "0.1.0", sorted_entries(entries), named)
    target = folder / "site.iwb"
    archive.write(target, found, paths, lambda *_: None)
    return target


WHOLE = {
    "profiles/web.yaml": PROFILE,
    "parameters/groups/database.yaml": b"match: {role: database}\n",
    "packages/debian/dists/bookworm/InRelease": b"signed",
    "packages/debian/pool/main/g/g++/g++_1%3a2~1+b1_amd64.deb": b"x" * 100_000,
    "wheels/ironwake-0.1.0-py3-none-any.whl": b"wheel",
}


def test_what_goes_in_comes_out(tmp_path: Path, site: Site) -> None:
    """Media, their bytes, profiles, parameters, mirrors, wheels: in their places, as they were."""
    here = ArtifactStore(tmp_path / "here")
    manifest = _medium(here)
    gathering = Gathering(here, "generic", ())
    gathering.media(["debian-12"])
    files = {path: file.read_bytes() for path, file in gathering.files.items()} | WHOLE
    file = bundle_of(files, tmp_path / "b", debian=("http://mirror.example/debian",))
    done = bring(file, site.places, silent)
    assert (done.media, done.profiles, done.mirrors) == (["debian-12"], ["web.yaml"], ["debian"])
    store = site.places.store
    assert store.manifest("debian-12") == manifest
    assert store.path(manifest.artifact("archive").sha256).read_bytes() == (
        here.path(manifest.artifact("archive").sha256).read_bytes()
    )
    pool = packagecache.mirror_folder(site.root / "packages", "debian") / "pool/main/g/g++"
    assert [path.stat().st_size for path in pool.iterdir()] == [100_000]
    (source,) = packagecache.imported(site.root / "packages")
    assert (source.name, source.also) == ("debian", ("http://mirror.example/debian",))
    assert not list((site.root / "cache/bundles").iterdir())


def test_again_changes_nothing(tmp_path: Path, site: Site) -> None:
    """The same bundle a second time: the same files, and nothing is kept back or doubled."""
    file = bundle_of(WHOLE, tmp_path / "b", debian=("http://mirror.example/debian",))
    bring(file, site.places, silent)
    before = site.tree()
    assert bring(file, site.places, silent).kept == []
    assert site.tree() == before


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
    _medium(here)
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


def test_it_goes_on_where_it_was_cut_off(tmp_path: Path, site: Site) -> None:
    """Of a bundle that is still being copied what came is verified; then only the rest is."""
    files = {f"packages/debian/pool/{n}.deb": os.urandom(400_000) for n in range(8)}
    file = bundle_of(files, tmp_path / "b", debian=())
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BundleError, match="cut off"):
        bring(file, site.places, silent)
    assert site.tree() == {}
    (stage,) = (site.root / "cache/bundles").iterdir()
    staged = {path: path.stat().st_mtime_ns for path in stage.iterdir() if path.name[0] != "."}
    assert 0 < len(staged) < 8
    file.write_bytes(whole)
    taken: list[str] = []

    def looked(step: str, fraction: float | None, message: str) -> None:
        taken.extend(path.name for path in stage.glob("[!.]*"))

    bring(file, site.places, looked)
    assert {path.name for path in staged} <= set(taken)
    assert len(site.tree()) == 9


def _packed(blocks: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(blocks)


def _raw(found: Bundle, *members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """An archive of a stranger's making, behind an honest first file."""
    text = found.to_json()
    out = io.BytesIO()
    out.write(archive.header(NAME, len(text)) + text + bytes(-len(text) % 512))
    for info, data in members:
        out.write(info.tobuf(tarfile.GNU_FORMAT) + data + bytes(-len(data) % 512))
    return out.getvalue() + bytes(1024)


def _one(path: str = "wheels/a.whl", data: bytes = b"data") -> Bundle:
    return Bundle(MADE, "1", (Entry(path, hashlib.sha256(data).hexdigest(), len(data)),))


def _info(name: str = "wheels/a.whl", size: int = 4, **more: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    for key, value in more.items():
        setattr(info, key, value)
    return info


HOSTILE: dict[str, bytes] = {
    "another path": _raw(_one(), (_info("wheels/../../etc/x"), b"data")),
    "an absolute path": _raw(_one(), (_info("/etc/passwd"), b"data")),
    "a symbolic link": _raw(_one(), (_info(type=tarfile.SYMTYPE, linkname="/etc", size=0), b"")),
    "a hard link": _raw(_one(), (_info(type=tarfile.LNKTYPE, linkname="/etc/x", size=0), b"")),
    "a device": _raw(_one(), (_info(type=tarfile.CHRTYPE, size=0), b"")),
    "a folder": _raw(_one(), (_info(type=tarfile.DIRTYPE, size=0), b"")),
    "another size": _raw(_one(), (_info(size=5), b"data5")),
    "an owner": _raw(_one(), (_info(uid=1), b"data")),
    "other bytes": _raw(_one(), (_info(), b"date")),
    "one file more": _raw(_one(), (_info(), b"data"), (_info("wheels/b.whl"), b"data")),
    "one file less": _raw(_one()),
    "something behind": _raw(_one(), (_info(), b"data")) + b"x",
    "no bundle.json": _info().tobuf() + b"data" + bytes(508 + 1024),
    "nothing": b"",
    "a bomb": _raw(_one("wheels/a.whl", b""), (_info(size=0), b"")) + bytes(600 << 20),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_archive_changes_nothing(kind: str, tmp_path: Path, site: Site) -> None:
    """Whatever stands in the place of the file that was announced: refused, nothing is touched."""
    file = tmp_path / "site.iwb"
    file.write_bytes(_packed(HOSTILE[kind]))
    with pytest.raises(BundleError):
        bring(file, site.places, silent)
    assert site.tree() == {}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda raw: raw[:-40], "cut off"),
        (lambda raw: b"\x1f\x8b" + raw[2:], "no bundle"),
        (lambda raw: raw[: len(raw) // 2] + b"\xff" * 9 + raw[len(raw) // 2 + 9 :], "damaged"),
    ],
)
def test_a_damaged_bundle_changes_nothing(
    spoil: Callable[[bytes], bytes], said: str, tmp_path: Path, site: Site
) -> None:
    """A bad stick, a copy that ended early, another file: in words, and nothing is changed."""
    files = {**WHOLE, "wheels/b.whl": os.urandom(300_000)}
    file = bundle_of(files, tmp_path / "b", debian=())
    file.write_bytes(spoil(file.read_bytes()))
    with pytest.raises(BundleError, match=f"{said}|SHA-256"):
        bring(file, site.places, silent)
    assert site.tree() == {}


def test_a_wrong_text_is_found_before_anything_is_placed(tmp_path: Path, site: Site) -> None:
    """A profile or parameters that are none, a manifest of bytes that are not there, one by
    another name."""
    for path in ("profiles/a.yaml", "parameters/groups/a.yaml"):
        with pytest.raises(InputError, match=r"no profile"):
            bring(bundle_of({path: b"wrong"}, tmp_path / path), site.places, silent)
    manifest = _medium(ArtifactStore(tmp_path / "here"))
    text = manifest.to_json().encode()
    for name, said in (("debian-12", "is not in it"), ("debian-13", "is the manifest of")):
        file = bundle_of({f"manifests/{name}.json": text}, tmp_path / name)
        with pytest.raises(BundleError, match=said):
            bring(file, site.places, silent)
    assert site.tree() == {}


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


def test_what_nobody_goes_on_with_is_cleared_away(tmp_path: Path, site: Site) -> None:
    """A bundle that was refused, or given up, does not keep its gigabytes for ever."""
    begun = site.root / "cache/bundles"
    for name in ("old", "new"):
        (begun / name).mkdir(parents=True)
        (begun / name / "file").write_bytes(b"x")
    os.utime(begun / "old", (0, 0))
    bring(bundle_of(WHOLE, tmp_path / "b", debian=()), site.places, silent)
    assert [path.name for path in begun.iterdir()] == ["new"]


def test_another_image_of_that_name_is_refused(tmp_path: Path, site: Site) -> None:
    """A version is given once: whoever has another web@1 already keeps it."""
    here = ArtifactStore(tmp_path / "here")
    _medium(here, "web@1", "image")
    _medium(site.places.store, "web@1", "image")
    gathering = Gathering(here, "generic", ())
    gathering.media(["web@1"])
    files = {path: file.read_bytes() for path, file in gathering.files.items()}
    before = site.tree()
    with pytest.raises(RefusedError, match="another image web@1"):
        bring(bundle_of(files, tmp_path / "b"), site.places, silent)
    assert site.tree() == before


def test_what_was_not_built_is_named(tmp_path: Path) -> None:
    """Before anything is hashed or packed, with how to get it."""
    with pytest.raises(RefusedError, match="debian-12 was not built; run: ironwake media add"):
        Gathering(ArtifactStore(tmp_path), "generic", ()).media(["debian-12"])


def test_a_file_that_changes_meanwhile(tmp_path: Path) -> None:
    """What is packed is what was hashed: else there is no bundle at all."""
    path = tmp_path / "a.whl"
    path.write_bytes(b"date")
    target = tmp_path / "site.iwb"
    with pytest.raises(Exception, match="not those that were meant"):
        archive.write(target, _one(), {"wheels/a.whl": path}, lambda *_: None)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.whl"]


PARTS = st.text("ab.%~+-_/\0\\é ", max_size=12)


@given(PARTS)
def test_a_path_leads_below_its_folder(text: str) -> None:
    """Whatever is taken for a path stays below the place that it is put in."""
    path = f"packages/{text}"
    if is_path(path):
        assert os.path.normpath(path) == path
        assert ".." not in path.split("/")


@pytest.mark.parametrize(
    "spoiled",
    [
        {"entries": [{"path": "../x", "sha256": "0" * 64, "size": 1}]},
        {"entries": [{"path": "etc/x", "sha256": "0" * 64, "size": 1}]},
        {"entries": [{"path": "wheels/.x", "sha256": "0" * 64, "size": 1}]},
        {"entries": [{"path": "wheels/x", "sha256": "../../x", "size": 1}]},
        {"entries": [{"path": "wheels/x", "sha256": "0" * 64, "size": -1}]},
        {"entries": [{"path": "wheels/x", "sha256": "0" * 64, "size": True, "y": 1}]},
        {"entries": [{"path": "artifacts/x", "sha256": "0" * 64, "size": 1}]},
        {"entries": [{"path": "packages/debian/x", "sha256": "0" * 64, "size": 1}]},
        {"entries": [{"path": "wheels/x", "sha256": "0" * 64, "size": 1}] * 2},
        {
            "entries": [
                {"path": "wheels/x", "sha256": "0" * 64, "size": 1},
                {"path": "wheels/x/y", "sha256": "0" * 64, "size": 1},
            ]
        },
        {"entries": 5},
        {"mirrors": {"../x": []}},
        {"mirrors": {"x": ["file:///etc"]}},
        {"format": 2},
    ],
)
def test_a_text_that_lies(spoiled: dict[str, object]) -> None:
    """What a bundle says of itself is judged before anything follows from it."""
    document = {**json.loads(_one().to_json()), **spoiled}
    with pytest.raises(BundleError):
        Bundle.from_json(json.dumps(document).encode())


@given(st.binary(max_size=60))
def test_any_text(raw: bytes) -> None:
    """No text of whatever kind gets anything but a refusal."""
    with pytest.raises(BundleError):
        Bundle.from_json(raw)


def test_no_room(tmp_path: Path, site: Site) -> None:
    """A bundle that is larger than the disk is refused before its first byte is written."""
    text = replace(_one(), entries=(Entry("wheels/a.whl", "0" * 64, 1 << 55),)).to_json()
    raw = archive.header(NAME, len(text)) + text + bytes(-len(text) % 512)
    file = tmp_path / "site.iwb"
    file.write_bytes(_packed(raw))
    with pytest.raises(RefusedError, match="make room"):
        bring(file, site.places, silent)
