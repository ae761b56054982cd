"""The HTTP generator: what it says was served has been served, and what was refused is told."""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ironwake_bench import load, requests

pytestmark = pytest.mark.root  # the compiled programs stand in the system's cache

_BODY = 5000  # octets of the echo's
_REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_BAD = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
_END = b"\r\n\r\n"


@contextlib.contextmanager
def echo() -> Iterator[tuple[str, int]]:
    """The generator's own server, at a loopback address of its own."""
    host, port = f"127.{secrets.randbelow(254) + 1}.{secrets.randbelow(256)}.1", 8080
    argv = [str(load.program("http")), "serve", host, str(port), str(_BODY)]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL) as child:
        try:
            while True:
                assert child.poll() is None
                with contextlib.suppress(ConnectionRefusedError):
                    socket.create_connection((host, port)).close()
                    break
            yield host, port
        finally:
            child.terminate()


@contextlib.contextmanager
def server(serve: Callable[[int, socket.socket], None]) -> Iterator[tuple[str, int]]:
    """Gives each connection to `serve`, one after the other and with its number; then it ends."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            number = 0
            with contextlib.suppress(OSError):  # the end of the test
                while True:
                    with listening.accept()[0] as line:
                        serve(number, line)
                    number += 1

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield listening.getsockname()[:2]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def hear(line: socket.socket) -> bool:
    """One request; whether there was one."""
    heard = b""
    while not heard.endswith(_END):
        piece = line.recv(65536)
        if not piece:
            return False
        heard += piece
    return True


def replies(line: socket.socket, reply: bytes = _REPLY, most: int = 1000) -> None:
    """Answer so many requests at most."""
    for _ in range(most):
        if not hear(line):
            return
        line.sendall(reply)


def ask(
    folder: Path,
    where: tuple[str, int],
    count: int,
    *more: str,
    clients: int = 1,
    seconds: int = 60,
) -> dict[str, Any]:
    """So many requests of so many clients."""
    file = requests.write(folder / "requests", [requests.get("/x", "a")] * count)
    argv = [load.program("http"), *where, file, clients, seconds, *more]
    done = subprocess.run([*map(str, argv)], capture_output=True, text=True, check=True)
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


@pytest.mark.parametrize("more", [(), ("close",)])
def test_what_was_served_is_counted(tmp_path: Path, more: tuple[str, ...]) -> None:
    """Against its own echo: every request has its reply, whole, and none was sent twice."""
    with echo() as where:
        seen = ask(tmp_path, where, 12, *more, clients=4)
    assert [seen[key] for key in ("started", "replies", "fine")] == [12] * 3
    assert (seen["failed"], seen["again"], seen["octets"]) == (0, 0, 12 * _BODY)
    assert 0 <= seen["p50_us"] <= seen["p99_us"] <= seen["max_us"]


@pytest.mark.parametrize("more", [(), ("close",)])
def test_an_end_without_a_word_is_a_failure(tmp_path: Path, more: tuple[str, ...]) -> None:
    """A server that ends each connection once it has heard the request has served nobody."""
    with server(lambda _, line: replies(line, b"", most=1)) as where:
        seen = ask(tmp_path, where, 6, *more, clients=2)
    assert (seen["started"], seen["replies"], seen["failed"], seen["again"]) == (6, 0, 6, 0)


def test_a_kept_connection_may_end(tmp_path: Path) -> None:
    """What met the end of a connection that had served is sent once more, and told."""
    with server(lambda _, line: replies(line, most=1)) as where:
        seen = ask(tmp_path, where, 6)
    assert (seen["fine"], seen["failed"], seen["again"]) == (6, 0, 5)


def test_once_more_is_not_for_ever(tmp_path: Path) -> None:
    """The second try has its own connection: where that one brings nothing, it is a failure."""
    with server(lambda number, line: replies(line, most=1) if number == 0 else None) as where:
        seen = ask(tmp_path, where, 6)
    assert (seen["fine"], seen["failed"], seen["again"]) == (1, 5, 1)


def test_another_status_is_not_fine(tmp_path: Path) -> None:
    """It is a reply, and which one is told."""
    with server(lambda _, line: replies(line, _BAD)) as where:
        seen = ask(tmp_path, where, 3)
    assert (seen["replies"], seen["fine"], seen["odd_status"]) == (3, 0, 503)


def test_all_that_is_due_is_sent(tmp_path: Path) -> None:
    """With a rate, what the end of the time finds unsent is sent as well, and counts as late."""
    with server(lambda _, line: replies(line)) as where:
        seen = ask(tmp_path, where, 24, "rate=20", seconds=1)
    assert (seen["started"], seen["fine"]) == (24, 24)
    assert seen["seconds"] >= 23 / 20


@pytest.mark.parametrize("text", ["", "12\nGET", "x\nGET / HTTP/1.1\r\n\r\n"])
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    """Each limit is checked, and said."""
    (tmp_path / "requests").write_text(text)
    argv = [load.program("http"), "127.0.0.1", "9", tmp_path / "requests", "1", "1"]
    done = subprocess.run([*map(str, argv)], capture_output=True, check=False)
    assert done.returncode == 2
    assert done.stderr
