"""Which mirror this host uses, read from its own apt configuration.

No mirror is written into the code: a person who runs Debian has already chosen one. Both spellings
of `sources.list(5)` are read: one-line (`deb [options] URI suite component…`) and deb822 stanzas
(`*.sources`). Only the entries of the running Debian's main archive count; third-party
repositories do not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ironwake.errors import BrokenError


class MirrorError(BrokenError):
    """No usable mirror, or one that does not answer."""


@dataclass(frozen=True, slots=True)
class Mirror:
    """Where packages come from.

    :ivar main: base URI of the distribution, the folder that holds `dists/` and `pool/`
    :ivar security: base URI of its security updates, or None when the host has none
    """

    main: str
    security: str | None = None

    @classmethod
    def parse(cls, text: str) -> Mirror:
        """Read a setting: the base URI, and after a blank the security base URI if it is elsewhere.

        With one URI that ends in "/debian", security is taken to be its neighbour
        "/debian-security", as on every full mirror.
        """
        words = text.split()
        if len(words) not in (1, 2) or not all(re.match(r"[a-z+]+:/", word) for word in words):
            raise MirrorError(
                f"mirror {text!r} is not a URI", "give one such as http://HOST/debian"
            )
        main = words[0].rstrip("/")
        if len(words) == 2:
            return cls(main, words[1].rstrip("/"))
        return cls(main, f"{main}-security" if main.endswith("/debian") else None)


@dataclass(frozen=True, slots=True)
class _Source:
    uri: str
    suite: str
    components: tuple[str, ...]


def mirror_of(setting: str) -> Mirror:
    """The mirror that IRONWAKE_MIRROR names, or this host's own where it is empty."""
    return Mirror.parse(setting) if setting else host_mirror()


def host_mirror(etc: Path = Path("/etc")) -> Mirror:
    """Give the mirror of the running Debian.

    :param etc: folder that holds `apt/` and `os-release`
    :raises MirrorError: when it is not a Debian, or no entry serves its main archive
    """
    codename = _codename(etc / "os-release")
    return choose_mirror(tuple(_host_sources(etc / "apt")), codename)


def choose_mirror(sources: Iterable[_Source], codename: str) -> Mirror:
    """Pick the first entry of the release's main archive, and the first of its security archive."""
    main = security = None
    for source in sources:
        if "main" not in source.components:
            continue
        if source.suite in (codename, "stable"):
            main = main or source.uri
        elif source.suite in (f"{codename}-security", f"{codename}/updates", "stable-security"):
            security = security or source.uri
    if main is None:
        raise MirrorError(
            f"the apt configuration of this host names no mirror of Debian {codename} main",
            "set IRONWAKE_MIRROR to one",
        )
    return Mirror(main, security)


def _codename(os_release: Path) -> str:
    try:
        text = os_release.read_text()
    except OSError as error:
        raise MirrorError(f"cannot read {os_release}: {error.strerror}") from error
    values: dict[str, str] = dict(re.findall(r'^([A-Z_]+)="?([^"\n]*)"?$', text, re.MULTILINE))
    if values.get("ID") != "debian" or not values.get("VERSION_CODENAME"):
        raise MirrorError(
            "this host is not a Debian release, so its apt configuration names no Debian mirror",
            "set IRONWAKE_MIRROR to one",
        )
    return values["VERSION_CODENAME"]


def _host_sources(apt: Path) -> Iterator[_Source]:
    for path in (apt / "sources.list", *sorted((apt / "sources.list.d").glob("*.list"))):
        if path.is_file():
            yield from parse_one_line(path.read_text(errors="replace"))
    for path in sorted((apt / "sources.list.d").glob("*.sources")):
        yield from parse_deb822(path.read_text(errors="replace"))


def parse_one_line(text: str) -> Iterator[_Source]:
    """Read `deb [options] URI suite component…` lines; what is not one is left out."""
    for line in text.splitlines():
        match = re.match(r"\s*deb\s+(?:\[[^]]*\]\s*)?(\S+)\s+(\S+)\s+([^#]+)", line)
        if match:
            uri, suite, components = match.groups()
            yield _Source(uri.rstrip("/"), suite, tuple(components.split()))


def parse_deb822(text: str) -> Iterator[_Source]:
    """Read deb822 stanzas (RFC 822 folding, `#` comment lines anywhere)."""
    lines = (line.rstrip() for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n{2,}", "\n".join(lines)):
        fields = _fields(stanza)
        wanted = fields.get("enabled", "yes").lower() not in ("no", "false", "0")
        if not wanted or "deb" not in fields.get("types", "").split():
            continue
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                components = tuple(fields.get("components", "").split())
                yield _Source(uri.rstrip("/"), suite, components)


def _fields(stanza: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    name = None
    for line in stanza.splitlines():
        if line[:1] in (" ", "\t") and name:
            fields[name] += " " + line.strip()
        elif ":" in line:
            key, value = line.split(":", 1)
            name = key.strip().lower()
            fields[name] = value.strip()
    return fields
