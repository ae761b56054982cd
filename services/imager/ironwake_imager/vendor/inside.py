"""Checksums that a medium has of its own files: .treeinfo, CHECKSUMS, SHA256SUMS, md5sum.txt.

They do not prove where a medium is from, only that it is whole: one whose kernel differs from what
its own list says was damaged, or changed by somebody who did not care.
"""

from __future__ import annotations

import configparser
import hashlib
import re
from collections.abc import Iterable
from typing import Any

from ironwake.medium import Contents

_LINE = re.compile(r"([0-9a-f]{32}|[0-9a-f]{64}|[0-9a-f]{128}) [ *](?:\./)?(\S.*)")
_TREEINFO = re.compile(r"(sha256|sha512|md5):([0-9a-f]+)")
_BY_LENGTH = {32: "md5", 64: "sha256", 128: "sha512"}
_LISTS = ("CHECKSUMS", "SHA256SUMS", "md5sum.txt")


def expected(contents: Contents, paths: Iterable[str]) -> dict[str, Any]:
    """Path → hashlib's name and the digest, of those of these paths that a list has."""
    lists = [_treeinfo(contents.text(".treeinfo"))]
    lists += [_listed(contents.text(name)) for name in _LISTS]
    found = {}
    for path in paths:
        said = next((one[path] for one in lists if path in one), None)
        if said is not None:
            found[path] = said
    return found


def digest(algorithm: str, data: Iterable[bytes]) -> str:
    """Hexadecimal; MD5 too, which some vendors still give: it finds damage, and no more."""
    hasher = hashlib.new(algorithm, usedforsecurity=False)
    for piece in data:
        hasher.update(piece)
    return hasher.hexdigest()


def _treeinfo(text: str) -> dict[str, tuple[str, str]]:
    parser = configparser.ConfigParser(interpolation=None, strict=False, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # as the module says
    try:
        parser.read_string(text)
    except configparser.Error:
        return {}
    rows = parser.items("checksums") if parser.has_section("checksums") else ()
    matches = ((path, _TREEINFO.fullmatch(value.strip())) for path, value in rows)
    return {path: (match[1], match[2]) for path, match in matches if match}


def _listed(text: str) -> dict[str, tuple[str, str]]:
    matches = (_LINE.fullmatch(line.strip()) for line in text.splitlines())
    return {match[2].strip(): (_BY_LENGTH[len(match[1])], match[1]) for match in matches if match}
