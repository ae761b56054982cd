"""The appliance inside a rack: `ironwake serve`, started, asked and stopped as a user would."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ironwake.errors import BrokenError
from ironwake.lifecycle import ENDS
from ironwake_lab import process
from ironwake_lab.rack import Rack

API = "http://127.0.0.1:8080"
# Three dozen Python modules start at once on two busy cores: this is no promise, only an end.
_READY_SECONDS = 120.0
_BETWEEN_LOOKS = 0.25


@dataclass(frozen=True)
class ApplianceSpec:
    """`settings` are IRONWAKE_… names with their values, over those that a rack needs anyway."""

    state: Path
    artifacts: Path
    profiles: Path
    settings: Mapping[str, str] = field(default_factory=dict)


class Appliance:
    """All services in the rack's namespace, on its bridge. A context manager."""

    def __init__(self, rack: Rack, spec: ApplianceSpec) -> None:
        self._rack = rack
        self._spec = spec
        self._process: subprocess.Popen[Any] | None = None
        self.log = spec.state / "serve.log"

    @property
    def environment(self) -> dict[str, str]:
        """For any `ironwake` command that shall speak to this appliance."""
        outside = {k: v for k, v in os.environ.items() if not k.startswith("IRONWAKE_")}
        return {
            **outside,
            "IRONWAKE_INTERFACE": "br0",
            "IRONWAKE_STATE_DIR": str(self._spec.state),
            "IRONWAKE_ARTIFACTS_DIR": str(self._spec.artifacts),
            "IRONWAKE_PROFILES_DIR": str(self._spec.profiles),
            "IRONWAKE_RAMDISK": "cloud",
            # A rack has no way to any mirror.
            "IRONWAKE_PACKAGES": "off",
            **self._spec.settings,
        }

    def __enter__(self) -> Appliance:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until every service answers; BrokenError with the log's end if not."""
        self._spec.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self.log.open("ab") as log:
            self._process = self._rack.popen(
                self.command("serve"), env=self.environment, stdout=log, stderr=log
            )
        end = time.monotonic() + _READY_SECONDS
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > end:
                self.stop()
                tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
                raise BrokenError(f"the appliance did not start:\n{tail}", f"read {self.log}")
            time.sleep(_BETWEEN_LOOKS)

    def stop(self) -> None:
        """Stop it, as Ctrl-C would; idempotent."""
        if self._process is not None:
            process.end_child(self._process, 20)
        self._process = None

    def _ready(self) -> bool:
        return all(
            self._rack.run(
                ["curl", "-fsS", "-o", "/dev/null", "--max-time", "5", url], check=False
            ).returncode
            == 0
            for url in (f"{API}/readyz", f"http://{self.address}/healthz")
        )

    @property
    def url(self) -> str:
        """The API's, inside the rack's namespace."""
        return API

    @property
    def address(self) -> str:
        return self._rack.spec.appliance.partition("/")[0]

    @property
    def token(self) -> str:
        """The admin token."""
        return (self._spec.state / "secrets" / "admin.token").read_text().strip()

    def command(self, *words: str) -> list[str]:
        """The `ironwake` command of this installation."""
        return [sys.executable, "-m", "ironwake_cli", *words]

    def cli(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run `ironwake …` beside the appliance; `options` as for `Rack.run`."""
        return self._rack.run(self.command(*words), env=self.environment, **options)

    def api(self, method: str, path: str, body: Any = None, expect: int | None = None) -> Any:
        """Call the API with curl; the JSON reply (None for none).

        BrokenError where the status is not `expect` (default: any below 400).
        """
        words = ["curl", "-sS", "--max-time", "60", "-X", method, "-w", "\n%{http_code}"]
        words += ["-H", f"Authorization: Bearer {self.token}"]
        if body is not None:
            words += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
        text, _, status = self._rack.run([*words, f"{API}{path}"]).stdout.rpartition("\n")
        if int(status) != expect if expect is not None else int(status) >= 400:
            raise BrokenError(f"{method} {path} answered {status}: {text}")
        return json.loads(text) if text else None

    def wait_deployment(self, identity: str, states: set[str], timeout: float) -> dict[str, Any]:
        """Wait until the deployment is in one of `states`; BrokenError with its events if not."""
        end = time.monotonic() + timeout
        while True:
            deployment: dict[str, Any] = self.api("GET", f"/v1/deployments/{identity}")
            if deployment["state"] in states:
                return deployment
            if time.monotonic() > end or deployment["state"] in ENDS:
                events = self.api("GET", f"/v1/deployments/{identity}/events")
                raise BrokenError(
                    f"deployment {identity} is {deployment['state']}, not {sorted(states)}: "
                    f"{json.dumps(events, indent=1)[-6000:]}"
                )
            time.sleep(_BETWEEN_LOOKS)

    def wait_foreign(self, address: str, timeout: float = 120.0) -> None:
        """Wait until all services know of this other DHCP server; BrokenError if they do not."""
        end = time.monotonic() + timeout
        while address not in {one["address"] for one in self.api("GET", "/v1/site")["foreign"]}:
            if time.monotonic() > end:
                raise BrokenError(f"{address} was not heard of", f"read {self.log}")
            time.sleep(_BETWEEN_LOOKS)
        self.settle(timeout)

    def settle(self, timeout: float = 120.0) -> None:
        """Wait until every data-plane service goes by what the API says now; BrokenError if not.

        A service saves each view in the same breath as it begins to go by it.
        """
        token = (self._spec.state / "secrets" / "service.token").read_text().strip()
        words = ["curl", "-fsS", "-H", f"Authorization: Bearer {token}"]
        newest = self._rack.run([*words, f"{API}/internal/view"]).stdout
        version = json.loads(newest)["version"]
        end = time.monotonic() + timeout
        while behind := [name for name in _FOLLOWERS if self._view_version(name) < version]:
            if time.monotonic() > end:
                raise BrokenError(f"no news reached {', '.join(behind)}", f"read {self.log}")
            time.sleep(_BETWEEN_LOOKS)

    def _view_version(self, service: str) -> int:
        try:
            saved = (self._spec.state / "views" / f"{service}.json").read_bytes()
        except FileNotFoundError:
            return -1
        return int(json.loads(saved)["version"])

    def events(self, identity: str) -> list[dict[str, Any]]:
        """All of a deployment's events, oldest first."""
        path = f"/v1/deployments/{identity}/events?limit=1000"
        items: list[dict[str, Any]] = self.api("GET", path)["items"]
        return items

    def wait_event(
        self, identity: str, wanted: Callable[[dict[str, Any]], bool], timeout: float
    ) -> list[dict[str, Any]]:
        """All events, once one is wanted; a controller that is away is waited for, too.

        BrokenError with the events' end if none comes within `timeout` seconds.
        """
        end = time.monotonic() + timeout
        events: list[dict[str, Any]] = []
        while time.monotonic() < end:
            with contextlib.suppress(BrokenError, subprocess.CalledProcessError):
                events = self.events(identity)
            if any(wanted(event) for event in events):
                return events
            time.sleep(_BETWEEN_LOOKS)
        raise BrokenError(
            f"no such event within {timeout:g} s: {json.dumps(events, indent=1)[-6000:]}"
        )

    def kill(self, service: str) -> None:
        """End a service's process as the kernel does when memory runs out (SIGKILL).

        Returns once the supervisor has started another one.
        """
        pid = self.service_pid(service)
        os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + _READY_SECONDS
        while self._other_than(pid, service) is None:
            if time.monotonic() > end:
                raise BrokenError(f"{service} was not started again", f"read {self.log}")
            time.sleep(_BETWEEN_LOOKS)

    def _other_than(self, pid: int, service: str) -> int | None:
        with contextlib.suppress(BrokenError):
            found = self.service_pid(service)
            return found if found != pid else None
        return None

    def service_pid(self, service: str) -> int:
        """The process of `controller`, `dhcp`, `tftp`, `dns`, `http`; BrokenError if none runs."""
        wanted = f"ironwake_{service}"
        supervisor = self._process.pid if self._process else -1
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and _is_service(entry, wanted, supervisor):
                return int(entry.name)
        raise BrokenError(f"no process of {service} is running", f"read {self.log}")


_FOLLOWERS = ("dhcp", "tftp", "dns", "http")


def _is_service(entry: Path, module: str, supervisor: int) -> bool:
    try:
        words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
        parent = process.parent(int(entry.name))
    except OSError:  # it ended meanwhile
        return False
    return module in words and parent == supervisor
