"""`ironwake serve` as a process of a test's own, on loopback and ports of the kernel's choice."""

from __future__ import annotations

import os
import re
import select
import socket
import subprocess
import sys
from pathlib import Path

PATIENCE = 120.0  # seconds: an end for a broken run, never a measure


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
            ready = select.select([self._pipe], [], [], PATIENCE)[0]
            more = os.read(self._pipe, 65536) if ready else b""
            assert more, f"no line like {pattern!r} in:\n" + "\n".join(told)
            self._text += more


def on_loopback(state: Path) -> dict[str, str]:
    """Settings of an appliance that gives no addresses, and has no package cache."""
    controller, tftp, dns, http, packages = free_ports(5)
    return {
        "IRONWAKE_INTERFACE": "lo",
        "IRONWAKE_STATE_DIR": str(state),
        "IRONWAKE_DHCP_MODE": "off",
        "IRONWAKE_CONTROLLER_LISTEN": f"127.0.0.1:{controller}",
        "IRONWAKE_CONTROLLER_URL": f"http://127.0.0.1:{controller}",
        "IRONWAKE_TFTP_PORT": str(tftp),
        "IRONWAKE_DNS_PORT": str(dns),
        "IRONWAKE_HTTP_PORT": str(http),
        "IRONWAKE_PACKAGES": "off",
        "IRONWAKE_PACKAGES_PORT": str(packages),
    }
