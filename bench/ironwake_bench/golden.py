"""The disk that `bench-image` copies: 4 GB of ext4 with 400 MB of files, the same on every host.

Made once and kept below the cache folder, by the hash of all that it follows from, in each form
that a side wants: raw, packed as a stream, with bmaptool's map, partclone's, and our own pack.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ironwake.errors import BrokenError
from ironwake.pack import BLOCK, Index
from ironwake_bench.peers import CACHE, need
from ironwake_imager.library import packing

SIZE = 4_000_000_000 // BLOCK * BLOCK
FILES = 400_000_000  # bytes in all files
NEW = 20_000_000  # bytes that the next version has in other words
FORMS = ("disk.raw.zst", "disk.pcl.zst", "disk.bmap", "pack", "index", "next-pack", "next-index")
_CACHE = CACHE / "bench-image"
_SMALLEST, _LARGEST = 10, 20  # powers of two: a file's bytes
_NOISE = 0.2  # of a file: what cannot be packed, as pictures and archives
_WORDS = 256  # that a file is made of, besides
_RUN = 8  # blocks that change together, at most
_WHEN = 1_700_000_000  # the time that all files have
_ID = "7c9e0bd4-6f5d-4d0a-9d0f-3f6c2f1f6a10"  # the file system's, and of its hashed folders


@dataclass(frozen=True)
class Golden:
    """Its forms are files in `folder`; the next version differs in `changed` blocks."""

    folder: Path
    changed: int

    @property
    def held(self) -> int:
        """Bytes that are not zeroes by name."""
        return Index.decode((self.folder / "index").read_bytes()).held


def golden() -> Golden:
    """The disk; made where it is not there yet, which takes a minute."""
    words = inspect.getsource(sys.modules[__name__]) + inspect.getsource(packing)
    folder = _CACHE / hashlib.sha256(words.encode()).hexdigest()[:16]
    if not folder.exists():
        _CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_CACHE, prefix=".making-") as name:
            work = Path(name) / "made"
            work.mkdir()
            _make(work)
            work.rename(folder)
    return Golden(folder, int((folder / "changed").read_text()))


def _make(folder: Path) -> None:
    disk, rng = folder / "disk.raw", random.Random(_ID)  # noqa: S311 (the same for everyone)
    _say("400 MB of files")
    tree = folder.parent / "tree"
    _plant(tree, rng)
    with disk.open("wb") as stream:
        stream.truncate(SIZE)
    options = f"hash_seed={_ID},lazy_itable_init=0,lazy_journal_init=0"
    _call([need("mkfs.ext4", "e2fsprogs"), "-q", "-U", _ID, "-E", options, "-d", tree, disk])
    shutil.rmtree(tree)
    _say("bmaptool's, partclone's and zstd's forms")
    _call([need("bmaptool", "bmap-tools"), "create", "-o", folder / "disk.bmap", disk])
    copy = folder / "disk.pcl"
    clone = need("partclone.ext4", "partclone")
    _call([clone, "-c", "-s", disk, "-o", copy, "-L", folder.parent / "log"])
    for one in (disk, copy):
        _call([need("zstd", "zstd"), "-q", "-3", "-T0", one])
    copy.unlink()
    _say("packs")
    index = _pack(disk, folder / "pack", folder / "index")
    later = folder / "next.raw"
    _call(["cp", "--sparse=always", disk, later])
    changed = _change(later, index, rng)
    _pack(later, folder / "next-pack", folder / "next-index")
    later.unlink()
    (folder / "changed").write_text(str(changed))


def _plant(tree: Path, rng: random.Random) -> None:
    total, number = 0, 0
    while total < FILES:
        folder = tree / f"{number // 64:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        content = _content(rng, int(2 ** rng.uniform(_SMALLEST, _LARGEST)))
        file = folder / f"{number:05d}"
        file.write_bytes(content)
        os.utime(file, (_WHEN, _WHEN))
        total, number = total + len(content), number + 1


def _content(rng: random.Random, size: int) -> bytes:
    words = [rng.randbytes(rng.randint(4, 36)) for _ in range(_WORDS)]
    noise = int(size * _NOISE)
    text = b"".join(rng.choices(words, k=(size - noise) // 20 + 1))
    return text + rng.randbytes(noise)


def _change(disk: Path, index: Index, rng: random.Random) -> int:
    """Other content for blocks here and there; how many."""
    numbers = [block.number for block in index.blocks]
    wanted: set[int] = set()
    while len(wanted) * BLOCK < NEW:
        begin = rng.randrange(len(numbers))
        wanted.update(numbers[begin : begin + rng.randint(1, _RUN)])
    with disk.open("r+b") as stream:
        for number in sorted(wanted):
            stream.seek(number * BLOCK)
            stream.write(rng.randbytes(index.extent(number)[1]))
    return len(wanted)


def _pack(disk: Path, pack: Path, index: Path) -> Index:
    with pack.open("wb") as stream:
        packed = packing.pack(disk, stream, lambda *_: None)
    index.write_bytes(packed.index.encode())
    return packed.index


def _call(words: Iterable[str | Path]) -> None:
    argv = [str(word) for word in words]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BrokenError(f"{argv[0]} failed: {(done.stderr or done.stdout).strip()[-1000:]}")


def _say(what: str) -> None:
    print(f"making the disk: {what}", file=sys.stderr, flush=True)  # noqa: T201
