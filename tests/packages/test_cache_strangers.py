"""What the package cache keeps from strangers, and from mirrors that are not who they say."""

from __future__ import annotations

import os
import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from ironwake.nginx import SLICE
from ironwake.packagecache import Source
from ironwake_runtime import packagecache
from ironwake_testing.mirror import Mirror, mirror
from ironwake_testing.packagecache import Rig, cache, folder, running, until
from tests.packages.cached import ASKED, DEB, RELEASE

_MOST = 60.0


@pytest.fixture(scope="module")
def quiet() -> Iterator[tuple[Rig, Mirror]]:
    """One cache for all questions that must not reach the mirror."""
    with (
        mirror(files={DEB: b"x"}) as there,
        folder() as place,
        running(cache(place, Source("debian", f"{there.url}/debian"))) as rig,
    ):
        yield rig, there


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


def test_one_client_has_a_share(there: Mirror, place: Path) -> None:
    """Who asks for everything at once is told so, and another machine is answered meanwhile."""
    arrived = threading.Event()

    def hold(path: str) -> None:
        assert arrived.wait(_MOST)

    there.before = hold
    names = [f"/debian/pool/{number}.deb" for number in range(4)]
    there.files |= dict.fromkeys((*names, RELEASE), b"x")
    at = cache(place, Source("debian", f"{there.url}/debian"))
    with running(replace(at, each=4)) as rig, ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(rig.get, f"/packages{name}") for name in names]
        try:
            until(lambda: len(there.asked) == 4)
            assert rig.get(f"/packages{RELEASE}")[0] == 429
            there.before = lambda _: None
            words = ["curl", "-fsS", "--max-time", "30", "--interface", "127.0.0.2"]
            done = subprocess.run([*words, f"{rig.url}/packages{RELEASE}"], capture_output=True)
            assert done.stdout == b"x", done.stderr
        finally:
            arrived.set()
        assert [one.result(_MOST)[0] for one in waiting] == [200] * 4
        until(lambda: rig.get(f"/packages{RELEASE}")[0] == 200)


def test_many_ranges_are_one_file(rig: Rig, place: Path) -> None:
    """A few are answered each; hundreds, which would cost more than the file, with the file."""
    whole = os.urandom(10_000)
    there = packagecache.mirror_folder(place, "debian") / "dists/bookworm/InRelease"
    there.parent.mkdir(parents=True)
    there.write_bytes(whole)
    path = f"/packages{RELEASE}"
    few = ",".join(f"{10 * n}-{10 * n + 4}" for n in range(8))
    many = ",".join(f"{10 * n}-{10 * n + 4}" for n in range(500))
    status, body, _ = rig.get(path, Range=f"bytes={few}")
    assert (status, body.count(b"Content-Range")) == (206, 8)
    assert rig.get(path, Range=f"bytes={many}")[:2] == (200, whole)


def test_workers_have_descriptors_for_their_connections(there: Mirror, place: Path) -> None:
    """Whatever the limit of the shell that started us: at its end files could not be opened."""
    at = cache(place, Source("debian", f"{there.url}/debian"), files=1000)
    with running(at):
        master = int((place / "nginx.pid").read_text())
        children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        worker = next(one for one in children if b"worker" in _command(one))
        limits = Path(f"/proc/{worker}/limits").read_text()
        assert re.search(r"^Max open files +1000 ", limits, re.MULTILINE), limits
        assert "worker_connections 436;" in (place / "nginx.conf").read_text()


def _command(pid: str) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


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
