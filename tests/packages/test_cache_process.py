"""The package cache as a process: its end, its folder, and a disk that is full."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.typing import EventDict

from ironwake.errors import BrokenError, RefusedError
from ironwake.packagecache import Authority, Source
from ironwake_runtime import packagecache, packagelock, packageserver
from ironwake_testing.mirror import Mirror
from ironwake_testing.packagecache import Rig, cache, free_port, running, until
from tests.packages.cached import ASKED, DEB

_MOST = 60.0


def _children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(one) for one in found]


def _lives(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_nginx_is_killed(there: Mirror, place: Path) -> None:
    """Its supervisor says so; what it leaves behind neither has the port nor the cache after it."""
    at = cache(place, Source("debian", f"{there.url}/debian"))
    with running(at) as rig:
        assert rig.get(ASKED)[0] == 200
        master = int((place / "nginx.pid").read_text())
        workers = _children(master)
        os.kill(master, signal.SIGKILL)
        with pytest.raises(BrokenError, match="nginx ended with -9"):
            rig.task.result(_MOST)
        assert any(_lives(worker) for worker in workers)
        there.stop()
        # Elsewhere, so that it is not the old ones who answer.
        with running(replace(at, port=free_port())) as again:
            assert again.get(ASKED)[1] == there.files[DEB]
            assert not any(_lives(worker) for worker in workers)


@pytest.mark.parametrize("turns", range(12))
def test_it_is_stopped_while_nginx_starts(place: Path, turns: int) -> None:
    """However far that is: all of it ends, nginx with its workers, too."""

    async def stopped() -> set[asyncio.Task[Any]]:
        loop = asyncio.get_running_loop()

        def stop(left: int) -> None:
            loop.call_soon(stop, left - 1) if left else work.cancel()

        def heard(_: object, level: str, line: EventDict) -> EventDict:
            if level == "info":  # its first line: it starts nginx now
                loop.call_soon(stop, turns)
            raise structlog.DropEvent

        log = structlog.wrap_logger(None, [heard], structlog.stdlib.BoundLogger)
        at = cache(place)
        serving = packageserver.serve(packagecache.program() or "", lambda: at, log)
        work = asyncio.ensure_future(serving)
        await asyncio.wait({work}, timeout=_MOST)
        assert work.cancelled()
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert not asyncio.run(stopped())
    with packagelock.locked(place):
        pass


def test_one_folder_has_one_cache(rig: Rig, place: Path) -> None:
    """Another appliance on the same folder is refused; the first one goes on."""
    program = (
        "import sys, pathlib; from ironwake_runtime.packagelock import locked\n"
        "with locked(pathlib.Path(sys.argv[1])): pass"
    )
    words = [sys.executable, "-c", program, str(place)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert "is another appliance's" in done.stderr
    assert rig.get("/healthz")[0] == 200


def test_another_appliances_cache_stays_as_it_is(there: Mirror, place: Path) -> None:
    """Who is refused has written nothing into the folder: nginx's next look is at its own file."""
    at = cache(place, Source("debian", f"{there.url}/debian"))
    with packagelock.locked(place):
        with pytest.raises(RefusedError, match="another appliance's"), running(at):
            pass
        assert not (place / "nginx.conf").exists()


def test_a_disk_that_was_full_for_a_while(there: Mirror, place: Path) -> None:
    """What cannot be written is written later: mirrors are followed on, and nginx's end is told."""
    looks: list[object] = []

    def ask(one: Authority) -> tuple[str, ...]:
        looks.append(one)
        return packageserver.resolve(one)

    at = cache(place, Source("debian", f"{there.url}/debian"))
    with running(at, ask) as rig:
        (place / "nginx.new").mkdir()  # in the way, as no room would be
        rig.cache = replace(at, sources=(*at.sources, Source("more", f"{there.url}/debian")))
        before = len(looks)
        until(lambda: len(looks) > before + 5)
        (place / "nginx.new").rmdir()
        until(lambda: rig.get(ASKED.replace("debian", "more", 1))[1] == there.files[DEB])
        (place / "counts.new").mkdir()
        os.kill(int((place / "nginx.pid").read_text()), signal.SIGKILL)
        with pytest.raises(BrokenError, match="nginx ended with -9"):
            rig.task.result(_MOST)


def test_counts_outlive_a_restart(there: Mirror, place: Path) -> None:
    """Hits and misses are added up over the life of the folder."""
    at = cache(place, Source("debian", f"{there.url}/debian"))
    for _ in range(2):
        with running(at) as rig:
            rig.get(ASKED)
            rig.get("/packages/debian/none.deb")
    counts = rig.counts()
    assert (counts.misses, counts.hits, counts.errors) == (1, 1, 2)
