"""Windows in few system calls, and one by one where the kernel will not."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ironwake_tftp.burst import Sender, send_once

_SEGMENT = 1472


@contextmanager
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A sending and a receiving socket on loopback, connected to each other."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as one,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as two,
    ):
        two.settimeout(10)
        two.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        for sock in (one, two):
            sock.bind(("127.0.0.1", 0))
        one.connect(two.getsockname())
        yield one, two


class Refusing(socket.socket):
    """A socket whose kernel knows UDP_SEGMENT and then cannot do it (no checksum offload)."""

    def send(self, data: bytes | memoryview, *_: int) -> int:  # type: ignore[override]
        if len(data) > _SEGMENT:
            raise OSError(5, "input/output error")
        return super().send(data)


@pytest.mark.parametrize("blocks", [1, 2, 44, 45, 64])
def test_a_window_arrives_block_by_block(blocks: int) -> None:
    """Whatever the window, the other side hears datagrams of one segment each, the last shorter."""
    data = bytes(n % 251 for n in range(_SEGMENT * blocks - 100))
    with pair() as (one, two):
        Sender(one, _SEGMENT).send(memoryview(data))
        heard = [two.recv(4096) for _ in range(blocks)]
    assert b"".join(heard) == data
    assert {len(part) for part in heard[:-1]} <= {_SEGMENT}


def test_without_segments_blocks_go_one_by_one() -> None:
    """An interface that cannot cut datagrams costs speed, and nothing else."""
    data = bytes(n % 251 for n in range(_SEGMENT * 5 - 7))
    with pair() as (one, two), Refusing(fileno=one.detach()) as refusing:
        refusing.setblocking(False)
        sender = Sender(refusing, _SEGMENT)
        for _ in range(2):
            sender.send(memoryview(data))
            heard = [two.recv(4096) for _ in range(5)]
            assert b"".join(heard) == data


def test_a_client_that_is_gone_is_a_loss() -> None:
    """The kernel's word that nobody listens is no failure: the timer gives up in its own time."""
    with pair() as (one, two):
        gone = two.getsockname()
        two.close()
        sender = Sender(one, _SEGMENT)
        for _ in range(3):
            sender.send(b"block")
            send_once(one, b"block", gone)


def test_what_no_other_try_mends_is_said() -> None:
    """A datagram that is over what UDP can carry is an error, not a loss."""
    with pair() as (one, _), pytest.raises(OSError, match="too long"):
        Sender(one, 70_000).send(bytes(70_000))
