"""`ironwake doctor --before-start`: one sentence about what would keep services from starting."""

from __future__ import annotations

import http.server
import socket
import threading
from contextlib import ExitStack

import pytest

from ironwake_cli.__main__ import run

WORDS = ("doctor", "--before-start")
PORTS = ("DHCP_PORT", "DHCP_PROXY_PORT", "TFTP_PORT", "DNS_PORT", "HTTP_PORT")


@pytest.fixture
def environ() -> dict[str, str]:
    """Settings for loopback, with ports that were free a moment ago."""
    with ExitStack() as stack:
        socks = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(6)]
        numbers = [str(sock.getsockname()[1]) for sock in socks]
    return {
        "IRONWAKE_INTERFACE": "lo",
        "IRONWAKE_CONTROLLER_LISTEN": f"127.0.0.1:{numbers[5]}",
        "IRONWAKE_CONTROLLER_URL": f"http://127.0.0.1:{numbers[5]}",
        **{f"IRONWAKE_{name}": number for name, number in zip(PORTS, numbers, strict=False)},
    }


def test_all_is_well(environ: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """With an interface and free ports it ends with 0."""
    assert run(WORDS, environ) == 0
    assert capsys.readouterr().out == "the interface is there, and all ports are free\n"


def test_no_interface_names_the_candidates(capsys: pytest.CaptureFixture[str]) -> None:
    """Without IRONWAKE_INTERFACE it fails, with the interfaces that there are."""
    assert run(WORDS, {}) != 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("ironwake: IRONWAKE_INTERFACE: no network interface is named; ")
    assert "there are: " in line


def test_a_busy_port_is_named(environ: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """Another program on a port that a service needs is found before anything is started."""
    number = environ["IRONWAKE_HTTP_PORT"]
    with socket.create_server(("127.0.0.1", int(number))):
        assert run(WORDS, environ) != 0
    said = capsys.readouterr().err
    assert f"TCP port {number}, which the http service needs, is in use" in said


class _Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_our_own_ports_are_no_fault(
    environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """An appliance that runs already has its ports itself."""
    number = int(environ["IRONWAKE_CONTROLLER_LISTEN"].rpartition(":")[2])
    with http.server.HTTPServer(("127.0.0.1", number), _Healthy) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            assert run(WORDS, environ) == 0
        finally:
            server.shutdown()
            thread.join()
    assert capsys.readouterr().out == "the appliance runs, and has its ports\n"
