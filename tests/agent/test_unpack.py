"""The archive's way to the disk: a real server that misbehaves, the real libzstd and tar."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ironwake.errors import BrokenError
from ironwake.order import Archive
from ironwake_agent.unpack import DamagedError, fetch, unpack
from tests.agent.rig import Clock, appliance, reply

FILES = {"etc/hostname": b"x\n", "usr/bin/tool": os.urandom(200_000), "var/empty": b""}


@pytest.fixture(scope="module")
def packed() -> bytes:
    """A small tar.zst."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in FILES.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o640
            member.uid, member.gid = os.getuid(), os.getgid()
            tar.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("bin")
        link.type, link.linkname = tarfile.SYMTYPE, "usr/bin"
        tar.addfile(link)
    command = ["zstd", "-q", "-c", "--check"]
    return subprocess.run(command, input=stream.getvalue(), stdout=-1, check=True).stdout


class Server:
    """Serves bytes with ranges; `breaks` cuts the n-th answer off after so many bytes."""

    def __init__(self, data: bytes, breaks: tuple[int, ...] = (), ranges: bool = True) -> None:
        self.data = data
        self.breaks = list(breaks)
        self.ranges = ranges
        self.asked: list[str | None] = []

    def __call__(self, request: BaseHTTPRequestHandler, _: bytes) -> None:
        wanted = request.headers.get("Range")
        self.asked.append(wanted)
        start = int(wanted[6:].split("-")[0]) if wanted and self.ranges else 0
        body = self.data[start:]
        request.send_response(206 if start else 200)
        if start:
            total = len(self.data)
            request.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if self.breaks:
            body = body[: self.breaks.pop(0)]
            request.close_connection = True
        request.wfile.write(body)


def archive(url: str, data: bytes) -> Archive:
    return Archive(f"{url}/archive", hashlib.sha256(data).hexdigest(), len(data), 1)


def check_unpacked(target: Path) -> None:
    for name, content in FILES.items():
        assert (target / name).read_bytes() == content
        assert (target / name).stat().st_mode & 0o777 == 0o640
    assert (target / "bin").readlink() == Path("usr/bin")


@pytest.mark.parametrize(
    ("breaks", "ranges"),
    [((), True), ((1,), True), ((1000, 0, 70_000, 5), True), ((5000, 10_000), False)],
    ids=["at once", "first byte", "four times", "no ranges"],
)
def test_an_archive_arrives_whole(
    packed: bytes, tmp_path: Path, breaks: tuple[int, ...], ranges: bool
) -> None:
    """However often the connection breaks, each byte is taken once and all files are there."""
    clock = Clock()
    server = Server(packed, breaks, ranges)
    progress: list[float] = []
    with appliance(server) as url:
        item = archive(url, packed)
        unpack(item, fetch(item, clock.patience(60)), tmp_path, progress.append)
    check_unpacked(tmp_path)
    assert len(server.asked) == len(breaks) + 1
    assert progress == sorted(progress)
    assert progress[-1] == 1.0


def test_a_break_resumes_at_the_byte_where_it_stopped(packed: bytes) -> None:
    """The second request asks for what is missing, not for everything."""
    server = Server(packed, (1000,))
    with appliance(server) as url:
        data = b"".join(fetch(archive(url, packed), Clock().patience(60)))
    assert data == packed
    assert server.asked == [None, "bytes=1000-"]


def test_a_restarting_appliance_is_waited_for(packed: bytes) -> None:
    """503 is trouble that passes, and so is 429, of a cache that stands before it."""
    server = Server(packed)
    answers = [503, 429]

    def handle(request: BaseHTTPRequestHandler, body: bytes) -> None:
        if answers:
            reply(request, answers.pop())
        else:
            server(request, body)

    clock = Clock()
    with appliance(handle) as url:
        assert b"".join(fetch(archive(url, packed), clock.patience(60))) == packed
    assert clock.pauses == [0.5, 1.0]


def test_nothing_at_all_ends_with_what_was_wrong(packed: bytes) -> None:
    """After the patience without a byte, the error says for how long and why."""
    clock = Clock()
    with (
        appliance(Server(packed, (0,) * 50)) as url,
        pytest.raises(BrokenError, match="nothing of the archive came for 60 s"),
    ):
        list(fetch(archive(url, packed), clock.patience(60)))
    assert 60 <= clock.now < 90


def test_trouble_that_does_not_pass_is_told_by_the_appliances_words(packed: bytes) -> None:
    """Bytes that are damaged or gone in its store: 503, with the reason, until the end."""
    detail = b'{"title": "broken", "detail": "the bytes of this artifact are gone"}'
    clock, said = Clock(), list[str]()
    with (
        appliance(lambda request, _: reply(request, 503, detail)) as url,
        pytest.raises(BrokenError, match=r"bytes of this artifact are gone \(HTTP 503\)"),
    ):
        list(fetch(archive(url, packed), clock.patience(5), said.append))
    assert "are gone (HTTP 503)" in said[0]
    assert (len(said), len(clock.pauses) > 2) == (1, True)


def test_bytes_renew_the_patience(packed: bytes) -> None:
    """A slow appliance is not a dead one: 40 breaks with progress are longer than the patience."""
    clock = Clock()
    step = len(packed) // 40 + 1
    with appliance(Server(packed, (step,) * 40)) as url:
        assert b"".join(fetch(archive(url, packed), clock.patience(1))) == packed
    assert clock.now > 1


@pytest.mark.parametrize("status", [404, 410, 403, 302])
def test_a_refused_archive_is_not_asked_for_again(packed: bytes, status: int) -> None:
    """An answer that no repeat changes ends the installation at once."""
    asked = []

    def handle(request: BaseHTTPRequestHandler, _: bytes) -> None:
        asked.append(request.path)
        reply(request, status, b"no")

    with appliance(handle) as url, pytest.raises(BrokenError, match=f"HTTP {status}"):
        list(fetch(archive(url, packed), Clock().patience(60)))
    assert len(asked) == 1


def test_an_archive_of_another_size_is_not_begun(packed: bytes) -> None:
    """The appliance's media have changed since the order: said before anything is unpacked."""
    with appliance(Server(packed + b"more")) as url, pytest.raises(DamagedError, match="bytes"):
        list(fetch(archive(url, packed), Clock().patience(60)))


def _flip(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        _flip,
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda _: b"",
        lambda _: b"x" * 9999,
    ],
    ids=["a flipped bit", "a byte less", "a byte more", "nothing", "something else"],
)
def test_a_damaged_archive_is_a_failure(
    packed: bytes, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    """Whatever is wrong with the bytes, unpacking ends with an error."""
    item = archive("http://unused", packed)
    with pytest.raises(DamagedError, match=item.sha256):
        unpack(item, iter([damage(packed)]), tmp_path, lambda _: None)


def test_a_wrong_hash_names_both(packed: bytes, tmp_path: Path) -> None:
    """A whole archive that is not the ordered one: libzstd and tar can't tell, the hash does."""
    item = Archive("http://unused", "0" * 64, len(packed), 1)
    with pytest.raises(DamagedError) as error:
        unpack(item, iter([packed]), tmp_path, lambda _: None)
    assert "0" * 64 in str(error.value)
    assert hashlib.sha256(packed).hexdigest() in str(error.value)


def test_a_flipped_bit_names_both_hashes_too(packed: bytes, tmp_path: Path) -> None:
    """libzstd gives up in the middle; all is hashed all the same: the hash says whose fault it is.

    A wrong hash: the bytes are at fault. A right one: what unpacks them is, and says why itself.
    """
    item, damaged = archive("http://unused", packed), _flip(packed)
    pieces = [damaged[at : at + 1000] for at in range(0, len(damaged), 1000)]
    with pytest.raises(DamagedError, match="the archive is damaged") as error:
        unpack(item, iter(pieces), tmp_path, lambda _: None)
    assert item.sha256 in str(error.value)
    assert hashlib.sha256(damaged).hexdigest() in str(error.value)


def test_tar_speaks_for_itself(packed: bytes, tmp_path: Path) -> None:
    """The error carries tar's last line."""
    item = archive("http://unused", packed)
    with pytest.raises(BrokenError, match=r"tar could not unpack .*(?i:directory)"):
        unpack(item, iter([packed] * 1), tmp_path / "missing", lambda _: None)


@pytest.mark.parametrize("cut", [1, -1], ids=["a byte", "all but one"])
def test_libzstd_speaks_for_itself(packed: bytes, tmp_path: Path, cut: int) -> None:
    """The error carries libzstd's words, not tar's complaint about what follows from it."""
    data = packed[:cut]
    item = Archive("http://unused", hashlib.sha256(data).hexdigest(), len(data), 1)
    with pytest.raises(DamagedError, match=r"could not be unpacked.* cut off"):
        unpack(item, iter([data]), tmp_path, lambda _: None)


def test_bytes_that_are_no_archive_are_called_that(tmp_path: Path) -> None:
    """With the right hash, whoever made it is at fault, and libzstd says why."""
    with pytest.raises(DamagedError, match="cannot be decompressed: Unknown frame"):
        unpack(archive("http://unused", b"nonsense"), iter([b"nonsense"]), tmp_path, lambda _: None)


def test_whoever_watches_may_stop_it(packed: bytes, tmp_path: Path) -> None:
    """An error out of `progress` ends tar, and comes out unchanged."""

    def stop(_: float) -> None:
        raise KeyError("cancelled")

    with pytest.raises(KeyError):
        unpack(archive("http://unused", packed), iter([packed]), tmp_path, stop)


@settings(max_examples=25)
@given(st.binary(min_size=1, max_size=3000), st.lists(st.integers(0, 900), max_size=6))
def test_any_breaks_give_the_same_bytes(data: bytes, breaks: list[int]) -> None:
    """Whatever the sizes between breaks, the bytes come in order and once."""
    with appliance(Server(data, tuple(breaks))) as url:
        assert b"".join(fetch(archive(url, data), Clock().patience(60))) == data
