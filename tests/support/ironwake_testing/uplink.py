"""A rack's way to this host's own mirror, and to nothing else: counted, and it can be unplugged.

It listens in the rack's namespace and asks from outside of it: no packet of the rack gets out.
"""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import os
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

from ironwake_runtime.aptsources import host_mirror

_NEWNET = 0x40000000  # CLONE_NEWNET, sched.h
_CHUNK = 1 << 16
_PATIENCE = 60.0
_REDIRECTS = (301, 302, 303, 307, 308)
T = TypeVar("T")


def within(namespace: str, work: Callable[[], T]) -> T:
    """What `work` gives when it is done in that network namespace; sockets stay in theirs."""
    found: list[T] = []

    def run() -> None:
        descriptor = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
        try:
            if ctypes.CDLL(None, use_errno=True).setns(descriptor, _NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        finally:
            os.close(descriptor)
        found.append(work())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


class Uplink:
    """`sent`: bytes of bodies by path; `asked`: requests by path."""

    def __init__(self, namespace: str, address: str) -> None:
        self._own = host_mirror()
        self.sent: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self._server = _Server((address, 0), _handler(self), bind_and_activate=False)
        self._server.socket.close()
        self._server.socket = within(namespace, lambda: _listening(address))
        self.port = self._server.socket.getsockname()[1]
        self._address = address
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()

    @property
    def setting(self) -> str:
        """For IRONWAKE_MIRROR: the main archive, and the security archive."""
        base = f"http://{self._address}:{self.port}"
        return f"{base}/main {base}/security" if self._own.security else f"{base}/main"

    def upstream(self, path: str) -> str:
        """Where a path leads; "" for nowhere."""
        kind, _, rest = path.lstrip("/").partition("/")
        base = {"main": self._own.main, "security": self._own.security or ""}.get(kind, "")
        return f"{base}/{rest}" if base else ""

    def unplug(self) -> None:
        """From now on the port refuses."""
        self._server.shutdown()
        self._server.server_close()


@contextlib.contextmanager
def uplink(namespace: str, address: str) -> Iterator[Uplink]:
    """One that runs in the namespace, on an address that is there."""
    there = Uplink(namespace, address)
    try:
        yield there
    finally:
        with contextlib.suppress(OSError):
            there.unplug()


def _listening(address: str) -> socket.socket:
    sock = socket.socket()
    sock.bind((address, 0))
    sock.listen(128)
    return sock


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """A client that left is no news."""


def _handler(there: Uplink) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            there.asked[self.path] += 1
            url = there.upstream(self.path)
            if not url:
                self.send_error(404)
                return
            names = ("Range", "If-None-Match", "If-Modified-Since")
            headers = {name: self.headers[name] for name in names if name in self.headers}
            with _reply(url, headers) as reply:
                self.send_response(reply.status)
                for name, value in reply.getheaders():
                    if name.lower() not in ("connection", "transfer-encoding", "date", "server"):
                        self.send_header(name, value)
                if reply.length is None:
                    self.send_header("Connection", "close")
                    self.close_connection = True
                self.end_headers()
                while data := reply.read(_CHUNK):
                    self.wfile.write(data)
                    there.sent[self.path] += len(data)

        def log_message(self, *_: Any) -> None:
            """Tests look at the counters."""

    return Handler


@contextlib.contextmanager
def _reply(url: str, headers: dict[str, str]) -> Iterator[http.client.HTTPResponse]:
    """After redirections."""
    for _ in range(5):
        parts = urlsplit(url)
        kinds = {"https": http.client.HTTPSConnection, "http": http.client.HTTPConnection}
        connection = kinds[parts.scheme](parts.netloc, timeout=_PATIENCE)
        with contextlib.closing(connection):
            connection.request("GET", parts.path, headers=headers)
            reply = connection.getresponse()
            target = reply.headers.get("Location", "")
            if reply.status not in _REDIRECTS or not target:
                yield reply
                return
            url = urljoin(url, target)
    raise OSError(f"{url} sends us on for ever")
