"""Runs nginx as the package cache: `python -m ironwake_runtime.packageserver`.

It ends when nginx ends, whoever supervises it begins anew. nginx is in its process group; of one
whose supervisor was killed, workers are left and have the port: they hold the cache's lock, too,
and by that they are found and ended before nginx is started.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import os
import pwd
import socket
import stat
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

from ironwake.errors import BrokenError, InputError, IronwakeError, RefusedError
from ironwake.nginx import render
from ironwake.packagecache import FILES, IMPORTED, PARTS, WORKER_FILES, Authority, Cache, hosts
from ironwake.sizes import octets
from ironwake_runtime import (
    descriptors,
    durable,
    interfaces,
    packagecache,
    packagecounts,
    packagelock,
    subnets,
)
from ironwake_runtime.aptsources import MirrorError
from ironwake_runtime.ports import Port, refusal
from ironwake_runtime.service import Log, main
from ironwake_runtime.settings import Settings
from ironwake_runtime.supervise import die_with

_LOOK = 30.0  # seconds between looks at names, settings' files and counts
_WRITTEN = 1.0  # between two times that counts are written down, if they have changed
_GRACE = 5.0  # from SIGTERM to SIGKILL
_ASKED_TO_END = 10  # times: an nginx that starts keeps the first one in mind until another comes
_REST = 1.0  # for the last lines, once nginx has ended
_WORKERS = ("www-data", "nginx", "nobody")  # whichever the distribution has
_MOST_COMPLAINTS = 5  # lines of nginx's between two looks

Addresses = Mapping[str, tuple[str, ...]]
Resolve = Callable[[Authority], tuple[str, ...]]


def resolve(one: Authority) -> tuple[str, ...]:
    """A host's addresses, as this host finds them (its hosts file, too); none where it fails."""
    try:
        found = socket.getaddrinfo(
            one.host, one.port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
        )
    except OSError:
        return ()
    return tuple(sorted({str(row[4][0]) for row in found if "%" not in str(row[4][0])}))


def addresses(cache: Cache, before: Addresses, ask: Resolve = resolve) -> Addresses:
    """Those of all hosts: the ones that are in use as long as one of them is still an answer.

    A name that leads to other machines each time shall not restart nginx's workers each time; and
    one that leads nowhere for a while leaves what was known.
    """
    found = {}
    for one in cache.authorities:
        known, now = before.get(str(one), ()), ask(one)
        found[str(one)] = known if not now or set(known) & set(now) else now
    return found


def cache_of(settings: Settings, user: str) -> Cache:
    """What the settings say; InputError where one is wrong."""
    interface = interfaces.find(settings.interface)
    far = subnets.of(settings, interface.network)
    networks = (interface.network, *(one.network.ip for one in far))
    own = dict.fromkeys((settings.address or interface.address, "127.0.0.1"))
    try:
        sources = packagecache.sources(settings)
    except MirrorError as error:
        raise InputError(error.what, error.next_step, "IRONWAKE_MIRROR") from None
    return Cache(
        listen=tuple(own),
        port=settings.packages_port,
        networks=tuple(dict.fromkeys((*map(str, networks), "127.0.0.0/8"))),
        folder=str(settings.packages_folder.absolute()),
        size=_size(settings.packages_size),
        sources=sources,
        hosts=_hosts(settings.packages_hosts),
        user=user,
        files=descriptors.most(WORKER_FILES),
    )


def _size(text: str) -> int:
    try:
        return octets(text)
    except InputError as error:
        raise InputError(error.what, error.next_step, "IRONWAKE_PACKAGES_SIZE") from None


def _hosts(text: str) -> tuple[str, ...]:
    try:
        return hosts(text)
    except InputError as error:
        raise InputError(error.what, error.next_step, "IRONWAKE_PACKAGES_HOSTS") from None


def worker_user() -> str:
    """Whom nginx's workers run as: somebody without rights, where we are root."""
    if os.geteuid() != 0:
        return ""
    for name in _WORKERS:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    return ""


def prepare(folder: Path, user: str) -> None:
    """The folders, for the workers to write in; RefusedError where those cannot get there."""
    for name in (FILES, PARTS, IMPORTED):
        durable.open_folder(folder / name)
    if user:
        row = pwd.getpwnam(user)
        for name in (FILES, PARTS):
            os.chown(folder / name, row.pw_uid, row.pw_gid)
        for parent in (folder, *folder.parents):
            state = parent.stat()
            is_own = state.st_uid == row.pw_uid or state.st_gid == row.pw_gid
            if not is_own and not state.st_mode & stat.S_IXOTH:
                raise RefusedError(
                    f"{parent} is closed to {user}, whom nginx works as",
                    f"run: chmod o+x {parent}; or set IRONWAKE_PACKAGES_DIR to another folder",
                    "IRONWAKE_PACKAGES_DIR",
                )


async def run(settings: Settings, log: Log) -> None:
    """Run nginx until cancelled; BrokenError when it ended by itself."""
    nginx = packagecache.program()
    if nginx is None:
        raise InputError("nginx is not installed", packagecache.NOT_THERE, "IRONWAKE_PACKAGES")
    user = worker_user()
    await serve(nginx, lambda: cache_of(settings, user), log)


async def serve(
    nginx: str,
    look: Callable[[], Cache],
    log: Log,
    ask: Resolve = resolve,
    pause: float = _LOOK,
) -> None:
    """The same, with what it stands before as `look` says every `pause` seconds."""
    cache = look()
    folder = Path(cache.folder)
    prepare(folder, cache.user)
    known = await asyncio.to_thread(addresses, cache, {}, ask)
    with packagelock.locked(folder) as lock:
        _write(cache, known)
        command = (nginx, "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf"))
        await _check(command, cache)
        names = [source.name for source in cache.sources]
        log.info("listening", address=f"{cache.listen[0]}:{cache.port}", mirrors=names)
        follow = partial(_follow, command, cache, known, look, log, ask, pause)
        status = await _run(command, lock, folder, follow, log, pause)
    raise BrokenError(f"nginx ended with {status}", "its own words stand above")


async def _run(
    command: tuple[str, ...],
    lock: int,
    folder: Path,
    follow: Callable[[], Coroutine[None, None, None]],
    log: Log,
    pause: float,
) -> int:
    """Start nginx and hear what it says until it ends; its exit status."""
    book = packagecounts.load(folder)
    async with _pipe() as (served, out), _pipe() as (complaints, err):
        counting = asyncio.ensure_future(_count(served, book))
        try:
            beside = _beside(follow(), _complain(complaints, log, pause), _save(folder, book))
            async with beside, _nginx(command, lock, out, err) as process:
                return await process.wait()
        finally:
            # Workers of one that was killed go on, and so does what they say.
            await asyncio.wait({counting}, timeout=_REST)
            counting.cancel()
            await asyncio.gather(counting, return_exceptions=True)
            with contextlib.suppress(OSError):
                packagecounts.save(folder, book)


@contextlib.asynccontextmanager
async def _beside(*work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """It goes on until the block ends."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def _nginx(
    command: tuple[str, ...], lock: int, out: BinaryIO, err: BinaryIO
) -> AsyncIterator[asyncio.subprocess.Process]:
    """It has ended after the block. Its ends of the pipes are closed here once it has them."""
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            pass_fds=(lock,),
            preexec_fn=die_with(os.getpid()),
        )
    )

    def let_go(_: object) -> None:
        out.close()
        err.close()

    starting.add_done_callback(let_go)
    try:
        # Cancelled while it starts, asyncio would kill it, and its workers would be left.
        yield await asyncio.shield(starting)
    finally:
        await _end(await starting)


@contextlib.asynccontextmanager
async def _pipe() -> AsyncIterator[tuple[asyncio.StreamReader, BinaryIO]]:
    """What a child writes into the one end is read from the other, until this block ends."""
    ours, theirs = os.pipe()
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    with os.fdopen(ours, "rb") as source, os.fdopen(theirs, "wb") as sink:
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), source
        )
        try:
            yield reader, sink
        finally:
            transport.close()


async def _check(command: tuple[str, ...], cache: Cache) -> None:
    """nginx's own look at the file, and at the port: the reason stands in one line."""
    # It opens its log as it would, by a name: our own standard output may be somebody else's file.
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, "-t", "-q", stdout=pipe, stderr=pipe)
    _, said = await process.communicate()
    if process.returncode == 0:
        return
    text = said.decode("utf-8", "replace").strip().splitlines()[:1]
    for address in cache.listen:
        port = Port("packages", "tcp", cache.port, "IRONWAKE_PACKAGES_PORT", address)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, cache.port))
                probe.listen(1)
            except OSError as error:
                raise refusal(port, error) from None
    raise BrokenError(f"nginx refuses its configuration: {' '.join(text)}", "report this")


def _write(cache: Cache, known: Addresses) -> bool:
    """Whether the file is another one now."""
    path = Path(cache.folder) / "nginx.conf"
    text = render(replace(cache, addresses=known)).encode()
    if path.exists() and path.read_bytes() == text:
        return False
    durable.replace(path, text, 0o644)
    return True


async def _follow(
    command: tuple[str, ...],
    cache: Cache,
    known: Addresses,
    look: Callable[[], Cache],
    log: Log,
    ask: Resolve,
    pause: float,
) -> None:
    """Tell nginx when names lead elsewhere, or a bundle brought another mirror."""
    is_news = False
    while True:
        await asyncio.sleep(pause)
        try:
            cache = look()
        except (IronwakeError, OSError) as error:
            log.warning("keeping what was known", error=str(error))
        known = await asyncio.to_thread(addresses, cache, known, ask)
        try:
            is_news = _write(cache, known) or is_news
            if is_news:
                process = await asyncio.create_subprocess_exec(
                    *command, "-s", "reload", stderr=asyncio.subprocess.DEVNULL
                )
                log.info("mirrors have changed", status=await process.wait())
                is_news = False
        except OSError as error:  # a full disk, no free descriptor: over at another look
            log.warning("nginx is not told of other mirrors", error=str(error))


async def _count(served: asyncio.StreamReader, book: packagecounts.Book) -> None:
    async for line in served:
        packagecounts.count(book, line.decode("ascii", "replace"))


async def _complain(complaints: asyncio.StreamReader, log: Log, pause: float) -> None:
    """nginx's own words, and not a flood of them when a mirror is away."""
    loop = asyncio.get_running_loop()
    told, left_out, since = 0, 0, loop.time()
    async for line in complaints:
        if loop.time() - since >= pause:
            if left_out:
                log.warning("nginx has said more", lines=left_out)
            told, left_out, since = 0, 0, loop.time()
        told += 1
        if told > _MOST_COMPLAINTS:
            left_out += 1
        else:
            log.warning("nginx says", text=line.decode("utf-8", "replace").strip()[:500])


async def _save(folder: Path, book: packagecounts.Book) -> None:
    before = ""
    while True:
        await asyncio.sleep(_WRITTEN)
        now = repr(book)
        if now != before:
            # Not by the loop, which reads what nginx says: a slow disk would hold nginx up.
            work = asyncio.to_thread(packagecounts.save, folder, copy.deepcopy(book))
            saving = asyncio.ensure_future(work)
            try:
                await asyncio.shield(saving)
                before = now
            except OSError:
                pass  # a full disk: written once there is room
            finally:
                await asyncio.gather(saving, return_exceptions=True)  # before the last one begins


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    for _ in range(_ASKED_TO_END):
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _GRACE / _ASKED_TO_END)
            return
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()


if __name__ == "__main__":
    main("packages", run)
