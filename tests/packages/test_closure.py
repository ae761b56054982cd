"""A profile's packages: from a signed mirror into a bundle, and from there to apt."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import zstandard

from ironwake.artifact import Manifest
from ironwake.errors import BrokenError, RefusedError
from ironwake.firmware import Architecture
from ironwake.packagecache import Source
from ironwake.profile import Method, Profile
from ironwake.progress import silent
from ironwake.release import find
from ironwake_imager.bundle import archive
from ironwake_imager.bundle.bring import Places, bring
from ironwake_imager.bundle.closure import System, closure, fetch, status_of
from ironwake_imager.bundle.gather import Gathering, Wanted
from ironwake_runtime import packagecache
from ironwake_runtime.apt import AptError, AptRoot
from ironwake_runtime.aptsources import Mirror as Sources
from ironwake_runtime.aptsources import MirrorError
from ironwake_runtime.artifacts import ArtifactStore
from ironwake_testing.mirror import Mirror, mirror
from ironwake_testing.packagecache import cache, folder, running
from tests.packages.repository import STATUS, SUITE, Repository, make

SYSTEM = System(SUITE, "amd64", STATUS, (("near+by",),))


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    # gpg's agent listens on a socket, whose path is short.
    with folder() as place:
        made = make(place)
        kept = tmp_path_factory.mktemp("keys") / "keyring.gpg"
        kept.write_bytes(made.keyring.read_bytes())
        kept.parent.chmod(0o755)
        return Repository(made.files, kept)


@pytest.fixture
def there(repository: Repository) -> Iterator[Mirror]:
    with mirror(files={f"/debian/{path}": data for path, data in repository.files.items()}) as one:
        yield one


def archived(store: ArtifactStore) -> Manifest:
    """A root archive with a list of packages, as media have one."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as out:
        info = tarfile.TarInfo("./var/lib/dpkg/status")
        info.size = len(STATUS)
        out.addfile(info, io.BytesIO(STATUS.encode()))
    item = store.add_bytes(zstandard.ZstdCompressor().compress(tar.getvalue()))
    made = "2026-11-01T00:00:00+00:00"
    manifest = Manifest("debian-12", "media", made, "x", {"archive": item}, {"archive": "a"})
    store.publish(manifest)
    return manifest


def test_a_closure_is_what_apt_asks_for(
    there: Mirror, repository: Repository, tmp_path: Path
) -> None:
    """From the mirror into a bundle; brought in where no mirror is, apt resolves and fetches all of
    it from the package cache, by the signature that the mirror gave."""
    url = f"{there.url}/debian"
    store = ArtifactStore(tmp_path / "store")
    archived(store)
    gathering = Gathering(store, "generic", (Architecture.AMD64,))
    profile = Profile("debian-12", Method.ARCHIVE, parameters={"packages": ["near+by"]})
    wanted = [Wanted("near", profile, find("debian-12"))]
    systems = gathering.systems(wanted, [])
    assert systems == (SYSTEM,)
    parts = closure(
        systems, Sources(url), tmp_path / "cache", lambda _: None, keyring=repository.keyring
    )
    gathering.packages(parts)
    bundle = gathering.bundle(datetime(2026, 11, 1, tzinfo=UTC), "0.1.0")
    names = [entry.path.rpartition("/")[2] for entry in bundle.of("packages")]
    assert sorted(name for name in names if name.endswith(".deb")) == [
        "libclose_1.0+b1_amd64.deb",
        "near+by_1.0+b1_amd64.deb",
    ]
    file = tmp_path / "site.iwb"
    archive.write(file, bundle, gathering.files, lambda *_: None)
    there.stop()

    with folder() as place:
        at = tmp_path / "there"
        places = Places(
            at, ArtifactStore(at / "a"), place, at / "profiles", at / "x", lambda *_: None
        )
        assert bring(file, places, silent).mirrors == ["debian"]
        (source,) = packagecache.imported(place)
        assert source == Source("debian", "", (url,), imported=True)
        with running(cache(place, source)) as rig:
            near = Sources(f"{rig.url}/packages/debian")
            apt = AptRoot(
                tmp_path / "apt", SUITE, near, keyring=repository.keyring, installed=STATUS
            )
            apt.update()
            versions = apt.resolve(["near+by"])
            assert set(versions) == {"near+by", "libclose"}
            assert len(apt.download(versions, tmp_path / "debs")) == 2


def test_a_stranger_in_the_mirrors_place(there: Mirror, tmp_path: Path) -> None:
    """Lists that another key has signed are no lists: nothing is bundled."""
    with folder() as place:
        other = make(place)
        with pytest.raises(MirrorError):
            closure(
                [SYSTEM],
                Sources(f"{there.url}/debian"),
                tmp_path,
                lambda _: None,
                keyring=other.keyring,
            )


def test_a_list_that_the_signature_does_not_name(
    there: Mirror, repository: Repository, tmp_path: Path
) -> None:
    """What is fetched beside apt is held against the signed hash, too."""
    with pytest.raises(BrokenError, match="is not what InRelease names"):
        closure(
            [SYSTEM],
            Sources(f"{there.url}/debian"),
            tmp_path,
            lambda _: None,
            get=lambda *_: b"other",
            keyring=repository.keyring,
        )


def test_a_list_that_does_not_end(there: Mirror, repository: Repository, tmp_path: Path) -> None:
    """No more is taken of it than the signed list says that it has."""
    sizes: list[int] = []

    def get(url: str, size: int) -> bytes:
        path = url.removeprefix(there.url)
        if path in there.files:  # this mirror has no by-hash
            sizes.append(size - len(there.files[path]))
            there.files[path] += b"x"
        return fetch(url, size)

    with pytest.raises(RefusedError, match=r"Packages\.\w+ is larger than"):
        closure(
            [SYSTEM],
            Sources(f"{there.url}/debian"),
            tmp_path,
            lambda _: None,
            get=get,
            keyring=repository.keyring,
        )
    assert sizes == [0]


def test_a_package_that_does_not_exist(
    there: Mirror, repository: Repository, tmp_path: Path
) -> None:
    """It is named, before anything is packed."""
    system = System(SUITE, "amd64", STATUS, (("nosuch",),))
    with pytest.raises(AptError, match="nosuch"):
        closure(
            [system],
            Sources(f"{there.url}/debian"),
            tmp_path,
            lambda _: None,
            keyring=repository.keyring,
        )


def test_packages_of_what_has_none(tmp_path: Path) -> None:
    """A vendor's installer wants a whole mirror: refused, with what can be done."""
    gathering = Gathering(ArtifactStore(tmp_path), "generic", (Architecture.AMD64,))
    one = Wanted("x", Profile("debian-12", Method.SCRIPT), find("debian-12"))
    with pytest.raises(RefusedError, match="by method archive, not for x"):
        gathering.systems([one], [])


def test_an_archive_that_is_no_debian(tmp_path: Path) -> None:
    """No list of packages: said so."""
    tar = io.BytesIO()
    tarfile.open(fileobj=tar, mode="w").close()
    path = tmp_path / "a.tar.zst"
    path.write_bytes(zstandard.ZstdCompressor().compress(tar.getvalue()))
    with pytest.raises(RefusedError, match="no list of packages"):
        status_of(path)
