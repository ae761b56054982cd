"""The DNS generator: what it counts as an answer is one, to a question of its own."""

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

from ironwake_bench import load

pytestmark = pytest.mark.root  # the compiled programs stand in the system's cache

_QUESTION = b"\0\0\1\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\1"
_NO_SUCH_NAME = 3  # RFC 1035 section 4.1.1
_WINDOW = 8


@contextlib.contextmanager
def server(answer: Callable[[bytes], bytes | None]) -> Iterator[tuple[str, int]]:
    """Says to each datagram what `answer` gives."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))

        def serve() -> None:
            while True:
                message, client = sock.recvfrom(2048)
                if not message:  # the end of the test
                    return
                if reply := answer(message):
                    sock.sendto(reply, client)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        where = sock.getsockname()
        try:
            yield where
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
                last.sendto(b"", where)
            thread.join()


def ask(folder: Path, where: tuple[str, int], seconds: int = 1) -> dict[str, Any]:
    """One question again and again, of four clients with two on their way."""
    file = folder / "questions"
    file.write_bytes(len(_QUESTION).to_bytes(2, "big") + _QUESTION)
    argv = [load.program("dns"), *where, file, _WINDOW, seconds]
    done = subprocess.run([*map(str, argv)], capture_output=True, text=True, check=True)
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


def answered(message: bytes, code: int = 0, count: int = 1) -> bytes:
    """A reply of that code, and that number of answers."""
    return message[:2] + bytes([0x81, code]) + message[4:6] + bytes([0, count]) + message[8:]


def test_every_answer_is_counted_once(tmp_path: Path) -> None:
    """Against its own echo: each question is answered, lost, or still on its way."""
    where = (f"127.{secrets.randbelow(254) + 1}.{secrets.randbelow(256)}.1", 5300)
    argv = [str(load.program("dns")), "serve", *map(str, where)]
    with subprocess.Popen(argv) as child:
        try:
            while not (seen := ask(tmp_path, where))["answered"]:
                assert child.poll() is None
        finally:
            child.terminate()
    assert seen["odd"] == 0
    assert seen["asked"] - seen["answered"] - seen["lost"] == _WINDOW
    assert 0 <= seen["p50_us"] <= seen["p99_us"]


@pytest.mark.parametrize(("code", "count"), [(_NO_SUCH_NAME, 1), (0, 0)])
def test_no_answer_within_a_reply_is_odd(tmp_path: Path, code: int, count: int) -> None:
    """A refusal, and a reply without any record, come back and are told."""
    with server(lambda message: answered(message, code, count)) as where:
        seen = ask(tmp_path, where)
    assert seen["odd"] == seen["answered"] > 0
    assert seen["odd_code"] == code


@pytest.mark.parametrize(
    "answer",
    [
        lambda message: None,  # noqa: ARG005
        lambda message: message,
        lambda message: bytes([message[0] ^ 0x80]) + answered(message)[1:],
    ],
    ids=["silence", "the question", "another id"],
)
def test_what_is_no_answer_counts_as_lost(
    tmp_path: Path, answer: Callable[[bytes], bytes | None]
) -> None:
    """Silence, the question itself, and a reply to another one: asked again after a second."""
    with server(answer) as where:
        seen = ask(tmp_path, where, seconds=2)
    assert seen["answered"] == 0
    assert seen["lost"] >= _WINDOW


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    """It is said, and nothing is asked."""
    (tmp_path / "questions").write_bytes(b"\0\5short")
    argv = [load.program("dns"), "127.0.0.1", "9", tmp_path / "questions", "4", "1"]
    done = subprocess.run([*map(str, argv)], capture_output=True, check=False)
    assert done.returncode == 2
    assert done.stderr
