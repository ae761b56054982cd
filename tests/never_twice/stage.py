"""What all rigs of one process share: it takes long to build, and keeps nothing of them."""

from __future__ import annotations

import asyncio
import atexit
import functools
import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx2
from starlette.types import ASGIApp

from ironwake.artifact import Manifest
from ironwake_controller import app, house
from ironwake_controller.house import House
from ironwake_controller.tokens import Tokens
from ironwake_runtime.artifacts import ArtifactStore
from ironwake_runtime.reply import Reply
from ironwake_testing.memory import new_folder
from tests.controller.appliance import ADMIN, LOG, SERVICE, FakeClock, Power, add_media, settings

_SEEN = "/observations"
PROFILES = {
    "web": "release: debian-12\n",
    "installer": "release: debian-12\nmethod: script\nexpected_reboots: 1\n",
}
# A loader for each rung, on BIOS and on UEFI.
_LOADERS = (
    "sb/shimx64.efi",
    "ipxe/undionly.kpxe",
    "ipxe/snponly.efi",
    "pxelinux/lpxelinux.0",
)
SUBNETS = "subnets: [{network: 10.77.0.0/24, pools: [10.77.0.100-10.77.0.102]}]\n"


@dataclass
class Current:
    """Stands for the controller that runs now: routes take long to build, a controller does not."""

    house: House | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.house, name)


@dataclass(frozen=True)
class Stage:
    """A loop, the controller's routes, media, profiles and subnets."""

    loop: asyncio.AbstractEventLoop
    current: Current
    app: ASGIApp
    artifacts: Path
    profiles: Path
    subnets: Path
    empty: Path  # a database without machines, at the present schema


@functools.cache
def stage() -> Stage:
    """Made once per process, and taken down with it."""
    folder = new_folder()
    profiles, subnets = folder / "profiles", folder / "subnets.yaml"
    profiles.mkdir()
    subnets.write_text(SUBNETS)
    for name, text in PROFILES.items():
        (profiles / f"{name}.yaml").write_text(text)
    _add_media(folder / "artifacts")
    given = settings(folder / "state", artifacts_dir=folder / "artifacts", profiles_dir=profiles)
    first = house.build(given, LOG, FakeClock(), Power().sender)
    current = Current(first)
    routes = app.build(cast(House, current), Tokens.of(ADMIN, SERVICE))
    first.close()
    database = folder / "state" / "ironwake.sqlite"
    with sqlite3.connect(database) as connection:
        connection.execute("DELETE FROM meta")
    connection.close()
    loop = asyncio.new_event_loop()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(loop.close)
    return Stage(loop, current, routes, folder / "artifacts", profiles, subnets, database)


def _add_media(folder: Path) -> None:
    add_media(folder)
    store = ArtifactStore(folder)
    artifacts = {role: store.add_bytes(role.encode()) for role in _LOADERS}
    files = {role: role for role in _LOADERS}
    built = "2026-01-02T03:04:05Z"
    store.publish(Manifest("loaders", "loaders", built, "f" * 64, artifacts, files))


class Line:
    """The way from the services to the controller: it can be cut, and it can lose replies."""

    def __init__(self, there: Stage) -> None:
        self._there = there
        transport = httpx2.ASGITransport(app=there.app)
        self._http = httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080")
        self.cut = False
        self.lose = 0  # replies from now on, of calls that were carried out

    async def call(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None = None
    ) -> Reply:
        if self.cut or self._there.current.house is None:
            raise ConnectionError("nobody answers")
        reply = await self._http.request(method, path, headers=headers, content=body)
        # Only what was said is lost: questions about the view are asked again and again.
        if self.lose and method == "POST" and not path.endswith(_SEEN):
            self.lose -= 1
            raise ConnectionError("the line broke")
        return Reply(reply.status_code, reply.content)

    async def close(self) -> None:
        await self._http.aclose()
