"""Bundles: what goes in comes out, hostile ones change nothing, an interrupted one goes on."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from ironwake.bundle import NAME, Bundle, BundleError, Entry, is_path
from ironwake.errors import InputError, RefusedError
from ironwake.progress import silent
from ironwake_imager.bundle import archive
from ironwake_imager.bundle import stage as staging
from ironwake_imager.bundle.bring import bring
from ironwake_imager.bundle.gather import Gathering
from ironwake_runtime import packagecache
from ironwake_runtime.artifacts import ArtifactStore
from tests.packages.bundles import MADE, WHOLE, Site, bundle_of, medium


def test_what_goes_in_comes_out(tmp_path: Path, site: Site) -> None:
    """Media, their bytes, profiles, parameters, mirrors, wheels: in their places, as they were."""
    here = ArtifactStore(tmp_path / "here")
    manifest = medium(here)
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


def test_two_at_once(tmp_path: Path, site: Site) -> None:
    """The second is told to wait; what the first has staged is its own until its end."""
    file = bundle_of(WHOLE, tmp_path / "b", debian=())
    refused = []

    def looked(step: str, fraction: float | None, message: str) -> None:
        if fraction != 1.0 or "verifying" in message:
            with pytest.raises(RefusedError, match="is being imported already; wait for its end"):
                bring(file, site.places, silent)
            refused.append(message)

    assert bring(file, site.places, looked).mirrors == ["debian"]
    assert refused
    bring(file, site.places, silent)


def test_one_begins_as_another_ends(tmp_path: Path) -> None:
    """Whatever is there of the folder just then: it is refused in words, or goes on in its own."""

    def again(_: int) -> None:
        for _ in range(300):
            with suppress(RefusedError), staging.opened(tmp_path, b"text") as stage:
                (stage.folder / "file").write_bytes(b"x")
                stage.clear()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(again, range(4)))
    assert not list(tmp_path.iterdir())


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
    manifest = medium(ArtifactStore(tmp_path / "here"))
    text = manifest.to_json().encode()
    for name, said in (("debian-12", "is not in it"), ("debian-13", "is the manifest of")):
        file = bundle_of({f"manifests/{name}.json": text}, tmp_path / name)
        with pytest.raises(BundleError, match=said):
            bring(file, site.places, silent)
    assert site.tree() == {}


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
    medium(here, "web@1", "image")
    medium(site.places.store, "web@1", "image")
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


def test_links_among_parameters(tmp_path: Path) -> None:
    """One that leads to another of them counts here, so it goes along; none shows another file."""
    site, out = tmp_path / "site", tmp_path / "out"
    (site / "groups").mkdir(parents=True)
    (site / "groups/a.yaml").write_text("locale: de_DE.UTF-8\n")
    (site / "groups/b.yaml").symlink_to("a.yaml")
    gathering = Gathering(ArtifactStore(tmp_path / "store"), "generic", ())
    gathering.parameters(site)
    assert gathering.files["parameters/groups/b.yaml"].read_text() == "locale: de_DE.UTF-8\n"
    out.write_text("a secret\n")
    (site / "groups/c.yaml").symlink_to(out)
    with pytest.raises(InputError, match=r"c\.yaml leads out of"):
        Gathering(ArtifactStore(tmp_path / "store"), "generic", ()).parameters(site)


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
