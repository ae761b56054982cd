"""The package cache: which mirrors it stands before, and nginx's configuration for it. Pure.

Machines ask `http://APPLIANCE:PORT/packages/<source>/<path>`, where a source is one mirror: the
folder that has `dists/` and `pool/`, or `repodata/`. What is asked for goes to that mirror and
nowhere else, so it is no open proxy. What was imported from a bundle is served first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

from ironwake.errors import InputError

PREFIX: Final = "packages"
DEBIAN, SECURITY = "debian", "debian-security"
# Below the cache's folder; imported/packages/<source> is a mirror as a bundle brought it.
FILES, IMPORTED, PARTS = "files", "imported", "parts"

WORKER_FILES: Final = 8320  # descriptors: for 4,096 connections, and a file for each

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,39}", re.ASCII)
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"  # RFC 1123 section 2.1
_HOST = re.compile(rf"(?=[^:]{{1,253}}(?::|$)){_LABEL}(?:\.{_LABEL})*(?::[0-9]{{1,5}})?", re.ASCII)
_PATH = re.compile(r"(?:/[A-Za-z0-9_~+-][A-Za-z0-9._~+-]*)*", re.ASCII)
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Authority:
    """A host as nginx asks it."""

    scheme: str
    host: str
    port: int

    @property
    def header(self) -> str:
        """For the field Host."""
        usual = self.port == _PORTS[self.scheme]
        return self.host if usual else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.header}"


@dataclass(frozen=True)
class Source:
    """One mirror. `url` is "" where there is only what was `imported`; `also`: its other URLs."""

    name: str
    url: str = ""
    also: tuple[str, ...] = ()
    imported: bool = False

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InputError(
                f"{self.name!r:.60} is no name for a mirror", "use a-z, 0-9, dots and dashes"
            )
        for url in (*((self.url,) if self.url else ()), *self.also):
            authority(url)

    @property
    def authority(self) -> Authority:
        return authority(self.url)

    @property
    def folder(self) -> str:
        """The URL's path, without a slash at its end."""
        return urlsplit(self.url).path.rstrip("/")


def authority(url: str) -> Authority:
    """Of a mirror's URL; InputError where it is none that can stand in nginx's configuration."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        raise _no_mirror(url) from None
    plain = not (parts.query or parts.fragment or parts.username or parts.password)
    fine = _HOST.fullmatch(parts.netloc) and _PATH.fullmatch(parts.path.rstrip("/"))
    if parts.scheme not in _PORTS or not plain or not fine:
        raise _no_mirror(url)
    return Authority(parts.scheme, parts.hostname or "", port)


def _no_mirror(url: str) -> InputError:
    return InputError(f"{url!r:.80} is no mirror", "write it as in https://HOST/FOLDER")


def named(text: str) -> tuple[Source, ...]:
    """The sources of a setting: `NAME=URL`, with blanks between."""
    found = []
    for word in text.split():
        name, equals, url = word.partition("=")
        if not equals:
            raise InputError(f"{word!r:.80} is no NAME=URL", "write it as in rocky=https://HOST/x")
        found.append(Source(name, url.rstrip("/")))
    return joined(found)


def hosts(text: str) -> tuple[str, ...]:
    """The hosts of a setting: names, with commas between."""
    found = tuple(name.strip().lower() for name in text.split(",") if name.strip())
    for name in found:
        if not _HOST.fullmatch(name):
            raise InputError(f"{name!r:.80} is no host", "write it as in mirror.example:8080")
    return found


def joined(sources: Iterable[Source]) -> tuple[Source, ...]:
    """One of each name: its first URL, and all others as `also`."""
    by_name: dict[str, Source] = {}
    for one in sources:
        first = by_name.get(one.name)
        if first is None:
            by_name[one.name] = one
            continue
        urls = dict.fromkeys((*first.also, *((one.url,) if one.url else ()), *one.also))
        url = first.url or one.url
        also = tuple(other for other in urls if other != url)
        by_name[one.name] = Source(one.name, url, also, first.imported or one.imported)
    return tuple(by_name.values())


def near(url: str, sources: Iterable[Source], base: str) -> str:
    """The URL through the cache where one of the sources has it, else as it is.

    :param base: where machines reach the cache, without a slash at the end
    """
    wanted = _bare(url)
    best, found = -1, url
    for source in sources:
        for prefix in (source.url, *source.also):
            own = _bare(prefix)
            fits = bool(prefix) and (wanted == own or wanted.startswith(f"{own}/"))
            if fits and len(own) > best:
                best, found = len(own), f"{base}/{PREFIX}/{source.name}{wanted[len(own) :]}"
    return found


def asked(text: str) -> tuple[str, str]:
    """(source, path with its slash) of what a machine asks for.

    :param text: the URL, or what stands in it after the host, or after `/packages/`
    """
    behind = text.partition("://")[2].partition("/")[2] if "://" in text else text
    path = unquote(behind.partition("?")[0]).lstrip("/")
    name, _, rest = path.removeprefix(f"{PREFIX}/").partition("/")
    return name, f"/{rest}"


def is_within(url: str, source: Source, path: str) -> bool:
    """Whether a file that was fetched of this mirror is the one, or one below it, at this path."""
    base = f"{source.authority}{source.folder}"
    return f"{url}/".startswith(f"{base}{path.rstrip('/')}/")


def _bare(url: str) -> str:
    """Without scheme: a mirror is the same by HTTP and by HTTPS."""
    return url.partition("://")[2].rstrip("/")


@dataclass(frozen=True)
class Cache:
    """What nginx is told.

    :ivar listen: addresses that it listens on, at `port`
    :ivar networks: whose clients it answers, CIDR
    :ivar folder: absolute; below it everything is kept
    :ivar size: in bytes, for what is kept of mirrors
    :ivar hosts: where mirrors may send us on to, besides themselves; with :port where it is not
        the scheme's own
    :ivar addresses: of each authority, by its text; none where its name leads nowhere now
    :ivar user: whom nginx's workers run as; "" for whoever starts it
    :ivar certificates: file of authorities that are trusted
    :ivar each: requests of one client that are answered at the same time
    :ivar files: descriptors that each of nginx's workers may have
    """

    listen: tuple[str, ...]
    port: int
    networks: tuple[str, ...]
    folder: str
    size: int
    sources: tuple[Source, ...]
    hosts: tuple[str, ...] = ()
    addresses: Mapping[str, tuple[str, ...]] | None = None
    user: str = ""
    certificates: str = "/etc/ssl/certs/ca-certificates.crt"
    each: int = 64
    files: int = WORKER_FILES

    @property
    def authorities(self) -> tuple[Authority, ...]:
        """All that nginx may ask: the mirrors, and where they may send it on to."""
        found: dict[Authority, None] = {}
        for source in self.sources:
            if source.url:
                own = source.authority
                found[own] = None
                if own.port == _PORTS[own.scheme]:  # mirrors send on from one scheme to the other
                    found.update((Authority(s, own.host, p), None) for s, p in _PORTS.items())
        for name in self.hosts:
            found.update((authority(f"{scheme}://{name}"), None) for scheme in _PORTS)
        return tuple(found)
