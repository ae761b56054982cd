"""Numbers of bytes, as people write them."""

from __future__ import annotations

import re

from ironwake.errors import InputError

MIB = 1 << 20

_NUMBER = re.compile(r"(\d{1,15}(?:\.\d{1,6})?) ?(%|[KMGT]i?B)", re.ASCII)
_UNITS = {
    f"{letter}{infix}B": base**power
    for power, letter in enumerate("KMGT", start=1)
    for infix, base in (("", 1000), ("i", 1024))
}
_STEP = "write it as in 512MiB, 20GB, 25% or grow"


def octets(text: str) -> int:
    """`512MiB` or `20GB` as a number of bytes; InputError for whatever else."""
    match = _NUMBER.fullmatch(text)
    if not match or match[2] == "%":
        raise InputError(f"{text!r:.40} is no number of bytes", "write it as in 512MiB or 20GB")
    return int(float(match[1]) * _UNITS[match[2]])


def size_text(size: int) -> str:
    """Bytes as a person reads them: binary units, since partitions and least sizes use those."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.4g} {unit}"
        value /= 1024
    return f"{value:.4g} TiB"


class Size(str):
    """`512MiB` and `20GB` are fixed, `25%` is a part of the whole disk (or volume group), and all
    that `grow` share alike what is left."""

    __slots__ = ()

    def __new__(cls, text: str) -> Size:
        if text != "grow":
            match = _NUMBER.fullmatch(text)
            if not match:
                raise InputError(f"{text!r:.40} is not a size", _STEP, "size")
            if match[2] == "%" and not 0 < float(match[1]) <= 100:
                raise InputError(f"{text} is not a part of a disk", "give 1% to 100%", "size")
            if match[2] != "%" and octets(text) < MIB:
                raise InputError(f"{text} is less than 1MiB", _STEP, "size")
        return str.__new__(cls, text)

    @property
    def grows(self) -> bool:
        return self == "grow"

    @property
    def percent(self) -> float | None:
        """0 to 100, or None."""
        return float(self[:-1]) if self.endswith("%") else None

    def of(self, whole: int) -> int | None:
        """Bytes, where the `whole` has that many; None where it grows."""
        percent = self.percent
        if percent is not None:
            return int(whole * percent / 100)
        return None if self.grows else octets(self)


GROW = Size("grow")
