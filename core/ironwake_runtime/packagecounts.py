"""What the package cache has served and fetched, by source: nginx's own words, added up.

nginx writes a line for each request, and for each slice that a request took besides its first. Only
the former has a length of its own (`$request_length`), which tells them apart.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from ironwake.packagecache import FILES, IMPORTED, PREFIX
from ironwake_runtime import durable

_LINE = re.compile(r"(\d+) (\S+) (\S+) (\d{3}) (\d+) ([\d,: -]+)", re.ASCII)
_KEPT = frozenset(("HIT", "STALE", "UPDATING", "REVALIDATED"))
# Its last word is the slice of a file that is fetched in slices.
_KEY = re.compile(rb"\nKEY: (\S+) ([^\n]*?)(?: bytes=\d+-\d+)?\n")
_FILE = "counts.json"
_HEAD = 4096  # nginx's own header of a cached file, and its key right behind it


@dataclass
class Counts:
    """Of one source. `hits` and `misses` are requests; `sent` and `fetched` are bytes."""

    hits: int = 0
    misses: int = 0
    errors: int = 0
    sent: int = 0
    fetched: int = 0

    @property
    def ratio(self) -> float:
        """How much of what was sent had not to be fetched for it."""
        return max(0.0, 1 - self.fetched / self.sent) if self.sent else 0.0


Book = dict[str, Counts]


def count(book: Book, line: str) -> None:
    """Add one line; what is none is left out."""
    match = _LINE.fullmatch(line.strip())
    if match is None or match[2] == "-":
        return
    counts = book.setdefault(match[2], Counts())
    counts.fetched += sum(int(number) for number in re.findall(r"\d+", match[6]))
    if match[1] == "0":
        return
    counts.sent += int(match[5])
    if match[3] in _KEPT or (match[3] == "-" and match[4] in ("200", "206", "304")):
        counts.hits += 1  # without a word of the cache's: it lies in an imported mirror
    elif match[4] in ("200", "206", "304"):
        counts.misses += 1
    else:
        counts.errors += 1


def save(folder: Path, book: Book) -> None:
    """Write it down, whole."""
    text = json.dumps({name: asdict(counts) for name, counts in book.items()}, indent=2)
    durable.replace(folder / _FILE, f"{text}\n".encode(), 0o644)


def load(folder: Path) -> Book:
    """What was written down; nothing where that is not there, or damaged: it is only a count."""
    try:
        document = json.loads((folder / _FILE).read_bytes())
        return {str(name): Counts(**counts) for name, counts in document.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


@dataclass(frozen=True)
class Kept:
    """A file that nginx has kept, or a slice of one: whose, from where, and bytes on the disk."""

    source: str
    url: str
    path: Path
    size: int


def kept(folder: Path) -> Iterator[Kept]:
    """All that nginx has kept of mirrors."""
    for path in (folder / FILES).glob("*/*/*"):
        try:
            with path.open("rb") as stream:
                match = _KEY.search(stream.read(_HEAD))
            size = path.stat().st_blocks * 512
        except OSError:  # nginx has just let it go
            continue
        if match:
            source, url = (word.decode("utf-8", "replace") for word in match.groups())
            yield Kept(source, url, path, size)


def imported_sizes(folder: Path, source: str) -> tuple[int, ...]:
    """Bytes of each file of a mirror that bundles brought."""
    files = (folder / IMPORTED / PREFIX / source).rglob("*")
    return tuple(path.stat().st_size for path in files if path.is_file())
