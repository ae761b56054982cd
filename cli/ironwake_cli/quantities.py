"""Durations, shares, rates and sizes as people write them: `5m`, `1%`, `200/s`, `1M`."""

from __future__ import annotations

import re

from ironwake.errors import InputError

_NUMBER = r"(\d+(?:\.\d+)?)"
_SECONDS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}
_OCTETS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}


def seconds(text: str, option: str) -> float:
    """`500ms`, `4s`, `5m`, `1h`, or a bare number of seconds."""
    return _read(text, _SECONDS, "a duration", "1s or 5m", option)


def octets(text: str, option: str) -> int:
    """`0`, `64k`, `1M`, `1G`: decimal, as disks have them."""
    return round(_read(text, _OCTETS, "a size", "64k or 1M", option))


def share(text: str, option: str) -> float:
    """`1%` or `0.01`, as 0.01."""
    if text.endswith("%"):
        return _read(text[:-1], {"": 0.01}, "a share", "1%", option)
    return _read(text, {"": 1.0}, "a share", "1%", option)


def per_second(text: str, option: str) -> float:
    """`200/s`, or a bare number."""
    return _read(text.removesuffix("/s"), {"": 1.0}, "a rate", "200/s", option)


def _read(
    text: str, units: dict[str, float] | dict[str, int], what: str, such: str, at: str
) -> float:
    found = re.fullmatch(_NUMBER + "([a-zA-Z]*)", text.strip())
    if found is None or found[2] not in units:
        raise InputError(f"{text!r:.40} is not {what}", f"write it like {such}", at)
    return float(found[1]) * units[found[2]]
