"""A package cache of a test's own: the real nginx, on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import shutil
import socket
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from ironwake.packagecache import Cache, Source
from ironwake_runtime import packagecache, packagecounts, packageserver

_PATIENCE = 30.0  # seconds: an end for a broken run, never a measure


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@dataclass
class Rig:
    """`cache` may be replaced while it runs: nginx is told at the next look."""

    cache: Cache
    task: Future[None]

    @property
    def folder(self) -> Path:
        return Path(self.cache.folder)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.cache.port}"

    def get(
        self, path: str, method: str = "GET", data: bytes | None = None, **headers: str
    ) -> tuple[int, bytes, dict[str, str]]:
        """(status, body, headers); `path` with its slash, or a whole URL."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        url = f"{self.url}{path}"
        request = urllib.request.Request(url, data, named, method=method)  # noqa: S310 (ours)
        try:
            with urllib.request.urlopen(request, timeout=_PATIENCE) as reply:  # noqa: S310
                return reply.status, reply.read(), dict(reply.headers)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read(), dict(error.headers)

    def counts(self, source: str = "debian") -> packagecounts.Counts:
        """What was written down last."""
        return packagecounts.load(self.folder).get(source, packagecounts.Counts())

    def kept(self) -> int:
        """Bytes of mirrors on the disk."""
        return sum(one.size for one in packagecounts.kept(self.folder))


def until(what: Callable[[], object]) -> None:
    """Wait for what shall become true."""
    end = time.monotonic() + _PATIENCE
    while not what():
        assert time.monotonic() < end, "it did not become true"
        time.sleep(0.02)


def cache(folder: Path, *sources: Source, **options: object) -> Cache:
    """On loopback and a free port."""
    usual = Cache(
        listen=("127.0.0.1",),
        port=free_port(),
        networks=("127.0.0.0/8",),
        folder=str(folder),
        size=1 << 30,
        sources=sources,
        user=getpass.getuser(),
    )
    return replace(usual, **options)  # type: ignore[arg-type]


@contextlib.contextmanager
def running(at: Cache, ask: packageserver.Resolve = packageserver.resolve) -> Iterator[Rig]:
    """Run until the block ends. Once it is entered, nginx answers."""
    nginx = packagecache.program()
    assert nginx, "these tests want nginx"
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    rig = Rig(at, Future())
    work = packageserver.serve(nginx, lambda: rig.cache, structlog.get_logger(), ask, 0.2)
    rig.task = asyncio.run_coroutine_threadsafe(work, loop)
    try:
        until(lambda: rig.task.done() or _answers(rig))
        if rig.task.done():
            rig.task.result()
        yield rig
    finally:
        rig.task.cancel()
        with contextlib.suppress(BaseException):
            rig.task.result(_PATIENCE)
        asyncio.run_coroutine_threadsafe(_settled(), loop).result(_PATIENCE)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _settled() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*others, return_exceptions=True)


def _answers(rig: Rig) -> bool:
    with contextlib.suppress(OSError):
        return rig.get("/healthz")[1] == b"ok"
    return False


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """Short, and open to whoever nginx works as: pytest's own are closed to others."""
    path = Path(tempfile.mkdtemp(prefix="iwp-"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
