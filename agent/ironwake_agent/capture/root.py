"""A root file system into an archive: tar | zstd, of file systems that are mounted for reading.

What fstab puts below the root is read with it, where it stands on this machine's disks; the ESP is
not (a boot loader is made anew for each machine), nor is a swap file.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Protocol

from ironwake.errors import BrokenError, RefusedError
from ironwake_agent.commands import CommandError, Runner, last_line
from ironwake_agent.image import adopt, volumes
from ironwake_agent.image.volumes import MOUNTABLE, Root, Volume

_CHUNK = 1 << 20
_TAR = (
    *("tar", "--create", "--format=posix", "--sparse", "--numeric-owner", "--sort=name"),
    # ACLs are attributes as well: once is enough, in the form that knows no machine's byte order.
    *("--acls", "--xattrs", "--xattrs-include=*", "--xattrs-exclude=system.posix_acl_*"),
    *("--warning=no-file-ignored", "--file=-"),
)
# The library packs it again: what counts here is not to wait for it.
_ZSTD = ("zstd", "-q", "-c", "-3", "-T0")


class Sink(Protocol):
    """Takes the packed archive, in order."""

    def write(self, data: bytes) -> None: ...


def choose(look: Callable[[Volume], Root | None], found: Sequence[Volume], wanted: str) -> Root:
    """The root that is meant: by `UUID=…` and the like, or `auto`.

    :param look: gives the root in a volume, if there is one

    :raises RefusedError: there is none, or there are several
    """
    if wanted == "auto":
        roots = [root for one in found if (root := look(one))]
        if len(roots) == 1:
            return roots[0]
        if roots:
            raise RefusedError(
                f"{len(roots)} roots are here: {_listed([root.volume for root in roots])}",
                "name one with --root UUID=…",
            )
        raise RefusedError(
            f"no root file system is here, only {_listed(found)}", "capture the whole disk"
        )
    volume = adopt.named(wanted, found)
    if volume is None:
        raise RefusedError(
            f"there is no file system {wanted} here, only {_listed(found)}", "correct --root"
        )
    root = look(volume)
    if root is None:
        raise RefusedError(
            f"{volume.device} ({volume.kind or 'unknown'}) has no system in it", "correct --root"
        )
    return root


@contextmanager
def mounted(run: Runner, root: Root, found: Sequence[Volume], target: Path) -> Iterator[None]:
    """The root and what its fstab puts below it, for reading.

    :raises RefusedError: a file system was not closed, and so cannot be read without being written
    """
    done: list[Path] = []
    target.mkdir(parents=True, exist_ok=True)
    try:
        subvolume = f"subvol={root.subvolume}" if root.subvolume else ""
        _mount(run, root.volume, target, subvolume)
        done.append(target)
        for spec, place, _, options in adopt.fstab(target):
            volume = adopt.named(spec, found)
            if place == "/" or volume is None or volume.kind not in MOUNTABLE:
                continue
            here = target / place.lstrip("/")
            if here.resolve() != here or not here.is_dir():
                raise RefusedError(f"{place} of fstab is no folder of its root", "mend its fstab")
            inner = next((one for one in options.split(",") if one.startswith("subvol=")), "")
            _mount(run, volume, here, inner)
            done.append(here)
        yield
    finally:
        for mount in reversed(done):
            run("umount", str(mount))


def pack(target: Path, sink: Sink, told: Callable[[float], None]) -> None:
    """All files below `target`, with owners, ACLs, attributes, hard links and holes.

    :param told: called with 0.0 to 1.0; may raise to stop
    :raises BrokenError: tar or zstd failed; has their last line
    """
    whole = _used(target)
    with tempfile.TemporaryFile() as tar_words, tempfile.TemporaryFile() as zstd_words:
        words = (*_TAR, *_swap_files(target), f"--directory={target}", ".")
        tar = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=tar_words)
        zstd = subprocess.Popen(
            _ZSTD, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=zstd_words
        )
        assert tar.stdout is not None  # noqa: S101 - we asked for pipes
        assert zstd.stdin is not None  # noqa: S101
        assert zstd.stdout is not None  # noqa: S101
        pump = _Pump(tar.stdout, zstd.stdin)
        pump.start()
        try:
            while chunk := zstd.stdout.read(_CHUNK):
                sink.write(chunk)
                told(min(pump.done / whole, 1.0))
            codes = tar.wait(), zstd.wait()
        finally:
            for process in (tar, zstd):
                if process.poll() is None:
                    process.kill()
                    process.wait()
            pump.join()
            zstd.stdout.close()
        _judge("tar", codes[0], tar_words)
        _judge("zstd", codes[1], zstd_words)


class _Pump(threading.Thread):
    """Between the two programs, so that somebody knows how far they are."""

    def __init__(self, source: IO[bytes], sink: IO[bytes]) -> None:
        super().__init__(name="pump", daemon=True)
        self._source, self._sink = source, sink
        self.done = 0

    def run(self) -> None:
        # Closed either way: both programs notice, and end.
        with suppress(BrokenPipeError), self._source, self._sink:
            while chunk := os.read(self._source.fileno(), _CHUNK):
                self._sink.write(chunk)
                self.done += len(chunk)


def _judge(name: str, code: int, words: IO[bytes]) -> None:
    words.seek(0)
    text = last_line(words.read().decode("utf-8", "replace"))
    if code:
        raise BrokenError(f"{name} could not read the root: {text or f'it ended with {code}'}")


def _mount(run: Runner, volume: Volume, here: Path, subvolume: str) -> None:
    # Its device is read-only: a file system whose log must be replayed first is not mounted at all.
    options = ("ro", "nouuid" if volume.kind == "xfs" else "", subvolume)
    words = ",".join(one for one in options if one)
    try:
        run("mount", "-t", volume.kind, "-o", words, volume.device, str(here))
    except CommandError as error:
        raise RefusedError(
            f"{volume.device} ({volume.kind}) cannot be mounted for reading alone: {error.what}",
            "start the machine and shut it down in order, then capture again; or capture the disk",
        ) from None


def look_into(run: Runner, volume: Volume) -> Root | None:
    """The root in it; RefusedError where nobody can know without writing."""
    try:
        return volumes.find_root(run, (volume,))
    except CommandError as error:
        raise RefusedError(
            f"{volume.device} ({volume.kind}) cannot be looked at without writing: {error.what}",
            "start the machine and shut it down in order, then capture again; or capture the disk",
        ) from None


def _swap_files(target: Path) -> tuple[str, ...]:
    rows = adopt.fstab(target)
    files = [spec for spec, _, kind, _ in rows if kind == "swap" and spec.startswith("/")]
    found = [file for file in files if not file.startswith("/dev/")]
    return ("--anchored", "--no-wildcards", *(f"--exclude=.{file}" for file in found))


def _used(target: Path) -> int:
    """Bytes, about: of all file systems that are mounted there."""
    places = {target.stat().st_dev: target}
    for spec in adopt.fstab(target):
        here = target / spec[1].lstrip("/")
        if here.is_dir():
            places[here.stat().st_dev] = here
    found = [os.statvfs(place) for place in places.values()]
    return sum((one.f_blocks - one.f_bfree) * one.f_frsize for one in found) or 1


def _listed(found: Sequence[Volume]) -> str:
    rows = [f"{one.device} ({one.kind or 'unknown'} {one.uuid})".strip() for one in found]
    return ", ".join(rows) or "none"
