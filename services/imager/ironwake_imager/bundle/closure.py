"""Packages for a bundle: what apt would fetch for some systems, and the signed lists beside it.

What comes of it is a part of a mirror: `dists/` as it was signed, and of `pool/` the packages that
are needed. A machine's apt checks it as it checks the mirror itself.
"""

from __future__ import annotations

import hashlib
import re
import tarfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import zstandard

from ironwake.errors import BrokenError, IronwakeError, RefusedError
from ironwake.packagecache import DEBIAN, SECURITY
from ironwake_imager import download
from ironwake_imager.download import Limits
from ironwake_runtime.apt import KEYRING, AptError, AptRoot
from ironwake_runtime.aptsources import Mirror

_STATUS = ("./var/lib/dpkg/status", "var/lib/dpkg/status")
_LARGEST_STATUS = 64 << 20
_LARGEST_LIST = 1 << 30  # bytes
_PATIENCE = 1800.0  # seconds for one list
_HASHES = re.compile(r"^ ([0-9a-f]{64}) +(\d+) (\S+)$", re.MULTILINE)
_PACKED = ("xz", "gz")  # as apt prefers them


@dataclass(frozen=True)
class System:
    """What packages are added to.

    :ivar status: its /var/lib/dpkg/status
    :ivar wanted: sets of packages; each is resolved by itself, as on a machine
    """

    suite: str
    architecture: str
    status: str
    wanted: tuple[tuple[str, ...], ...]


@dataclass
class Part:
    """A part of a mirror: `urls` that it stands for, and path below it → file."""

    urls: tuple[str, ...]
    files: dict[str, Path] = field(default_factory=dict)


Fetch = Callable[[str, int], bytes]


def fetch(url: str, size: int) -> bytes:
    """What is behind a URL, which has so many bytes.

    :raises BrokenError: it cannot be had
    :raises RefusedError: it is larger
    """
    # Its hash is signed: whoever gives it, by whatever way, does no harm.
    limits = Limits(largest=size, seconds=_PATIENCE, follow=True, plain=True)
    return download.small(url, limits)


def status_of(archive: Path) -> str:
    """The list of packages in a root archive (tar.zst).

    :raises RefusedError: it has none
    """
    with (
        archive.open("rb") as packed,
        zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True) as plain,
        tarfile.open(fileobj=plain, mode="r|") as tree,
    ):
        for member in tree:
            if member.name in _STATUS and member.isreg() and member.size <= _LARGEST_STATUS:
                content = tree.extractfile(member)
                return content.read().decode("utf-8", "replace") if content else ""
    raise RefusedError(
        f"{archive.name} is no Debian system: it has no list of packages",
        "leave --packages out, or take another profile",
    )


def closure(
    systems: Iterable[System],
    mirror: Mirror,
    cache: Path,
    told: Callable[[str], None],
    get: Fetch = fetch,
    keyring: Path = KEYRING,
) -> Mapping[str, Part]:
    """{source: part of its mirror} for all of the systems together.

    :raises MirrorError: the mirror does not answer, or a signature is wrong
    :raises AptError: a package does not exist, or cannot go together with the others
    """
    parts = {DEBIAN: Part((mirror.main,))}
    if mirror.security:
        parts[SECURITY] = Part((mirror.security,))
    for number, system in enumerate(systems):
        folder = cache / "apt" / f"bundle-{system.suite}-{system.architecture}-{number}"
        suite, status = system.suite, system.status
        apt = AptRoot(folder, suite, mirror, system.architecture, keyring, status)
        told(f"asking the mirror for the packages of {system.suite}")
        apt.update()
        _lists(apt, parts, cache / "lists", told, get)
        for wanted in system.wanted:
            _packages(apt, wanted, parts, cache / "debs", told)
    return parts


def _packages(
    apt: AptRoot,
    wanted: tuple[str, ...],
    parts: Mapping[str, Part],
    debs: Path,
    told: Callable[[str], None],
) -> None:
    versions = apt.resolve(wanted)
    told(f"fetching {len(versions)} packages")
    files = {path.name: path for path in apt.download(versions, debs)}
    where = apt.places(wanted)
    if set(where) != set(files):
        raise AptError(f"apt changed its mind about {' '.join(wanted)}", "run it again")
    for name, url in where.items():
        part, path = _place(parts, url)
        part.files[path] = files[name]


def _lists(
    apt: AptRoot,
    parts: Mapping[str, Part],
    folder: Path,
    told: Callable[[str], None],
    get: Fetch,
) -> None:
    """InRelease, and the one list of packages that apt reads by it, under both of its names."""
    folder.mkdir(parents=True, exist_ok=True)
    for url, signed in apt.signed().items():
        base = url.removesuffix("/InRelease")
        part, path = _place(parts, url)
        part.files[path] = _kept(folder, signed)
        rows = _HASHES.findall(signed.decode("utf-8", "replace"))
        known = {name: (sha256, int(size)) for sha256, size, name in rows}
        wanted = f"main/binary-{apt.architecture}/Packages"
        name = next((f"{wanted}.{end}" for end in _PACKED if f"{wanted}.{end}" in known), "")
        if not name:
            raise AptError(f"{url} names no {wanted}", "take another mirror")
        sha256, size = known[name]
        if size > _LARGEST_LIST:
            raise RefusedError(f"{name} of {url} has {size} bytes", "take another mirror")
        by_hash = f"{name.rpartition('/')[0]}/by-hash/SHA256/{sha256}"
        there = folder / sha256
        if not there.is_file() or _sha256(there.read_bytes()) != sha256:
            told(f"fetching {base.rpartition('/')[2]}'s {name}")
            there = _kept(folder, _verified(base, (by_hash, name), known[name], get))
        for one in (by_hash, name):
            part, path = _place(parts, f"{base}/{one}")
            part.files[path] = there


def _verified(base: str, names: tuple[str, ...], wanted: tuple[str, int], get: Fetch) -> bytes:
    """By the name that never changes first, which not every mirror has. `wanted`: hash, size."""
    sha256, size = wanted
    error: IronwakeError | None = None
    for name in names:
        try:
            data = get(f"{base}/{name}", size)
        except (BrokenError, RefusedError) as away:
            error = away
            continue
        if _sha256(data) == sha256:
            return data
        error = BrokenError(f"{base}/{name} is not what InRelease names", "run it again")
    raise error or BrokenError(f"{base} has nothing")


def _place(parts: Mapping[str, Part], url: str) -> tuple[Part, str]:
    """Whose mirror a URL is below, and where; the longest base counts."""
    fits = [
        (len(base), part, url[len(base) + 1 :])
        for part in parts.values()
        for base in part.urls
        if url.startswith(f"{base}/")
    ]
    if not fits:
        raise BrokenError(f"{url} is below none of our mirrors")
    _, part, path = max(fits, key=lambda one: one[0])
    return part, path


def _kept(folder: Path, data: bytes) -> Path:
    path = folder / _sha256(data)
    aside = path.with_suffix(".new")
    aside.write_bytes(data)
    aside.replace(path)
    return path


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
