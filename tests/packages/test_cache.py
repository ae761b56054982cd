"""The package cache with the real nginx, before a mirror on loopback that counts."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from ironwake.errors import BrokenError, RefusedError
from ironwake.nginx import SLICE
from ironwake.packagecache import Authority, Source
from ironwake_runtime import packagecache, packageserver
from ironwake_testing.mirror import Mirror, mirror
from ironwake_testing.packagecache import Rig, cache, folder, free_port, running, until

DEB = "/debian/pool/main/t/tree/tree_2.1.0-1_amd64.deb"
ASKED = f"/packages{DEB}"
RELEASE = "/debian/dists/bookworm/InRelease"
_MOST = 60.0


@pytest.fixture
def there() -> Iterator[Mirror]:
    """A mirror with one package and one index."""
    with mirror(files={DEB: os.urandom(300_000), RELEASE: b"as of today"}) as found:
        yield found


@pytest.fixture
def place() -> Iterator[Path]:
    with folder() as found:
        yield found
        # Of nginx whose master was killed, nobody else ends the workers.
        packageserver.end_leftovers(found / packageserver.LOCK)


@pytest.fixture
def rig(there: Mirror, place: Path) -> Iterator[Rig]:
    with running(cache(place, Source("debian", f"{there.url}/debian"))) as found:
        yield found


@pytest.fixture(scope="module")
def quiet() -> Iterator[tuple[Rig, Mirror]]:
    """One cache for all questions that must not reach the mirror."""
    with (
        mirror(files={DEB: b"x"}) as there,
        folder() as place,
        running(cache(place, Source("debian", f"{there.url}/debian"))) as rig,
    ):
        yield rig, there


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


@pytest.mark.parametrize(
    "path",
    [
        "/packages/ubuntu/pool/x.deb",
        "/debian/dists/bookworm/InRelease",
        "/packages/debian/../../etc/passwd",
        "/packages/%2e%2e/nginx.conf",
        "/packages/debian/%2e%2e/%2e%2e/%2e%2e/nginx.conf",
        "/",
    ],
)
def test_only_known_mirrors(quiet: tuple[Rig, Mirror], path: str) -> None:
    """A name that was not set, and a way out of one, lead nowhere."""
    rig, there = quiet
    assert rig.get(path)[0] in (400, 404)
    assert there.asked == []


def test_it_is_no_open_proxy(quiet: tuple[Rig, Mirror]) -> None:
    """A request as to a proxy, for whatever host, and CONNECT ask nobody."""
    rig, there = quiet
    for line in (f"GET {there.url}{DEB} HTTP/1.1", f"CONNECT 127.0.0.1:{there.port} HTTP/1.1"):
        with socket.create_connection(("127.0.0.1", rig.cache.port)) as sock:
            sock.sendall(f"{line}\r\nHost: 127.0.0.1:{there.port}\r\n\r\n".encode())
            assert sock.recv(65536).split()[1] in (b"404", b"400", b"405")
    assert there.asked == []


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PROPFIND"])
def test_nothing_is_written(quiet: tuple[Rig, Mirror], method: str) -> None:
    """Machines read, and that is all."""
    rig, there = quiet
    assert rig.get(ASKED, method, b"x")[0] == 405
    assert there.asked == []


def test_strangers_hear_nothing(there: Mirror, place: Path) -> None:
    """Only the machines' networks are answered."""
    at = cache(place, Source("debian", f"{there.url}/debian"))
    with running(at) as rig:
        rig.cache = replace(at, networks=("192.0.2.0/24",))
        until(lambda: rig.get(ASKED)[0] == 403)


def test_what_a_client_says_stays_here(rig: Rig, there: Mirror) -> None:
    """Neither its cookies nor its credentials reach the mirror, nor a query that would fill us."""
    rig.get(f"{ASKED}?a=1", Cookie="secret", Authorization="Basic c2VjcmV0", X_Own="secret")
    rig.get(f"{ASKED}?a=2")
    (asked,) = there.asked
    assert asked[1] == DEB
    assert "secret" not in str(asked[2])
    assert "Authorization" not in asked[2]


def test_redirects_are_followed_to_hosts_that_were_named(there: Mirror, place: Path) -> None:
    """Within the mirror and to a named host the file comes, once; elsewhere it is refused."""
    body = os.urandom(SLICE + 5)
    with mirror(files={"/x/file.deb?sig=1": body}) as other, mirror() as stranger:
        there.files["/elsewhere/b.deb"] = b"moved"
        there.redirects = {
            "/debian/a.deb": f"{other.url}/x/file.deb?sig=1",
            "/debian/b.deb": "/elsewhere/b.deb",
            "/debian/c.deb": f"{stranger.url}/c.deb",
            "/debian/d.deb": "/debian/d.deb",
        }
        at = cache(place, Source("debian", f"{there.url}/debian"))
        with running(replace(at, hosts=(f"127.0.0.1:{other.port}",))) as rig:
            got = [rig.get(f"/packages/debian/{name}.deb") for name in "aabbcd"]
        assert [one[0] for one in got] == [200, 200, 200, 200, 502, 500]
        assert [one[1] for one in got[:4]] == [body, body, b"moved", b"moved"]
        assert other.sent.total() == len(body)
        assert there.gets["/elsewhere/b.deb"] == 1
        assert stranger.asked == []


def _certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """For localhost, signed by itself."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    words += ["-nodes", "-keyout", str(key), "-out", str(certificate), "-subj", "/CN=localhost"]
    words += ["-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    subprocess.run(words, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return certificate, context


@pytest.mark.parametrize(
    ("host", "is_trusted", "status"),
    [("localhost", True, 200), ("localhost", False, 502), ("other.example", True, 502)],
)
def test_a_mirror_by_https_is_verified(
    place: Path, tmp_path: Path, host: str, is_trusted: bool, status: int
) -> None:
    """Its certificate must be from somebody who is trusted, and for its name."""
    (tmp_path / "own").mkdir()
    (tmp_path / "strange").mkdir()
    own, context = _certificate(tmp_path / "own")
    strange, _ = _certificate(tmp_path / "strange")
    there = Mirror(files={DEB: b"by https"})
    there.start(context)
    try:
        at = cache(place, Source("debian", f"https://{host}:{there.port}/debian"))
        at = replace(at, certificates=str(own if is_trusted else strange))
        with running(at, lambda _: ("127.0.0.1",)) as rig:
            assert rig.get(ASKED)[0] == status
    finally:
        there.stop()


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


def _children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(one) for one in found]


def _lives(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_nginx_is_killed(there: Mirror, place: Path) -> None:
    """Its supervisor says so; what it leaves behind neither has the port nor the cache after it."""
    at = cache(place, Source("debian", f"{there.url}/debian"))
    with running(at) as rig:
        assert rig.get(ASKED)[0] == 200
        master = int((place / "nginx.pid").read_text())
        workers = _children(master)
        os.kill(master, signal.SIGKILL)
        with pytest.raises(BrokenError, match="nginx ended with -9"):
            rig.task.result(_MOST)
        assert any(_lives(worker) for worker in workers)
        there.stop()
        # Elsewhere, so that it is not the old ones who answer.
        with running(replace(at, port=free_port())) as again:
            assert again.get(ASKED)[1] == there.files[DEB]
            assert not any(_lives(worker) for worker in workers)


def test_one_folder_has_one_cache(rig: Rig, place: Path) -> None:
    """Another appliance on the same folder is refused; the first one goes on."""
    program = (
        "import sys, pathlib; from ironwake_runtime.packageserver import locked\n"
        "with locked(pathlib.Path(sys.argv[1])): pass"
    )
    words = [sys.executable, "-c", program, str(place)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert "is another appliance's" in done.stderr
    assert rig.get("/healthz")[0] == 200


def test_another_appliances_cache_stays_as_it_is(there: Mirror, place: Path) -> None:
    """Who is refused has written nothing into the folder: nginx's next look is at its own file."""
    at = cache(place, Source("debian", f"{there.url}/debian"))
    with packageserver.locked(place):
        with pytest.raises(RefusedError, match="another appliance's"), running(at):
            pass
        assert not (place / "nginx.conf").exists()


def test_a_disk_that_was_full_for_a_while(there: Mirror, place: Path) -> None:
    """What cannot be written is written later: mirrors are followed on, and nginx's end is told."""
    looks: list[object] = []

    def ask(one: Authority) -> tuple[str, ...]:
        looks.append(one)
        return packageserver.resolve(one)

    at = cache(place, Source("debian", f"{there.url}/debian"))
    with running(at, ask) as rig:
        (place / "nginx.new").mkdir()  # in the way, as no room would be
        rig.cache = replace(at, sources=(*at.sources, Source("more", f"{there.url}/debian")))
        before = len(looks)
        until(lambda: len(looks) > before + 5)
        (place / "nginx.new").rmdir()
        until(lambda: rig.get(ASKED.replace("debian", "more", 1))[1] == there.files[DEB])
        (place / "counts.new").mkdir()
        os.kill(int((place / "nginx.pid").read_text()), signal.SIGKILL)
        with pytest.raises(BrokenError, match="nginx ended with -9"):
            rig.task.result(_MOST)


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


def test_counts_outlive_a_restart(there: Mirror, place: Path) -> None:
    """Hits and misses are added up over the life of the folder."""
    at = cache(place, Source("debian", f"{there.url}/debian"))
    for _ in range(2):
        with running(at) as rig:
            rig.get(ASKED)
            rig.get("/packages/debian/none.deb")
    counts = rig.counts()
    assert (counts.misses, counts.hits, counts.errors) == (1, 1, 2)
