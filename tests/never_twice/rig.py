"""The whole appliance but its sockets to the network: one loop, one simulated clock, real parts.

The controller is built anew at each start, on the database that is there; its routes are reached by
the services' own client over ASGI. The http service listens on loopback, where each client has an
address of its own. DHCP and TFTP are the decisions behind their sockets.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import itertools
import shutil
import sqlite3
import struct
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, cast

import httpx2
import structlog
from starlette.types import ASGIApp

from ironwake import wire
from ironwake.errors import IronwakeError
from ironwake.firmware import Firmware
from ironwake.mac import Mac
from ironwake.report import Observation, Seen
from ironwake.view import Index, View
from ironwake_controller import app, house
from ironwake_controller.house import House
from ironwake_controller.tokens import Tokens
from ironwake_dhcp.delivery import Source
from ironwake_dhcp.exchange import Exchange, Now
from ironwake_dhcp.offer import Door
from ironwake_http.hold import Patience
from ironwake_http.limits import Limits
from ironwake_http.ports import listen
from ironwake_http.server import serving
from ironwake_http.service import Service
from ironwake_http.witness import Witness
from ironwake_runtime.artifacts import ArtifactStore
from ironwake_runtime.controller import ControllerClient
from ironwake_tftp.files import File, Registry
from ironwake_tftp.packet import Mode
from tests.controller.appliance import ADMIN, LOG, SERVICE, FakeClock, Power, add_media, settings

_MEMORY = Path("/dev/shm")
_SEEN = "/observations"
_URL = "http://127.0.0.1:8080"
_QUIET = structlog.wrap_logger(
    structlog.PrintLogger(), wrapper_class=structlog.make_filtering_bound_logger(50)
)


@dataclass
class Current:
    """Stands for the controller that runs now: routes take long to build, a controller does not."""

    house: House | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.house, name)


@dataclass(frozen=True)
class Stage:
    """What all rigs of one process share: a loop, the controller's routes, media and profiles."""

    loop: asyncio.AbstractEventLoop
    current: Current
    app: ASGIApp
    artifacts: Path
    profiles: Path
    empty: Path  # a database without machines, at the present schema


def workshop() -> Path:
    """A new folder, in memory where there is such a place."""
    place = _MEMORY if _MEMORY.is_dir() else None
    return Path(tempfile.mkdtemp(prefix="ironwake-never-twice-", dir=place))


@functools.cache
def stage() -> Stage:
    """Made once per process, and taken down with it."""
    folder = workshop()
    profiles = folder / "profiles"
    profiles.mkdir()
    (profiles / "web.yaml").write_text("release: debian-12\n")
    (profiles / "installer.yaml").write_text("release: debian-12\nmethod: script\n")
    add_media(folder / "artifacts")
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
    return Stage(loop, current, routes, folder / "artifacts", profiles, database)


class Line(httpx2.AsyncBaseTransport):
    """The way from the services to the controller: it can be cut, and it can lose replies."""

    def __init__(self, there: Stage) -> None:
        self._there = there
        self._inner = httpx2.ASGITransport(app=there.app)
        self.cut = False
        self.lose = 0  # replies from now on, of calls that were carried out

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if self.cut or self._there.current.house is None:
            raise httpx2.ConnectError("nobody answers")
        reply = await self._inner.handle_async_request(request)
        await reply.aread()
        # Only what was said is lost: questions about the view are asked again and again.
        if self.lose and request.method == "POST" and not request.url.path.endswith(_SEEN):
            self.lose -= 1
            raise httpx2.ReadError("the line broke")
        return reply


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
    """One appliance. `neighbours`: which card has which loopback address."""

    neighbours: dict[str, Mac]
    clock: FakeClock = field(default_factory=FakeClock)
    folder: Path = field(default_factory=workshop)
    reports: list[Observation] = field(default_factory=list)
    views: list[View] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stage = stage()
        self.state = self.folder / "state"
        self.state.mkdir()
        shutil.copy(self.stage.empty, self.state / "ironwake.sqlite")
        (self.folder / "service.token").write_text(SERVICE)
        self.settings = settings(
            self.state, artifacts_dir=self.stage.artifacts, profiles_dir=self.stage.profiles
        )
        self.line = Line(self.stage)
        self.index: Index | None = None
        self._numbers = itertools.count()
        self._open = AsyncExitStack()
        self.start()
        self.run(self._listen())

    def run(self, work: Any) -> Any:
        """Run it to its end in the loop that all share."""
        return self.stage.loop.run_until_complete(work)

    async def _listen(self) -> None:
        store = ArtifactStore(self.stage.artifacts)
        self._person = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=self.stage.app), base_url=_URL
        )
        http = httpx2.AsyncClient(transport=self.line, base_url=_URL)
        self.client = ControllerClient(_URL, self.folder / "service.token", http)
        self._open.push_async_callback(self._person.aclose)
        self._open.push_async_callback(self.client.close)
        self.exchange = Exchange(self._report)
        self.registry = Registry(lambda item: store.path(item.sha256).read_bytes())
        self.service = Service(
            controller=self.client,
            store=store,
            witness=Witness(self._report, self.neighbours.get, self.clock.monotonic),
            log=_QUIET,
            limits=Limits(),
            patience=Patience(pauses=(0.0, 0.0)),
        )
        sock = listen("127.0.0.1", 0)
        self.port = sock.getsockname()[1]
        await self._open.enter_async_context(serving(self.service, sock))

    def close(self) -> None:
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
        view: View = self.run(self.client.view(after))
        self.views.append(view)
        self.take(view)

    def take(self, view: View) -> None:
        """Go by this view from now on, old or new."""
        self.index = Index(view)
        self.service.take(self.index)
        self.exchange.take(self.index)

    def _report(
        self, seen: Seen, mac: str = "", client: str = "", detail: dict[str, str] | None = None
    ) -> None:
        name = f"rig-{next(self._numbers)}"
        self.reports.append(Observation(name, "rig", seen, mac, client, detail or {}))

    def tell(self) -> None:
        """Send what was seen; it stays where the controller is away."""
        try:
            if self.reports:
                self.run(self.client.observe(tuple(self.reports)))
        except IronwakeError:
            return
        self.reports.clear()

    def discover(self, mac: Mac, firmware: Firmware, uuid: bytes) -> bool:
        """The firmware's first words; whether it was offered anything."""
        source = Source(IPv4Address(0), 68, Door.SERVER)
        now = Now(self.clock.monotonic(), self.clock.wall().timestamp())
        return self.exchange.receive(discover(mac, firmware, uuid), source, now) is not None

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


def discover(mac: Mac, firmware: Firmware, uuid: bytes) -> bytes:
    """A DHCPDISCOVER of such firmware (RFC 2131 section 2, RFC 4578)."""
    head = struct.pack("!4BIHH", 1, 1, 6, 0, 0x1234, 0, 0x8000) + bytes(16)
    kind = f"{firmware.vendor_class}:Arch:{firmware.option_93[0]:05d}:UNDI:003000".encode()
    rows = [
        (53, b"\x01"),
        (60, kind),
        (93, firmware.option_93[0].to_bytes(2, "big")),
        (97, b"\0" + uuid),
    ]
    if firmware.ipxe:
        rows += [(77, b"iPXE"), (175, b"\x12\x01\x01\x13\x01\x01\x17\x01\x01\x24\x01\x01")]
    options = b"".join(bytes((code, len(value))) + value for code, value in rows)
    return head + mac.packed + bytes(10 + 64 + 128) + b"\x63\x82\x53\x63" + options + b"\xff"
