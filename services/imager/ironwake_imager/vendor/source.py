"""Where a medium's files are downloaded from, and what they must hash to: decided before the first
byte of them.

A checksum is worth as much as the list that it is from: signed, where the vendor's keyring is here;
else from the vendor itself, by https. A mirror gives files, and lists only where the vendor cannot
be reached, which the medium's manifest says. A vendor that answers that there is no such list has
answered: nobody else is asked for it, and the row is to be corrected.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from ironwake import medium as media
from ironwake.errors import BrokenError, InputError
from ironwake.medium import INLINE, Medium
from ironwake_imager.download import AbsentError
from ironwake_imager.vendor import checksums, signature
from ironwake_imager.vendor.checksums import Checksum

ISO = "iso"

Small = Callable[[str], bytes]  # a small file's bytes, by URL


@dataclass(frozen=True)
class Wanted:
    """A file to download: for this role, called so. `trust`: how its checksum is known."""

    role: str
    url: str
    name: str
    checksum: Checksum
    trust: str


@dataclass(frozen=True)
class Wish:
    """What a person says: another `mirror` than the vendor's, the ISO's checksum, a local file."""

    mirror: str = ""
    sha256: str = ""
    path: Path | None = None


@dataclass(frozen=True)
class Sources:
    """`keyrings`: folders in which they are. `small` reads from the network."""

    small: Small
    keyrings: tuple[Path, ...]

    def wanted(self, medium: Medium, wish: Wish) -> tuple[Wanted, ...]:
        """All files of a medium that is downloaded.

        :raises InputError: nothing says what they hash to
        :raises RefusedError: the list is not signed by whom it should be
        :raises AbsentError: a list is not there
        :raises BrokenError: the way there or the server failed
        """
        media.check_base(wish.mirror, "mirror")
        base = wish.mirror or medium.base
        if not base:
            raise InputError(
                f"{medium.name} cannot be downloaded: its vendor gives it to customers only",
                f"get it from {medium.page or 'there'}, and add it with --from FILE",
            )
        if medium.stream and wish.mirror:
            raise InputError(
                f"{medium.name} comes from where its vendor's index says",
                "leave out --mirror, or bring its files with --from",
                "mirror",
            )
        if medium.stream:
            return self._of_stream(medium)
        files = {ISO: medium.file} if medium.is_iso else medium.fetch
        return tuple(self._one(medium, role, name, base, wish) for role, name in files.items())

    def _one(self, medium: Medium, role: str, file: str, base: str, wish: Wish) -> Wanted:
        if wish.sha256 and len(medium.fetch) <= 1 and "*" not in file:
            checksum = Checksum(wish.sha256)
            return Wanted(role, urljoin(base, file), _name(file), checksum, "the checksum you gave")
        text, trust = self._list(medium, file, base)
        entries = checksums.parse(text.decode("utf-8", "replace"))
        name, checksum = checksums.pick(entries, file, alone="{file}" in medium.checksums)
        if wish.sha256 and Checksum(wish.sha256) != checksum:
            raise InputError(
                f"the vendor's list has another checksum for {name} than you gave",
                "correct --sha256, or leave it out",
                "sha256",
            )
        return Wanted(role, urljoin(base, name), _name(name), checksum, trust)

    def _list(self, medium: Medium, file: str, base: str) -> tuple[bytes, str]:
        """The list of checksums, and how it is known."""
        if not medium.checksums:
            raise InputError(
                f"nothing says what {medium.name} must hash to", "give it with --sha256", "sha256"
            )
        first = medium.base or base
        try:
            return self._checked(medium, file, first)
        except AbsentError:
            raise
        except BrokenError:
            if first == base:
                raise
        text, trust = self._checked(medium, file, base)
        return text, f"{trust}, of the mirror: the vendor could not be reached"

    def _checked(self, medium: Medium, file: str, base: str) -> tuple[bytes, str]:
        url = urljoin(base, medium.checksums.replace("{file}", file))
        keyring = signature.find(medium.keyring, self.keyrings)
        is_private = urlsplit(url).scheme == "https"
        if not is_private and (keyring is None or not medium.signature):
            folder = self.keyrings[0]
            raise InputError(
                f"nobody vouches for {url}: it comes by plain http, and unsigned",
                f"give --sha256, or put {medium.keyring or 'a keyring'} into {folder}"
                if medium.signature
                else "give --sha256",
                "checksums",
            )
        raw = self._read(url, medium, base)
        if keyring is None or not medium.signature:
            return raw, f"a checksum by https from {urlsplit(url).hostname}"
        if medium.signature == INLINE:
            return signature.signed_text(raw, keyring), f"a list signed by {keyring.name}"
        where = urljoin(base, medium.signature.replace("{file}", file))
        signature.check(raw, self._read(where, medium, base), keyring)
        return raw, f"a list signed by {keyring.name}"

    def _read(self, url: str, medium: Medium, base: str) -> bytes:
        """A small file; where it is absent, with what to do about that."""
        try:
            return self.small(url)
        except AbsentError as absent:
            step = (
                f"its vendor has moved it: correct the row {medium.name} of the catalogue"
                if base == medium.base
                else "give the folder of the mirror that has it"
            )
            raise AbsentError(
                absent.what, f"{step}, or get the file and add it with --from"
            ) from None

    def _of_stream(self, medium: Medium) -> tuple[Wanted, ...]:
        url = urljoin(medium.base, medium.stream)
        if urlsplit(url).scheme != "https":
            raise InputError(f"nobody vouches for {url}: it comes by plain http", "use https")
        try:
            index = json.loads(self._read(url, medium, medium.base))
        except (ValueError, RecursionError):
            raise BrokenError(f"{url} is no JSON", "run it again") from None
        there = media.pxe_files(index, medium.vendor_arch)
        found = []
        for role, name in medium.fetch.items():
            if name not in there:
                raise InputError(f"{url} has no {name!r:.60}", "correct the row", "fetch")
            location, digest = there[name]
            trust = f"a checksum by https from {urlsplit(url).hostname}"
            found.append(Wanted(role, location, _name(location), Checksum(digest), trust))
        return tuple(found)


def _name(url: str) -> str:
    return urlsplit(url).path.rpartition("/")[2]
