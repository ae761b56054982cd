"""`ironwake serve` with its real services, on loopback and ports of the kernel's choice."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

_PATIENCE = 120.0  # seconds: an end for a broken run, never a measure


def free_ports(count: int) -> list[int]:
    """Ports that nothing had a moment ago, for TCP and UDP."""
    held = []
    for _ in range(count):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.bind(("127.0.0.1", 0))
        held.append(sock)
    numbers = [sock.getsockname()[1] for sock in held]
    for sock in held:
        sock.close()
    return numbers


class Serve:
    """A running appliance; what it prints is read line by line."""

    def __init__(self, state: Path, environ: dict[str, str]) -> None:
        self.state = state
        self.environ = {
            **{key: value for key, value in os.environ.items() if not key.startswith("IRONWAKE_")},
            **environ,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ironwake_cli", "serve"],
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert self.process.stdout is not None
        self._pipe = self.process.stdout.fileno()
        self._text = b""

    def wait_line(self, pattern: str) -> re.Match[str]:
        """Read on until a line matches, and forget what was read."""
        told = []
        while True:
            line, newline, rest = self._text.partition(b"\n")
            if newline:
                self._text = rest
                told.append(line.decode("utf-8", "replace"))
                if found := re.search(pattern, told[-1]):
                    return found
                continue
            ready = select.select([self._pipe], [], [], _PATIENCE)[0]
            more = os.read(self._pipe, 65536) if ready else b""
            assert more, f"no line like {pattern!r} in:\n" + "\n".join(told)
            self._text += more


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    controller, tftp, dns, http = free_ports(4)
    state = tmp_path / "state"
    running = Serve(
        state,
        {
            "IRONWAKE_INTERFACE": "lo",
            "IRONWAKE_STATE_DIR": str(state),
            "IRONWAKE_DHCP_MODE": "off",
            "IRONWAKE_CONTROLLER_LISTEN": f"127.0.0.1:{controller}",
            "IRONWAKE_CONTROLLER_URL": f"http://127.0.0.1:{controller}",
            "IRONWAKE_TFTP_PORT": str(tftp),
            "IRONWAKE_DNS_PORT": str(dns),
            "IRONWAKE_HTTP_PORT": str(http),
            "IRONWAKE_PACKAGES": "off",
        },
    )
    yield running
    running.process.kill()
    running.process.communicate(timeout=_PATIENCE)


def test_a_whole_life(serve: Serve) -> None:
    """It says where the API and the token are, mends a dead service, and stops all of them."""
    said = serve.wait_line(r"^API: (\S+)  token: (\S+)$")
    assert said[1] == serve.environ["IRONWAKE_CONTROLLER_URL"]
    assert Path(said[2]).stat().st_mode & 0o777 == 0o600
    assert serve.state.stat().st_mode & 0o777 == 0o700

    pid = int(serve.wait_line(r"started +child=tftp pid=(\d+)")[1])
    serve.wait_line(r"listening .*service=tftp")
    os.kill(pid, signal.SIGKILL)
    serve.wait_line(r"died +child=tftp how='killed by SIGKILL'")
    assert int(serve.wait_line(r"started +child=tftp pid=(\d+)")[1]) != pid

    command = [sys.executable, "-m", "ironwake_cli"]
    words = ["enroll", "node1", "--mac", "52:54:00:77:00:10"]
    done = subprocess.run(
        [*command, *words], env=serve.environ, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")

    second = subprocess.run(
        [*command, "serve"], env=serve.environ, capture_output=True, text=True, check=False
    )
    assert second.returncode == 4
    assert "in use by ironwake_" in second.stderr

    serve.process.send_signal(signal.SIGTERM)
    serve.wait_line(r"stopped +child=controller how='exit status 0'")
    assert serve.process.wait(_PATIENCE) == 0
