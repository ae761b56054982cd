"""`ironwake serve` with its real services, on loopback and ports of the kernel's choice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ironwake_testing.serve import PATIENCE, Serve, on_loopback


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    state = tmp_path / "state"
    running = Serve(state, on_loopback(state))
    yield running
    running.process.kill()
    running.process.communicate(timeout=PATIENCE)


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
    assert serve.process.wait(PATIENCE) == 0
