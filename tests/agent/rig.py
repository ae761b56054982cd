"""Stand-ins to hold: an order, a runner that records, a clock, an appliance on loopback."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ironwake.disk import Disk
from ironwake.layout.identity import Identity
from ironwake.layout.model import Layout
from ironwake.layout.usual import usual
from ironwake.layout.work import Target, Work, work
from ironwake.mac import Mac
from ironwake.names import DomainName, HostName, KernelWord, UserName
from ironwake.order import Archive, Order
from ironwake.parameters import User
from ironwake_agent.commands import CommandError
from ironwake_agent.patience import Patience

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJhc2U2NHRoaW5nc2FyZW5pY2U me@laptop"
CONSOLES = (KernelWord("console=tty0"), KernelWord("console=ttyS0,115200"))
DISK = Disk("/dev/vda", 4 << 30, serial="S1")


def work_on(disk: Disk = DISK, *, uefi: bool, layout: Layout | None = None) -> Work:
    """What a layout, by default the usual one, means on that disk."""
    target = Target((disk,), uefi, "x86_64", Identity("d-1"), erase=disk.names)
    return work(layout or usual(), target)


UEFI, BIOS = work_on(uefi=True), work_on(uefi=False)
ROOT_UUID = UEFI.boot.uuid

ORDER = Order(
    deployment="d-1",
    machine=HostName("node1"),
    domain=DomainName("site.example"),
    mac=Mac("52:54:00:77:00:10"),
    layout=usual(),
    erase=(),
    least_disk=2 << 30,
    callbacks="http://192.0.2.10/deployments/t/callbacks",
    health="http://192.0.2.10/health/h",
    archive=Archive("http://192.0.2.10/artifacts/x", "0" * 64, 1, 1),
    users=(User(UserName("admin"), (KEY,)),),
)


def order(**changes: object) -> Order:
    return replace(ORDER, **changes)  # type: ignore[arg-type]


@dataclass
class Recorder:
    """A runner that runs nothing: remembers the words, answers from `answers` by program."""

    answers: dict[str, str] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    calls: list[tuple[str, ...]] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    wants: Callable[[tuple[str, ...]], str | None] = lambda _: None

    def __call__(self, *words: str, stdin: str = "", timeout: float = 300.0) -> str:  # noqa: ARG002
        self.calls.append(words)
        self.inputs.append(stdin)
        if words[0] in self.broken:
            raise CommandError(self.broken[words[0]])
        special = self.wants(words)
        return self.answers.get(words[0], "") if special is None else special

    @property
    def programs(self) -> list[str]:
        return [words[0] for words in self.calls]


class Clock:
    """A clock that only pauses move."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def patience(self, seconds: float) -> Patience:
        return Patience(seconds, self, self.pause)


Handle = Callable[[BaseHTTPRequestHandler, bytes], None]


@contextmanager
def appliance(handle: Handle) -> Iterator[str]:
    """An HTTP server on loopback, its URL; `handle` answers each request and gets its body."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            handle(self, self.rfile.read(int(self.headers.get("Content-Length", "0"))))

        do_POST = do_GET  # noqa: N815

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def reply(request: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name.replace("_", "-"), value)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)
