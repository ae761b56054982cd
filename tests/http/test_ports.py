"""The port: ours, or a plain word about who has it."""

from __future__ import annotations

import contextlib
import os
import socket

import pytest
import structlog
from structlog.testing import capture_logs

from ironwake.errors import InputError, RefusedError
from ironwake_http.__main__ import opened
from ironwake_http.ports import listen, unpace
from ironwake_runtime import udp
from ironwake_runtime.ports import Port


@pytest.mark.parametrize("theirs", ["127.0.0.1", "0.0.0.0"])
def test_a_busy_port_names_its_owner(theirs: str) -> None:
    """When somebody listens there, or on all addresses, the error names port, program and pid."""
    with socket.create_server((theirs, 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(RefusedError) as raised:
            listen("127.0.0.1", port)
    assert raised.value.what.startswith(f"TCP port {port}, which the http service needs, is in use")
    assert raised.value.what.endswith(f"(pid {os.getpid()})")
    assert raised.value.where == "IRONWAKE_HTTP_PORT"


@pytest.mark.parametrize("name", [b"bbr", b"reno"])
def test_no_packet_waits_for_a_timer(name: bytes) -> None:
    """A host's BBR is not ours; another choice of the host stays."""
    with socket.socket() as sock:
        with contextlib.suppress(OSError):  # a kernel without BBR
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, name)
        unpace(sock)
        found = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0")
    assert found != b"bbr"
    assert name in (found, b"bbr")


def test_a_port_for_installers_that_is_taken_is_said_with_its_setting() -> None:
    """The service goes on without it; who sends machines there goes by the setting, so that is what
    has to be changed. 0 wants none."""

    def datagrams(number: int) -> socket.socket:
        return udp.listen(Port("http", "udp", number, "IRONWAKE_SYSLOG_PORT", "127.0.0.1"))

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other, capture_logs() as lines:
        other.bind(("127.0.0.1", 0))
        taken = other.getsockname()[1]
        assert opened(datagrams, taken, structlog.stdlib.get_logger()) is None
        assert opened(datagrams, 0, structlog.stdlib.get_logger()) is None
    (line,) = lines
    assert (line["log_level"], line["port"]) == ("warning", taken)
    assert f"UDP port {taken}, which the http service needs, is in use by" in line["error"]
    assert line["next_step"].endswith("IRONWAKE_SYSLOG_PORT; IRONWAKE_SYSLOG_PORT=0 tells none")


def test_an_address_of_another_host() -> None:
    """An address that this host does not have is an error of the settings."""
    with pytest.raises(InputError, match="no address of this host"):
        listen("192.0.2.1", 0)
