"""What a program loads when it starts, read from its file: `ldd` for any architecture.

The dynamic linker's own `--list` runs the linker, so it answers for this host's processor only.
Format: System V ABI, chapters 4 and 5; 64-bit little-endian files, as all of ours are.
"""

from __future__ import annotations

import struct
from pathlib import Path

from ironwake.errors import BrokenError

_IDENTITY = b"\x7fELF\x02\x01"  # 64 bits, little-endian
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_ENTRY = struct.Struct("<qQ")
_LOAD, _DYNAMIC, _INTERPRETER = 1, 2, 3
_END, _NEEDED, _STRING_TABLE = 0, 1, 5


def needed(path: Path) -> tuple[str, ...]:
    """The interpreter's path, where the file names one, and the libraries' sonames.

    :raises BrokenError: when the file is no such program or library
    """
    data = path.read_bytes()
    try:
        return _needed(data)
    except (struct.error, ValueError) as error:
        raise BrokenError(f"{path.name} is no 64-bit ELF file: {error}", where=str(path)) from error


def _needed(data: bytes) -> tuple[str, ...]:
    if not data.startswith(_IDENTITY):
        raise ValueError(f"it begins with {data[:6]!r}")
    fields = _HEADER.unpack_from(data)
    table, size, count = fields[5], fields[9], fields[10]
    segments = [_SEGMENT.unpack_from(data, table + size * number) for number in range(count)]
    found = [_text(data, row[2]) for row in segments if row[0] == _INTERPRETER]
    for row in segments:
        if row[0] == _DYNAMIC:
            entries = list(_ENTRY.iter_unpack(data[row[2] : row[2] + row[5] // 16 * 16]))
            if _END in dict(entries):
                entries = entries[: [tag for tag, _ in entries].index(_END)]
            strings = _offset(segments, dict(entries).get(_STRING_TABLE, 0))
            found += [_text(data, strings + value) for tag, value in entries if tag == _NEEDED]
    return tuple(found)


def _offset(segments: list[tuple[int, ...]], address: int) -> int:
    """Where in the file the byte is that will stand at this address."""
    for kind, _, offset, start, _, size, *_ in segments:
        if kind == _LOAD and start <= address < start + size:
            return address - start + offset
    raise ValueError(f"nothing is loaded at {address:#x}")


def _text(data: bytes, at: int) -> str:
    return data[at : data.index(0, at)].decode()
