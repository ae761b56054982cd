"""A whole http service on a loopback port, with a controller and a clock that a test can hold."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import structlog

from ironwake.artifact import Artifact, Manifest
from ironwake.deployment import Deployment
from ironwake.errors import BrokenError, IronwakeError
from ironwake.lifecycle import State
from ironwake.mac import Mac
from ironwake.machine import Machine
from ironwake.names import HostName
from ironwake.profile import Method, Profile
from ironwake.release import find
from ironwake.report import Callback, ClaimRequest, Grant, HealthReport, Seen
from ironwake.site import Shelf, Site, Stored
from ironwake.view import Entry, Index, View
from ironwake_http.captures import Captures
from ironwake_http.hold import Patience
from ironwake_http.limits import Limits
from ironwake_http.ports import listen
from ironwake_http.server import serving
from ironwake_http.service import Service
from ironwake_http.witness import Witness
from ironwake_runtime.artifacts import ArtifactStore
from ironwake_testing import memory

ARMED, PRESEED, IDLE = Mac("52:54:00:77:00:10"), Mac("52:54:00:77:00:11"), Mac("52:54:00:77:00:12")
SECOND = Mac("52:54:00:77:00:13")  # of the machine that has IDLE, too
STRANGER = Mac("52:54:00:77:00:99")
TOKEN, PRESEED_TOKEN, HEALTH = "a1" * 32, "b2" * 32, "c3" * 32
UNKNOWN_TOKEN = "d4" * 32
KERNEL, INITRD, ARCHIVE = b"kernel" * 1000, b"initrd" * 5000, bytes(range(256)) * 12000
TOOLS = b"tools" * 3000
SHIM, GRUB = b"MZ shim" * 100, b"MZ grub" * 200
HIDDEN = b"bytes in the store that are on no shelf"
LARGE = Stored("debian-12", "archive", "5" * 64, 64 << 20, "big")  # more than sockets' buffers
LOADER, ALIVE = "/sb/shimx64.efi", "/healthz"  # of whom a carrier sends one


class Controller:
    """Answers from `grants`; is away as often as `away` says. Notes all that it was told."""

    def __init__(self) -> None:
        self.away = 0
        self.error: IronwakeError | None = None
        self.claims: list[ClaimRequest] = []
        self.callbacks: list[tuple[str, Callback]] = []
        self.reports: list[tuple[str, HealthReport]] = []
        self.attempts = 0

    def _answer(self) -> None:
        self.attempts += 1
        if self.away > 0:
            self.away -= 1
            raise BrokenError("the controller does not answer")
        if self.error is not None:
            raise self.error

    async def claim(self, request: ClaimRequest) -> Grant:
        self._answer()
        self.claims.append(request)
        return Grant("application/json", '{"order": "ü"}')

    async def callback(self, token: str, callback: Callback) -> None:
        self._answer()
        self.callbacks.append((token, callback))

    async def health(self, health_token: str, report: HealthReport) -> None:
        self._answer()
        self.reports.append((health_token, report))


@dataclasses.dataclass(frozen=True)
class Observed:
    seen: Seen
    mac: str
    client: str
    detail: dict[str, str]


class Reporter:
    """Keeps observations instead of sending them."""

    def __init__(self) -> None:
        self.items: list[Observed] = []
        self._more = asyncio.Event()

    def __call__(
        self, seen: Seen, mac: str = "", client: str = "", detail: dict[str, str] | None = None
    ) -> None:
        self.items.append(Observed(seen, mac, client, detail or {}))
        self._more.set()

    def of(self, seen: Seen) -> list[Observed]:
        return [item for item in self.items if item.seen is seen]

    async def first(self, seen: Seen) -> Observed:
        """Waits for it; a minute is an end for a broken run, never a measure."""
        async with asyncio.timeout(60):
            while not self.of(seen):
                self._more.clear()
                await self._more.wait()
        return self.of(seen)[0]


@dataclasses.dataclass(frozen=True)
class Reply:
    """A reply as it was on the wire: header names are not touched, in order."""

    status: int
    fields: tuple[tuple[str, str], ...]
    body: bytes

    def field(self, name: str) -> str | None:
        """By the exact spelling, as GRUB compares it."""
        return next((value for key, value in self.fields if key == name), None)


class Rig:
    """The running service's address, and everything that a test may look at."""

    def __init__(self, service: Service, controller: Controller, reporter: Reporter, port: int):
        self.service = service
        self.controller = controller
        self.reporter = reporter
        self.port = port
        self.shelf = Shelf()

    async def ask(
        self,
        target: str | bytes,
        method: str = "GET",
        fields: tuple[str, ...] = (),
        body: bytes = b"",
    ) -> Reply:
        """One request on a connection of its own."""
        raw = target if isinstance(target, bytes) else target.encode()
        length = (f"Content-Length: {len(body)}",) if body or method in ("POST", "PUT") else ()
        lines = (b"Host: appliance", *(line.encode() for line in (*fields, *length)))
        head = b"%s %s HTTP/1.1\r\n" % (method.encode(), raw)
        return await self.say(head + b"".join(b"%s\r\n" % line for line in lines) + b"\r\n" + body)

    async def say(self, raw: bytes) -> Reply:
        """Send bytes, read one reply by its length, close."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(raw)
            return await read_reply(reader, head=raw.startswith(b"HEAD"))
        finally:
            writer.close()

    def path(self, manifest: str, role: str) -> str:
        item = self.shelf.find(manifest, role)
        assert item is not None
        return f"/artifacts/{item.sha256}/{item.file}"


def request(target: str, *fields: str) -> bytes:
    """To ask for it with GET."""
    return "\r\n".join((f"GET {target} HTTP/1.1", "Host: a", *fields, "", "")).encode()


async def read_reply(reader: asyncio.StreamReader, head: bool = False) -> Reply:
    """A reply whose body ends by its Content-Length; strict about everything that GRUB needs."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    status = int(lines[0].split(" ")[1])
    fields = tuple((line.partition(": ")[0], line.partition(": ")[2]) for line in lines[1:] if line)
    length = next((int(value) for name, value in fields if name == "Content-Length"), 0)
    body = b"" if head or status in (204, 304) else await reader.readexactly(length)
    return Reply(status, fields, body)


def run(
    test: Callable[[Rig], Coroutine[Any, Any, None]],
    *,
    limits: Limits | None = None,
    view: bool = True,
    patience: Patience | None = None,
    neighbour: Callable[[str], Mac | None] = lambda _: None,
) -> None:
    """Run a test against a service of its own."""

    async def whole() -> None:
        async with started(limits or Limits(), view, patience, neighbour) as rig:
            await test(rig)

    asyncio.run(whole())


@asynccontextmanager
async def started(
    limits: Limits,
    view: bool,
    patience: Patience | None,
    neighbour: Callable[[str], Mac | None],
) -> AsyncIterator[Rig]:
    with memory.folder() as folder:
        store = ArtifactStore(folder)
        controller, reporter = Controller(), Reporter()
        service = Service(
            controller=controller,
            store=store,
            captures=Captures(folder / "captures", 64 << 20, reserve=0),
            witness=Witness(reporter, neighbour, lambda: 0.0),
            log=structlog.stdlib.get_logger(),
            limits=limits,
            patience=patience or Patience(pauses=(0.0,) * 3),
        )
        sock = listen("127.0.0.1", 0)
        rig = Rig(service, controller, reporter, sock.getsockname()[1])
        rig.shelf = stocked(store)
        if view:
            service.take(Index(view_of(rig.shelf)))
        async with serving(service, sock):
            yield rig


def stocked(store: ArtifactStore) -> Shelf:
    """A store with all kinds of artifacts, and one that belongs to nothing."""
    put(store, HIDDEN)
    parts = {
        "loaders": {"sb/shimx64.efi": SHIM, "sb/grubx64.efi": GRUB, "ipxe/undionly.kpxe": b"ipxe"},
        "ramdisk-generic": {"kernel": KERNEL, "initrd": INITRD, "tools": TOOLS},
        "debian-12": {
            "archive": ARCHIVE,
            "installer-kernel": KERNEL[::-1],
            "installer-initrd": INITRD[::-1],
        },
    }
    return Shelf.of(_manifest(store, name, roles) for name, roles in parts.items())


def stock_large(rig: Rig) -> str:
    """LARGE, and nothing else, is there; its path."""
    path = rig.service.store.path(LARGE.sha256)
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        file.truncate(LARGE.size)
    rig.service.take(Index(View(1, Site("192.0.2.10", 24), Shelf((LARGE,)))))
    return f"/artifacts/{LARGE.sha256}/{LARGE.file}"


def put(store: ArtifactStore, data: bytes) -> Artifact:
    """Bytes where the store looks for them, without its fsync."""
    artifact = Artifact(hashlib.sha256(data).hexdigest(), len(data))
    path = store.path(artifact.sha256)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return artifact


def _manifest(store: ArtifactStore, name: str, roles: dict[str, bytes]) -> Manifest:
    kinds = {"loaders": "loaders", "ramdisk-generic": "ramdisk"}
    return Manifest(
        name,
        kinds.get(name, "media"),
        "2026-01-02T03:04:05Z",
        "0" * 64,
        {role: put(store, data) for role, data in roles.items()},
        {role: role.rpartition("/")[2] for role in roles},
    )


def view_of(shelf: Shelf) -> View:
    """One machine armed for each method, and one with nothing to do."""
    rows = (
        ("armed", ARMED, TOKEN, Method.ARCHIVE),
        ("preseed", PRESEED, PRESEED_TOKEN, Method.SCRIPT),
    )
    entries = tuple(
        Entry(
            Machine(HostName(name), (mac,)),
            Deployment(
                id=f"d-{name}",
                machine=name,
                profile_name="web",
                revision="1" * 64,
                profile=Profile("debian-12", method),
                state=State.ARMED,
                token=token,
                health_token=HEALTH,
                release=find("debian-12"),
            ),
        )
        for name, mac, token, method in rows
    )
    idle = Entry(Machine(HostName("idle"), (IDLE, SECOND)), address="127.0.0.1")
    return View(1, Site("192.0.2.10", 24), shelf, (*entries, idle))
