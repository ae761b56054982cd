"""Which bytes of an immutable file a request wants (RFC 9110 §13, §14). Pure.

Only one range is given at a time: several in one request are answered with the whole file, which
§14.2 allows, and which no boot client asks for. What is malformed is ignored, as it says there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

# Digits are counted, so that nobody makes us compute with a number of a million of them.
_RANGE = re.compile(r"bytes=\s*([0-9]{0,18})-([0-9]{0,18})\s*", re.ASCII | re.IGNORECASE)
_TAG = re.compile(r'(?:W/)?"([^"]*)"')


@dataclass(frozen=True, slots=True)
class Part:
    """`count` bytes from `start`; status 200, 206, 304 (nothing to send) or 416."""

    status: int
    start: int
    count: int


def select(method: str, headers: Mapping[str, str], tag: str, size: int) -> Part:
    """The answer to a GET or HEAD of a file of `size` bytes whose entity tag is `tag`, bare."""
    unless = headers.get("If-None-Match")
    if unless is not None and (unless.strip() == "*" or tag in _TAG.findall(unless)):
        return Part(304, 0, 0)
    whole = Part(200, 0, size)
    wanted = _RANGE.fullmatch(headers.get("Range", ""))
    if method != "GET" or wanted is None:  # §14.2: Range means something for GET only
        return whole
    condition = headers.get("If-Range")
    if condition is not None and condition.strip() != f'"{tag}"':
        return whole  # a date, or the tag of other bytes: resuming would mix two files
    return _cut(wanted[1], wanted[2], size) or whole


def _cut(first: str, last: str, size: int) -> Part | None:
    if not first:
        if not last:
            return None
        count = min(int(last), size)
        return Part(206, size - count, count) if count else Part(416, 0, 0)
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size:
        return Part(416, 0, 0)
    end = min(int(last), size - 1) if last else size - 1
    return Part(206, start, end - start + 1)
