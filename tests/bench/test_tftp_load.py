"""The TFTP generator and the relay on loopback: what is measured is what happened."""

from __future__ import annotations

import json
import socket
import subprocess
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ironwake_bench import load

pytestmark = pytest.mark.root  # the compiled programs stand in the system's cache

_OCTETS = 100_000


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def running(name: str, *words: object) -> Iterator[None]:
    argv = [str(load.program(name)), *map(str, words)]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL) as child:
        try:
            yield
        finally:
            child.terminate()


@contextmanager
def sink() -> Iterator[int]:
    """A server of nothing but zeros; its port."""
    port = free_port()
    with running("tftp", "serve", "127.0.0.1", port, _OCTETS):
        yield port


def read(port: int, *more: str, octets: int = _OCTETS, window: int = 4) -> dict[str, Any]:
    """Two clients, each three times."""
    words = ("127.0.0.1", port, "x", octets, 2, 3, window, 1468, 60, *more)
    argv = [str(load.program("tftp")), *map(str, words)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


@pytest.mark.parametrize("window", [1, 4, 64])
def test_what_was_read_is_counted(window: int) -> None:
    """Every read is whole, with the window that was asked for, and its octets are counted once."""
    with sink() as port:
        seen = read(port, f"crc={zlib.crc32(bytes(_OCTETS)):x}", window=window)
    assert (seen["finished"], seen["failed"], seen["octets"]) == (6, 0, 6 * _OCTETS)
    assert (seen["windowsize"], seen["blksize"]) == (window, 1468)


def test_other_bytes_are_no_success() -> None:
    """A file of another size, or with another sum, counts as failed."""
    with sink() as port:
        assert read(port, octets=_OCTETS + 1)["failed"] == 6
        assert read(port, "crc=1")["failed"] == 6


def test_a_relay_that_loses_nothing_changes_nothing() -> None:
    """Through the relay the same bytes come, from ports of the relay's."""
    with sink() as server:
        port = free_port()
        with running("relay", "127.0.0.1", port, "127.0.0.1", server, "127.0.0.2", 100, 0, 1):
            seen = read(port, f"crc={zlib.crc32(bytes(_OCTETS)):x}")
    assert (seen["finished"], seen["failed"]) == (6, 0)


def test_a_relay_that_loses_all_lets_nothing_through() -> None:
    """With 1,000 of 1,000 lost no read is even begun."""
    with sink() as server:
        port = free_port()
        with running("relay", "127.0.0.1", port, "127.0.0.1", server, "127.0.0.2", 0, 1000, 1):
            words = ("127.0.0.1", port, "x", _OCTETS, 1, 1, 1, 1468, 2)
            argv = [str(load.program("tftp")), *map(str, words)]
            seen = json.loads(subprocess.run(argv, capture_output=True, check=True).stdout)
    assert (seen["finished"], seen["failed"], seen["datagrams"]) == (0, 1, 0)
