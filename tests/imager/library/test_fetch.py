"""Sources from the network: only what the site allows, taken up again, and never another file."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ironwake.errors import BrokenError, InputError, RefusedError
from ironwake_imager.download import Limits
from ironwake_imager.library import fetch
from ironwake_imager.library.bring import Wish
from tests.imager.library.conftest import importer

DATA = os.urandom(300_000)
SHA256 = hashlib.sha256(DATA).hexdigest()

Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Server:
    """Answers in turn; the last answer stays. `asked` are the paths and ranges."""

    answers: list[Answer]
    asked: list[tuple[str, str]] = field(default_factory=list)
    port: int = 0

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}/web.raw"

    @property
    def limits(self) -> Limits:
        return Limits.of(f"other.example, {self.host}", 1 << 20, 1)


@contextmanager
def serving(*answers: Answer) -> Iterator[Server]:
    server = Server(list(answers))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.asked.append((self.path, self.headers.get("Range", "")))
            answer = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
            answer(self)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        server.port = http.server_address[1]
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()


def file(data: bytes = DATA, cut: int = -1, ranges: bool = True) -> Answer:
    """All of it, or what is asked for; the connection ends after `cut` octets of it."""

    def answer(call: BaseHTTPRequestHandler) -> None:
        asked = call.headers.get("Range", "") if ranges else ""
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        if asked and start >= len(data):
            call.send_response(416)
            call.send_header("Content-Length", "0")
            call.end_headers()
            return
        call.send_response(206 if asked else 200)
        if asked:
            call.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        call.send_header("Content-Length", str(len(data) - start))
        call.end_headers()
        call.wfile.write(data[start:] if cut < 0 else data[start : start + cut])
        call.close_connection = True

    return answer


def status(code: int, **fields: str) -> Answer:
    def answer(call: BaseHTTPRequestHandler) -> None:
        call.send_response(code)
        for name, value in fields.items():
            call.send_header(name, value)
        call.send_header("Content-Length", "0")
        call.end_headers()

    return answer


def told(done: int, whole: int | None) -> None:
    assert whole is None or done <= whole


def got(server: Server, cache: Path, sha256: str = SHA256, limits: Limits | None = None) -> bytes:
    limits = limits or server.limits
    with fetch.fetched(server.url, sha256, cache, limits, told) as path:
        return path.read_bytes()


def parts(cache: Path) -> list[Path]:
    return list((cache / "images").glob("*"))


def test_a_file_comes_whole(tmp_path: Path) -> None:
    """And leaves nothing in the cache when it was used."""
    with serving(file()) as server:
        assert got(server, tmp_path) == DATA
    assert parts(tmp_path) == []


def test_a_connection_that_drops(tmp_path: Path) -> None:
    """It goes on where it ended, as often as something comes."""
    with serving(file(cut=100_000), file(cut=50_000), file()) as server:
        assert got(server, tmp_path) == DATA
        assert [asked for _, asked in server.asked] == ["", "bytes=100000-", "bytes=150000-"]


def test_a_run_that_ended_is_taken_up_again(tmp_path: Path) -> None:
    """What came before is kept, also over a run that failed."""
    with serving(file(cut=100_000), status(500), file()) as server:
        with pytest.raises(BrokenError, match="status 500"):
            got(server, tmp_path)
        assert [part.stat().st_size for part in parts(tmp_path)] == [100_000]
        assert got(server, tmp_path) == DATA
        assert server.asked[-1][1] == "bytes=100000-"


def test_a_server_without_ranges(tmp_path: Path) -> None:
    """It begins anew, and comes whole."""
    with serving(file(cut=100_000), file(ranges=False)) as server:
        assert got(server, tmp_path) == DATA


def test_a_part_that_was_whole_already(tmp_path: Path) -> None:
    """A run that was killed between the last byte and its use needs none of it again."""
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / f"{SHA256}.part").write_bytes(DATA)
    with serving(file()) as server:
        assert got(server, tmp_path) == DATA
        assert server.asked == [("/web.raw", f"bytes={len(DATA)}-")]


def test_another_file(tmp_path: Path) -> None:
    """Its checksum is wrong: it is refused, and nothing of it is kept."""
    with serving(file(DATA[:-1] + b"?")) as server:
        with pytest.raises(RefusedError, match="another SHA-256"):
            got(server, tmp_path)
        assert parts(tmp_path) == []


def test_another_part_than_the_one_asked_for(tmp_path: Path) -> None:
    """A server that confuses ranges is no way to the file."""

    def wrong(call: BaseHTTPRequestHandler) -> None:
        call.send_response(206)
        call.send_header("Content-Range", "bytes 5-9/10")
        call.send_header("Content-Length", "5")
        call.end_headers()
        call.wfile.write(b"wrong")

    with serving(file(cut=1000), wrong) as server, pytest.raises(BrokenError, match="another part"):
        got(server, tmp_path)


def test_redirections(tmp_path: Path) -> None:
    """On the same host they are followed, some of them; to another host or for ever, never."""
    with serving(status(302, Location="/there/web.raw"), file()) as server:
        assert got(server, tmp_path) == DATA
        assert server.asked[-1][0] == "/there/web.raw"
    for target in ("http://127.0.0.1:1/x", "https://other.example/x", "//other.example/x"):
        with serving(status(302, Location=target)) as server:
            with pytest.raises(RefusedError, match="sends us on to"):
                got(server, tmp_path)
            assert len(server.asked) == 1
    with serving(status(307, Location="/again")) as server:
        with pytest.raises(RefusedError, match="for ever"):
            got(server, tmp_path)
        assert len(server.asked) < 10


@pytest.mark.parametrize("length", [True, False])
def test_more_than_is_allowed(tmp_path: Path, length: bool) -> None:
    """It is refused before it comes, or as soon as it is too much."""

    def endless(call: BaseHTTPRequestHandler) -> None:
        call.send_response(200)
        if length:
            call.send_header("Content-Length", str(1 << 40))
        call.end_headers()
        try:
            while True:
                call.wfile.write(bytes(1 << 16))
        except OSError:
            call.close_connection = True

    with serving(endless) as server:
        with pytest.raises(RefusedError, match="larger than 1 MiB"):
            got(server, tmp_path)
        assert sum(part.stat().st_size for part in parts(tmp_path)) <= 1 << 20


def test_a_server_that_takes_too_long(tmp_path: Path) -> None:
    """Time is for all of it together, however often it drops."""
    clock = iter([0.0, 10.0, *range(61, 999)])
    with serving(file()) as server:
        late = fetch.fetched(
            server.url, SHA256, tmp_path, server.limits, told, lambda: float(next(clock))
        )
        with pytest.raises(BrokenError, match="longer than 1 minutes"):
            late.__enter__()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://other.example/x", "nothing is fetched from other.example"),
        ("http://mirror.example:81/x", "nothing is fetched from mirror.example:81"),
        ("http://mirror.example@other.example/x", "plain"),
        ("http://user:word@mirror.example/x", "plain"),
        ("ftp://mirror.example/x", "plain"),
        ("file:///etc/shadow", "plain"),
        ("http:///x", "plain"),
        ("http://[::1/x", "no URL"),
        ("http://mirror.example:99999/x", "no URL"),
    ],
)
def test_what_is_not_fetched(tmp_path: Path, url: str, says: str) -> None:
    """Only plain addresses of allowed hosts."""
    limits = Limits.of("mirror.example", 1 << 20, 1)
    with (
        pytest.raises(InputError, match=says),
        fetch.fetched(url, SHA256, tmp_path, limits, told),
    ):
        raise AssertionError("it was fetched")
    assert parts(tmp_path) == []


def test_a_checksum_is_demanded(tmp_path: Path) -> None:
    """Without one nothing is asked of any host."""
    with serving(file()) as server:
        for sha256 in ("", "0" * 63, "../../etc/passwd"):
            with pytest.raises(InputError, match=r"--sha256|SHA-256"):
                got(server, tmp_path, sha256)
        assert server.asked == []


def test_nothing_is_allowed_unless_it_is_said() -> None:
    """Not even with a checksum."""
    with pytest.raises(InputError, match="IRONWAKE_IMAGE_HOSTS"):
        fetch.check("https://mirror.example/x", SHA256, Limits())
    fetch.check("https://MIRROR.example/x", SHA256, Limits.of(" Mirror.Example ", 1, 1))


def test_old_parts_are_cleared_away(tmp_path: Path) -> None:
    """Those that nobody went on with for a week; no others."""
    (tmp_path / "images").mkdir()
    old, new = (tmp_path / "images" / f"{name * 64}.part" for name in "ab")
    for path in (old, new):
        path.write_bytes(b"x")
    week = time.time() - 8 * 86400
    os.utime(old, (week, week))
    with serving(file()) as server:
        got(server, tmp_path)
    assert parts(tmp_path) == [new]


def test_a_disk_by_its_url(tmp_path: Path, disk: Path) -> None:
    """From the first octet to a version, over a connection that drops."""
    data = disk.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    with serving(file(data, cut=3_000_000), file(data)) as server:
        importing = importer(tmp_path, Limits((server.host,), 1 << 30, 60))
        made = importing.bring(Wish(server.url, "web", sha256))
        assert (made.name, made.facts["source"]) == ("web@1", f"raw {server.url}")
        assert made.facts["content_sha256"] == sha256
    assert parts(tmp_path / "cache") == []
