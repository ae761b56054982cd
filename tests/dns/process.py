"""The DNS service as a process of its own, in a network namespace."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ironwake import wire
from ironwake_lab import network
from tests.dns.site import view

ADDRESS = "192.0.2.1"  # the appliance's own in what is served
_PATIENCE = 60.0  # seconds: an end for a broken run, never a measure


@contextlib.contextmanager
def serving(
    namespace: str, interface: str, state: Path, port: int
) -> Iterator[subprocess.Popen[str]]:
    """`python -m ironwake_dns` by a saved view, without a controller."""
    (state / "views").mkdir(parents=True)
    (state / "views" / "dns.json").write_bytes(wire.encode(view(ADDRESS)))
    environment = {name: text for name, text in os.environ.items() if "IRONWAKE" not in name}
    environment |= {
        "IRONWAKE_INTERFACE": interface,
        "IRONWAKE_STATE_DIR": str(state),
        "IRONWAKE_CONTROLLER_URL": "http://127.0.0.1:9",
        "IRONWAKE_DNS_PORT": str(port),
        "IRONWAKE_LOG_FORMAT": "json",
    }
    command = [*network.enter(namespace), sys.executable, "-m", "ironwake_dns"]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if json.loads(line)["event"] == "listening":
                break
        else:
            pytest.fail("the service did not start")
        yield process
    finally:
        process.terminate()
        _, rest = process.communicate(timeout=_PATIENCE)
        assert process.returncode == 0, rest
        assert "Traceback" not in rest
        assert "question failed" not in rest
