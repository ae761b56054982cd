"""A controller on a real database in a folder, with clocks that stand still, and a caller."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import structlog

from ironwake import wire
from ironwake.artifact import Manifest
from ironwake.errors import BrokenError
from ironwake.mac import Mac
from ironwake.report import Callback, ClaimRequest, HealthReport, Observation, Observations
from ironwake.site import Policy
from ironwake.view import Index, View
from ironwake_controller import app, house
from ironwake_controller.house import House
from ironwake_controller.power.driver import Outcome
from ironwake_controller.power.job import Job
from ironwake_controller.power.switchboard import Hands
from ironwake_controller.store import events
from ironwake_controller.store.events import Event
from ironwake_controller.tokens import Tokens
from ironwake_controller.wake.packets import Magic, Send
from ironwake_runtime.artifacts import ArtifactStore
from ironwake_runtime.settings import Settings, read

ADMIN, SERVICE = "a" * 64, "5" * 64
MAC = "52:54:00:77:00:10"
CLIENT = "10.77.0.100"
LOG = structlog.get_logger()


@dataclass
class FakeClock:
    """Moves only when told."""

    boot: str = "boot-1"
    steady: float = 1000.0
    day: datetime = field(default_factory=lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))

    def monotonic(self) -> float:
        return self.steady

    def wall(self) -> datetime:
        return self.day

    def pass_time(self, seconds: float) -> None:
        self.steady += seconds
        self.day += timedelta(seconds=seconds)


@dataclass
class Power:
    """Stands for the network that magic packets go to."""

    sent: list[Magic] = field(default_factory=list)
    broken: str = ""

    def sender(self, _policy: Callable[[], Policy]) -> Send:
        def send(magic: Magic) -> None:
            if self.broken:
                raise BrokenError(self.broken)
            self.sent.append(magic)

        return send

    @property
    def woken(self) -> list[Mac]:
        """The first card of whoever was woken, turn by turn."""
        return [magic.macs[0] for magic in self.sent]


class NoHands:
    """Remote power drivers that are never asked: no test may start a process unawares."""

    def carry_out(self, job: Job) -> Outcome:
        raise AssertionError(f"nobody asked for {job}")

    def close(self) -> None:
        """Nothing is at work."""


def settings(folder: Path, **overrides: Any) -> Settings:
    given = {"state_dir": folder, "address": "10.77.0.2", "mirror": "http://mirror.example/debian"}
    return read({}, **{**given, **overrides})


def add_media(folder: Path) -> None:
    """What `ironwake media add` would publish, in small."""
    store = ArtifactStore(folder)
    for name, kind, roles in (
        ("ramdisk-generic", "ramdisk", ("kernel", "initrd", "tools")),
        ("loaders", "loaders", ("sb/shimx64.efi", "ipxe/undionly.kpxe")),
        (
            "debian-12",
            "media",
            ("archive", "layout-packages", "installer-kernel", "installer-initrd"),
        ),
    ):
        artifacts = {role: store.add_bytes(f"{name} {role}".encode()) for role in roles}
        files = {role: role for role in roles}
        built, facts = "2026-01-02T03:04:05Z", {"unpacked_bytes": 900_000_000}
        store.publish(Manifest(name, kind, built, "f" * 64, artifacts, files, facts))


class Appliance:
    """One controller. `close` before opening another one on the same folder."""

    def __init__(
        self,
        folder: Path,
        clock: FakeClock | None = None,
        media: bool = True,
        hands: Hands | None = None,
        **overrides: Any,
    ) -> None:
        self.folder = folder
        self.clock = clock or FakeClock()
        self.power = Power()
        self.settings = settings(folder, **overrides)
        self.settings.profiles.mkdir(parents=True, exist_ok=True)
        if media:
            add_media(self.settings.artifacts)
        self.profile("web", "release: debian-12\n")
        self.house: House = house.build(
            self.settings, LOG, self.clock, self.power.sender, hands or NoHands()
        )
        self.app = app.build(self.house, Tokens.of(ADMIN, SERVICE))
        self._ids = itertools.count()

    def close(self) -> None:
        self.house.close()

    def die(self) -> None:
        """End as a crash would: nothing is said to the disk."""
        self.house.store.engine.dispose()
        self.house.lock.close()

    def profile(self, name: str, text: str) -> None:
        (self.settings.profiles / f"{name}.yaml").write_text(text)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        token: str = "",
        headers: dict[str, str] | None = None,
        raw: bytes | None = None,
    ) -> httpx2.Response:
        """One call over ASGI; the token that fits the path, unless one is given."""
        own = SERVICE if path.startswith("/internal") else ADMIN
        headers = {"authorization": f"Bearer {token or own}", **(headers or {})}
        content = wire.encode(body) if raw is None and body is not None else raw

        async def send() -> httpx2.Response:
            transport = httpx2.ASGITransport(app=self.app)
            async with httpx2.AsyncClient(
                transport=transport, base_url="http://127.0.0.1:8080"
            ) as client:
                return await client.request(method, path, content=content, headers=headers)

        return asyncio.run(send())

    def good(self, method: str, path: str, body: Any = None) -> Any:
        """A call that must work; its document."""
        reply = self.call(method, path, body)
        assert reply.status_code < 400, reply.text
        return reply.json() if reply.content else None

    def enrol(self, name: str = "node1", *macs: str, **more: Any) -> Any:
        return self.good("POST", "/v1/machines", {"name": name, "macs": macs or (MAC,), **more})

    def deploy(self, name: str = "node1", **more: Any) -> Any:
        return self.good("POST", f"/v1/machines/{name}/deploy", {"profile": "web", **more})

    def view(self) -> View:
        return wire.decode(View, self.call("GET", "/internal/view").content)

    def tokens(self) -> tuple[str, str]:
        """The deployment's token and its health token, as the data plane knows them."""
        entry = Index(self.view()).by_name("node1")
        assert entry is not None
        assert entry.deployment is not None
        return entry.deployment.token, entry.deployment.health_token

    def claim(
        self, token: str, client: str = CLIENT, boot: str = "", mac: str = ""
    ) -> httpx2.Response:
        return self.call("POST", "/internal/claims", ClaimRequest(token, client, boot, mac))

    def report(self, token: str, callback: Callback) -> httpx2.Response:
        return self.call("POST", f"/internal/deployments/{token}/callbacks", callback)

    def healthy(self, health_token: str) -> httpx2.Response:
        report = HealthReport("node1", "Debian GNU/Linux 12", "6.1.0-50-amd64")
        return self.call("POST", f"/internal/health/{health_token}", report)

    def see(self, seen: Any, mac: str = MAC, client: str = "", **detail: str) -> None:
        item = Observation(f"t-{next(self._ids)}", "dhcp", seen, mac, client, detail)
        reply = self.call("POST", "/internal/observations", Observations((item,)))
        assert reply.status_code == 204, reply.text

    def state(self, name: str = "node1") -> str:
        return str(self.good("GET", f"/v1/machines/{name}")["state"])

    def history(self) -> tuple[Event, ...]:
        with self.house.store.read() as connection:
            return events.after(connection, limit=100_000)

    def kinds(self) -> list[str]:
        return [event.kind for event in self.history()]


Opened = Callable[..., Appliance]
