"""The controller as a process of its own, on a free port."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import httpx2

PATIENCE = 60.0  # seconds for a start on a busy machine


class Process:
    """`python -m ironwake_controller` on a port of its own."""

    def __init__(self, folder: Path, **more: str) -> None:
        environment = {
            **{key: value for key, value in os.environ.items() if "IRONWAKE" not in key},
            "IRONWAKE_STATE_DIR": str(folder),
            "IRONWAKE_ADDRESS": "10.77.0.2",
            "IRONWAKE_MIRROR": "http://mirror.example/debian",
            "IRONWAKE_CONTROLLER_LISTEN": "127.0.0.1:0",
            "IRONWAKE_LOG_FORMAT": "json",
            **more,
        }
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ironwake_controller"],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said: list[str] = []

    def wait_ready(self) -> int:
        """The port, once it listens."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            if line.startswith("{") and json.loads(line)["event"] == "listening":
                threading.Thread(target=self._drain, daemon=True).start()
                return int(json.loads(line)["port"])
        raise AssertionError(f"it did not start: {self.said}")

    def _drain(self) -> None:
        assert self.process.stderr is not None
        self.said.extend(self.process.stderr)

    def client(self, port: int, role: str) -> httpx2.Client:
        token = (self.folder / "secrets" / f"{role}.token").read_text().strip()
        headers = {"authorization": f"Bearer {token}"}
        url = f"http://127.0.0.1:{port}"
        return httpx2.Client(base_url=url, headers=headers, timeout=PATIENCE, trust_env=False)

    def end(self, number: signal.Signals) -> int:
        """Its exit status after this signal."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def finish(self) -> tuple[int, str]:
        """For one that ends by itself: its exit status and what it said."""
        _, said = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, said


Start = Callable[..., Process]
