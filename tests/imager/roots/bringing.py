"""Bringing root file systems in, for tests, and reading what came out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import zstandard

from ironwake.errors import RefusedError
from ironwake.progress import silent
from ironwake.rootfs.member import Event, Member
from ironwake.rootfs.reader import Reader
from ironwake.rootfs.rules import Limits, Rules
from ironwake_imager.roots import source
from ironwake_runtime.builds import Workshop


def no_shop() -> Workshop:
    raise RefusedError("no packages in this test")


def bring(path: Path, work: Path, **wishes: object) -> source.Root:
    """Bring in what is at `path`, without a kernel unless it is asked for."""
    work.mkdir(exist_ok=True)
    asked = source.Wishes(**{"kernel": source.Kernel.NEVER, **wishes})  # type: ignore[arg-type]
    return source.bring_in(path, work, no_shop, silent, asked)


def events(archive: Path) -> Iterator[Event]:
    """An archive of ours, judged as any other."""
    reader, rules = Reader(Limits()), Rules(Limits())
    plain = zstandard.ZstdDecompressor().stream_reader(archive.read_bytes()).read()
    for event in reader.feed(plain):
        if isinstance(event, Member):
            rules.admit(event)
        yield event
    reader.close()


def contents(archive: Path) -> dict[str, tuple[Member, bytes]]:
    """All names of an archive, with what is in them."""
    found: dict[str, tuple[Member, bytes]] = {}
    last = ""
    for event in events(archive):
        if isinstance(event, Member):
            last = event.path
            found[last] = event, b""
        else:
            found[last] = found[last][0], found[last][1] + bytes(event)
    return found


@contextmanager
def beside(folder: Path) -> Iterator[Path]:
    """A folder to work in; whatever else is in `folder` must be the same at the end."""

    def look() -> dict[str, bytes | None]:
        return {
            str(path): path.read_bytes() if path.is_file() else None
            for path in folder.rglob("*")
            if not path.is_relative_to(work)
        }

    work = folder / "work"
    work.mkdir()
    before = look()
    yield work
    assert look() == before
