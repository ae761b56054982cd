"""What the package cache fetches, keeps and serves."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from ironwake.nginx import SLICE
from ironwake.packagecache import Source
from ironwake_runtime import packagecache
from ironwake_testing.mirror import Mirror
from ironwake_testing.packagecache import Rig, cache, running, until
from tests.packages.cached import ASKED, DEB, RELEASE

_MOST = 60.0


def test_many_machines_ask_and_the_mirror_is_asked_once(rig: Rig, there: Mirror) -> None:
    """Forty at the same moment, while the mirror has not even begun to answer: one fetch."""
    arrived = threading.Event()

    def hold(path: str) -> None:
        assert arrived.wait(_MOST)

    there.before = hold
    with ThreadPoolExecutor(40) as pool:
        waiting = [pool.submit(rig.get, ASKED) for _ in range(40)]
        until(lambda: _connections(rig) >= 40)
        arrived.set()
        bodies = {one.result(_MOST)[1] for one in waiting}
    assert bodies == {there.files[DEB]}
    assert there.gets[DEB] == 1
    until(lambda: rig.counts().hits + rig.counts().misses == 40)
    assert (rig.counts().misses, rig.counts().fetched) == (1, 300_000)
    assert rig.counts().ratio == pytest.approx(39 / 40)


def _connections(rig: Rig) -> int:
    """Established ones to nginx, as its side of them stands in the kernel's table."""
    port = f":{rig.cache.port:04X}"
    rows = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(row.split()[1].endswith(port) and row.split()[3] == "01" for row in rows)


def test_a_large_file_is_fetched_once_in_slices(rig: Rig, there: Mirror) -> None:
    """Whoever comes while it is fetched gets it as it comes, and each byte is fetched once."""
    whole = os.urandom(SLICE * 3 + 12345)
    there.files[DEB] = whole
    with ThreadPoolExecutor(8) as pool:
        bodies = {one[1] for one in pool.map(rig.get, [ASKED] * 8)}
    assert bodies == {whole}
    assert there.sent[DEB] == len(whole)
    until(lambda: rig.counts().sent == 8 * len(whole))
    assert rig.counts().fetched == len(whole)


def test_a_range_costs_its_slices_only(rig: Rig, there: Mirror) -> None:
    """A download that is taken up again does not fetch the beginning again."""
    whole = os.urandom(SLICE * 3)
    there.files[DEB] = whole
    first = SLICE + 100
    status, body, _ = rig.get(ASKED, Range=f"bytes={first}-{first + 999}")
    assert (status, body) == (206, whole[first : first + 1000])
    assert there.sent[DEB] == SLICE


def test_the_mirror_is_away(rig: Rig, there: Mirror) -> None:
    """What was served before is served on, indices too; what was not is an error at once."""
    before = [rig.get(path)[1] for path in (ASKED, f"/packages{RELEASE}")]
    there.stop()
    assert [rig.get(path)[1] for path in (ASKED, f"/packages{RELEASE}")] == before
    assert rig.get("/packages/debian/pool/other.deb")[0] == 502


def test_an_index_is_asked_for_again(rig: Rig, there: Mirror) -> None:
    """The same answer costs no bytes, and a new one is served as soon as there is one."""
    path = f"/packages{RELEASE}"
    assert rig.get(path)[1] == b"as of today"
    until(lambda: _revalidated(rig, there, path))
    assert there.gets[RELEASE] == 1
    there.files[RELEASE] = b"as of tomorrow"
    until(lambda: rig.get(path)[1] == b"as of tomorrow")


def _revalidated(rig: Rig, there: Mirror, path: str) -> bool:
    assert rig.get(path)[1] == b"as of today"
    return any("If-None-Match" in headers for _, _, headers in there.asked)


def test_a_package_never_changes(rig: Rig, there: Mirror) -> None:
    """Whatever the mirror says about keeping it: it is not asked again."""
    first = rig.get(ASKED)[1]
    there.files[DEB] = b"another"
    assert rig.get(ASKED)[1] == first
    assert there.gets[DEB] == 1


def test_a_page_is_no_package(rig: Rig, there: Mirror) -> None:
    """A network that wants a login answers everything with a page: that is not kept for ever, and
    does not take the place of what was."""
    package, there.files[DEB] = there.files[DEB], b"<html>who are you?</html>"
    assert rig.get(f"/packages{RELEASE}")[1] == b"as of today"
    release, there.files[RELEASE] = there.files[RELEASE], there.files[DEB]
    there.types = dict.fromkeys((DEB, RELEASE), "text/html; charset=utf-8")
    assert b"who are you" in rig.get(ASKED)[1]
    until(lambda: b"who are you" in rig.get(f"/packages{RELEASE}")[1])
    there.files |= {DEB: package, RELEASE: release}
    there.types = {}
    assert rig.get(ASKED)[1] == package
    until(lambda: rig.get(f"/packages{RELEASE}")[1] == b"as of today")


def test_the_size_is_bounded(there: Mirror, place: Path) -> None:
    """More is fetched than may be kept: the oldest goes, and the newest is still served."""
    names = [f"/debian/pool/{number}.deb" for number in range(40)]
    there.files.update(dict.fromkeys(names, os.urandom(250_000)))
    at = cache(place, Source("debian", f"{there.url}/debian"), size=2_000_000)
    with running(at) as rig:
        for name in names:
            assert rig.get(f"/packages{name}")[0] == 200
        until(lambda: rig.kept() <= 2_000_000)
        rig.get(f"/packages{names[-1]}")
        assert there.gets[names[-1]] == 1


def test_names_that_lead_nowhere_yet(there: Mirror, place: Path) -> None:
    """Without DNS it starts and serves what it has; once a name leads somewhere, it asks there."""
    known: list[str] = ["127.0.0.1"]
    at = cache(place, Source("debian", f"http://mirror.example:{there.port}/debian"))
    with running(at, lambda _: tuple(known)) as rig:
        assert rig.get(ASKED)[1] == there.files[DEB]
        assert there.asked[0][2]["Host"] == f"mirror.example:{there.port}"
    known.clear()
    with running(at, lambda _: tuple(known)) as rig:
        assert rig.get(ASKED)[1] == there.files[DEB]
        assert rig.get(f"/packages{RELEASE}")[0] == 502
        known.append("127.0.0.1")
        until(lambda: rig.get(f"/packages{RELEASE}")[0] == 200)


def test_an_imported_mirror_is_served_first(rig: Rig, there: Mirror, place: Path) -> None:
    """What a bundle brought needs no mirror; what it did not bring is still asked for."""
    path = packagecache.mirror_folder(place, "debian") / "dists/bookworm/InRelease"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"as of the bundle")
    assert rig.get(f"/packages{RELEASE}")[1] == b"as of the bundle"
    assert rig.get(ASKED)[1] == there.files[DEB]
    (path.parent / "Release").symlink_to("/etc/passwd")
    assert rig.get("/packages/debian/dists/bookworm/Release")[0] in (403, 404)
    assert there.gets[RELEASE] == 0


def test_a_new_import_becomes_a_source(rig: Rig, place: Path) -> None:
    """A bundle's mirror is there without a restart, under its own name."""
    path = packagecache.mirror_folder(place, "rocky-9") / "repodata/repomd.xml"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"<repomd/>")
    assert rig.get("/packages/rocky-9/repodata/repomd.xml")[0] == 404
    rig.cache = replace(rig.cache, sources=(*rig.cache.sources, Source("rocky-9")))
    until(lambda: rig.get("/packages/rocky-9/repodata/repomd.xml")[1] == b"<repomd/>")


def test_a_folder_behind_a_link(there: Mirror, place: Path) -> None:
    """A person's disk for large things is often elsewhere: what was imported is served there, too.
    A link below it is not followed."""
    (place / "disk").mkdir()
    (place / "packages").symlink_to("disk")
    folder = place / "packages"
    path = packagecache.mirror_folder(folder, "debian") / "dists/bookworm/InRelease"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"as of the bundle")
    (path.parent / "Release").symlink_to("InRelease")
    with running(cache(folder, Source("debian"))) as rig:
        assert rig.get(f"/packages{RELEASE}")[1] == b"as of the bundle"
        assert rig.get("/packages/debian/dists/bookworm/Release")[0] in (403, 404)
