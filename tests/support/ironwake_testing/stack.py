"""The appliance as containers in a rack's namespace, handled as a person on its host would."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ironwake_lab import Rack
from ironwake_testing.engine import Engine

PROJECT = Path(__file__).parents[3]
API = "http://127.0.0.1:8080"
_INTERPOLATED = re.compile(r"\$\{([A-Z_]+)")
_BETWEEN_LOOKS = 1.0


@dataclass
class Stack:
    """One Compose project: `settings` is what its `.env` would say. The compose file is as it is.

    :ivar engine: an engine that runs in the rack's namespace
    """

    rack: Rack
    engine: Engine
    name: str
    settings: Mapping[str, str]

    @property
    def environment(self) -> dict[str, str]:
        """For `docker` and for whatever calls it. A `.env` that lies there has no say."""
        names = _INTERPOLATED.findall((PROJECT / "compose.yaml").read_text(encoding="utf-8"))
        unset = dict.fromkeys(names, "")
        return {
            **self.engine.environment,
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "COMPOSE_PROJECT_NAME": self.name,
            **unset,
            **self.settings,
        }

    def compose(
        self, *words: str, check: bool = True, **settings: str
    ) -> subprocess.CompletedProcess[str]:
        """Run `docker compose …` in the project; what Compose itself tells is on standard error."""
        environment = {**self.environment, **settings}
        return self.engine.docker("compose", *words, env=environment, cwd=PROJECT, check=check)

    def up(self) -> None:
        """`docker compose up -d --wait`, and nothing is fetched or built on the way."""
        self.compose("up", "-d", "--wait", "--no-build", "--pull", "never")

    def inspect(self, service: str) -> dict[str, Any]:
        """What the engine says of a running service's container."""
        identity = self.compose("ps", "--quiet", service).stdout.strip()
        found: dict[str, Any] = json.loads(self.engine.docker("inspect", identity).stdout)[0]
        return found

    def down(self) -> None:
        """Containers and volumes go."""
        every = ("--profile", "tools", "--profile", "packages")
        self.compose(*every, "down", "--volumes", "--timeout", "5", check=False)

    def stock(self, store: Path) -> None:
        """Copy an artifact store into the volume, and wait until the controller has seen it."""
        self.engine.docker(
            *("run", "--rm", "--network", "host", "--entrypoint", "cp"),
            *("--volume", f"{self.name}_artifacts:/to", "--volume", f"{store}:/from:ro"),
            *("ironwake/imager", "--recursive", "/from/.", "/to/"),
        )
        wanted = {path.stem for path in (store / "manifests").glob("*.json")}
        end = time.monotonic() + 60
        while not wanted <= {one["name"] for one in self.api("GET", "/v1/site")["media"]}:
            assert time.monotonic() < end, "the controller does not see its artifacts"
            time.sleep(_BETWEEN_LOOKS)

    @cached_property
    def token(self) -> str:
        """As the documentation tells people to get it."""
        return self.compose(
            "exec", "-T", "controller", "ironwake", "token", "--show"
        ).stdout.strip()

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """Call the API with curl, inside the namespace; the JSON reply."""
        words = ["curl", "-sS", "--fail-with-body", "--max-time", "60", "-X", method]
        words += ["-H", f"Authorization: Bearer {self.token}"]
        if body is not None:
            words += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
        done = self.rack.run([*words, f"{API}{path}"], check=False)
        assert done.returncode == 0, f"{method} {path}: {done.stdout}{done.stderr}"
        return json.loads(done.stdout)

    def follow(self, deployment: str, timeout: float) -> str:
        """Wait until it is over, or `timeout` seconds; its state, with the history where it failed.

        The state alone is `succeeded`.
        """
        end = time.monotonic() + timeout
        while True:
            found = self.api("GET", f"/v1/deployments/{deployment}")
            if found["over"] or time.monotonic() > end:
                break
            time.sleep(_BETWEEN_LOOKS)
        if found["state"] == "succeeded":
            return "succeeded"
        events = self.api("GET", f"/v1/deployments/{deployment}/events")["items"]
        lines = [f"{event['at']} {event['kind']}: {event['message']}" for event in events]
        logs = self.compose("logs", "--tail", "20", check=False)
        return "\n".join((f"{found['state']} {found['stuck']}", *lines, logs.stdout, logs.stderr))
