"""The whole appliance but its sockets to the network: one loop, one simulated clock, real parts.

The controller is built anew at each start, on the database that is there; its routes are reached by
the services' own client over ASGI. The http service listens on loopback, where each client has an
address of its own. DHCP and TFTP are the decisions behind their sockets.
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
import sqlite3
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import structlog

from ironwake import wire
from ironwake.errors import IronwakeError
from ironwake.mac import Mac
from ironwake.report import Observation, Seen
from ironwake.view import Index, Pieces, View, ViewChange
from ironwake_controller import house
from ironwake_controller.house import House
from ironwake_http.captures import Captures
from ironwake_http.hold import Patience
from ironwake_http.limits import Limits
from ironwake_http.ports import listen
from ironwake_http.server import serving
from ironwake_http.service import Service
from ironwake_http.witness import Witness
from ironwake_runtime.artifacts import ArtifactStore
from ironwake_runtime.controller import ControllerClient
from ironwake_runtime.settings import Settings
from ironwake_testing.memory import new_folder
from ironwake_tftp.files import File, Registry
from ironwake_tftp.packet import Mode
from tests.controller.appliance import ADMIN, SERVICE, FakeClock, Power, settings
from tests.never_twice.dhcp import Dhcp
from tests.never_twice.stage import Line, stage

_URL = "http://127.0.0.1:8080"
_QUIET = structlog.wrap_logger(
    structlog.PrintLogger(), wrapper_class=structlog.make_filtering_bound_logger(50)
)


@dataclass(frozen=True)
class Reply:
    """The http service's: status and body."""

    status: int
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass
class Rig:
    """One appliance. `neighbours`: which card has which loopback address.

    `serves`: it is the DHCP server here; its leases lie apart from what is backed up.
    """

    neighbours: dict[str, Mac]
    serves: bool = False
    clock: FakeClock = field(default_factory=FakeClock)
    folder: Path = field(default_factory=new_folder)
    reports: list[Observation] = field(default_factory=list)
    views: list[View] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stage = stage()
        self.state = self.folder / "state"
        self.state.mkdir()
        shutil.copy(self.stage.empty, self.state / "ironwake.sqlite")
        (self.folder / "service.token").write_text(SERVICE)
        self.quirks = self.folder / "quirks.yaml"
        self.settings = self._settings(
            self.state,
            artifacts_dir=self.stage.artifacts,
            profiles_dir=self.stage.profiles,
            quirks_file=self.quirks,
        )
        self.line = Line(self.stage)
        self.index: Index | None = None
        self._pieces = Pieces()
        self._numbers = itertools.count()
        self._open = AsyncExitStack()
        self.start()
        self.run(self._listen())
        self.dhcp = Dhcp(
            self.dhcp_settings, self.client, self._report, self.clock, self.run, _QUIET
        )

    def _settings(self, folder: Path, **own: Any) -> Settings:
        serving = {"dhcp_mode": "server", "dhcp_subnets": self.stage.subnets}
        return settings(folder, **own, **(serving if self.serves else {}))

    def run(self, work: Any) -> Any:
        """Run it to its end in the loop that all share."""
        return self.stage.loop.run_until_complete(work)

    async def _listen(self) -> None:
        store = ArtifactStore(self.stage.artifacts)
        self._person = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=self.stage.app), base_url=_URL
        )
        self.client = ControllerClient(_URL, self.folder / "service.token", self.line)
        self._open.push_async_callback(self._person.aclose)
        self._open.push_async_callback(self.client.close)
        # Where "another DHCP server" would be looked for, there is no network.
        alone = {"interface": "lo", "dhcp_beside": True, "dhcp_authoritative": True}
        self.dhcp_settings = self._settings(self.folder / "dhcp", **alone)
        self.registry = Registry(lambda item: store.path(item.sha256).read_bytes())
        self.service = Service(
            controller=self.client,
            store=store,
            captures=Captures(self.folder / "captures"),
            witness=Witness(self._report, self.neighbours.get, self.clock.monotonic),
            log=_QUIET,
            limits=Limits(),
            patience=Patience(pauses=(0.0, 0.0)),
        )
        sock = listen("127.0.0.1", 0)
        self.port = sock.getsockname()[1]
        await self._open.enter_async_context(serving(self.service, sock))

    def close(self) -> None:
        self.dhcp.die()
        self.run(self._open.aclose())
        self.stop(orderly=False)
        shutil.rmtree(self.folder)

    # The controller

    @property
    def house(self) -> House:
        found = self.stage.current.house
        assert found is not None
        return found

    def start(self) -> None:
        self.stage.current.house = house.build(self.settings, _QUIET, self.clock, Power().sender)

    def stop(self, orderly: bool) -> None:
        """Stop it, or let it die without a word to the disk."""
        gone = self.house
        self.stage.current.house = None
        if orderly:
            gone.close()
        else:
            gone.store.engine.dispose()
            gone.lock.close()

    def person(self, method: str, path: str, body: Any = None) -> httpx2.Response:
        """Somebody with the admin token calls the API."""
        headers = {"authorization": f"Bearer {ADMIN}"}
        content = None if body is None else wire.encode(body)
        reply: httpx2.Response = self.run(
            self._person.request(method, path, content=content, headers=headers)
        )
        return reply

    def copy_database(self, aside: Path) -> None:
        """A consistent copy, as a backup makes it."""
        aside.mkdir(parents=True)
        source = sqlite3.connect(self.state / "ironwake.sqlite")
        target = sqlite3.connect(aside / "ironwake.sqlite")
        source.backup(target)
        target.close()
        source.close()

    def copy_folder(self, aside: Path) -> None:
        shutil.copytree(self.state, aside)

    def put_back(self, aside: Path) -> None:
        """Restore a copy, of whichever kind. The controller must be stopped."""
        shutil.rmtree(self.state)
        shutil.copytree(aside, self.state)

    # The data plane

    def follow(self) -> None:
        """As the services' followers do: take the controller's view when it is another one."""
        after = self.index.view.version if self.index else -1
        if self.line.cut or self.stage.current.house is None or self.house.store.version == after:
            return  # a long poll would wait now
        change: ViewChange = self.run(self.client.changes(after))
        view = self._pieces.take(change)
        self.views.append(view)
        self._take(view)

    def start_with(self, view: View) -> None:
        """As services that find this view on their disks."""
        self._pieces = Pieces(view)
        self._take(view)

    def _take(self, view: View) -> None:
        self.index = Index(view)
        self.service.take(self.index)
        self.dhcp.take(self.index)

    def _report(
        self, seen: Seen, mac: str = "", client: str = "", detail: dict[str, str] | None = None
    ) -> None:
        name = f"rig-{next(self._numbers)}"
        self.reports.append(Observation(name, "rig", seen, mac, client, detail or {}))

    def tell(self) -> None:
        """Send what was seen, and who has which address; it stays where the controller is away."""
        try:
            self.dhcp.tell()
            if self.reports:
                self.run(self.client.observe(tuple(self.reports)))
        except IronwakeError:
            return
        self.reports.clear()

    def tftp(self, name: str, mac: Mac) -> bytes | None:
        found = self.registry.open(name, Mode.OCTET, "10.77.0.99", mac, self.index)
        return found.content if isinstance(found, File) else None

    def http(
        self, client: str, target: str, method: str = "GET", boot: str = "", body: bytes = b""
    ) -> Reply:
        """One request from this loopback address, on a connection of its own."""
        fields = [f"{method} {target} HTTP/1.1", "Host: appliance", f"Content-Length: {len(body)}"]
        if boot:
            fields.append(f"X-Ironwake-Boot: {boot}")
        raw = "\r\n".join(fields).encode() + b"\r\n\r\n" + body
        reply: Reply = self.run(self._say(client, raw))
        return reply

    async def _say(self, client: str, raw: bytes) -> Reply:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, local_addr=(client, 0)
        )
        try:
            writer.write(raw)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            status = int(head[0].split(" ")[1])
            length = next(
                (int(v) for k, _, v in (h.partition(": ") for h in head) if k == _LENGTH), 0
            )
            return Reply(status, await reader.readexactly(0 if status == 204 else length))
        finally:
            writer.close()


_LENGTH = "Content-Length"
