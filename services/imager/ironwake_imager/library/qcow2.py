"""qcow2 as a source: looked at before any program opens it, then made a raw disk.

A qcow2 may name other files of this host (a backing file, a data file), which qemu-img would read
into the image. The header says so; it is read here, and asked of qemu-img once more. The format is
always told to qemu-img, which would guess it from contents otherwise.
"""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from ironwake.errors import RefusedError
from ironwake_imager.library import tools

MAGIC: Final = b"QFI\xfb"
# docs/interop/qcow2.rst of QEMU: magic, version, backing file's place and length, cluster bits,
# size, encryption
_HEADER: Final = struct.Struct(">4sIQIIQI")
_FEATURES: Final = struct.Struct(">Q")
_FEATURES_AT: Final = 72
_KNOWN: Final = 0b1001  # not closed well (bit 0), compression other than zlib (bit 3)
_DATA_FILE: Final = 0b100
_CORRUPT: Final = 0b10
_SECONDS: Final = 24 * 3600
_STEP: Final = "make one file of it: qemu-img convert -O qcow2 SOURCE TARGET"


def size(path: Path, largest: int) -> int:
    """The size of the disk in a qcow2, in bytes; RefusedError where it is not one of its own.

    :param largest: bytes that the disk may have
    """
    with path.open("rb") as stream:
        count = _judge(stream.read(_FEATURES_AT + _FEATURES.size))
    if not 0 < count <= largest:
        raise RefusedError(
            f"the disk in it has {count} bytes, at most {largest} are allowed",
            "raise IRONWAKE_IMAGE_LARGEST if that is meant",
        )
    _ask(path, count)
    return count


def to_raw(path: Path, target: Path, count: int, told: Callable[[float], None]) -> None:
    """Make a raw disk of it, with holes. `size` has looked at it before."""
    words: list[str | Path] = ["qemu-img", "convert", "-p", "-f", "qcow2", "-O", "raw", "-S", "64k"]
    words += [path, target]
    with subprocess.Popen(
        tools.limited(words, _SECONDS, count),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            _follow(process, told)
            errors = process.stderr.read() if process.stderr else b""
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise tools.ToolError(f"qemu-img failed: {tools.last_words(errors)}")


def _judge(raw: bytes) -> int:
    if len(raw) < _FEATURES_AT or raw[:4] != MAGIC:
        raise RefusedError("it is no qcow2")
    _, version, backing, _, _, count, encryption = _HEADER.unpack_from(raw)
    features = _FEATURES.unpack_from(raw, _FEATURES_AT)[0] if version >= 3 else 0
    if version not in (2, 3):
        raise RefusedError(f"it is a qcow2 of version {version}", _STEP)
    if backing:
        raise RefusedError("it is a qcow2 with a backing file", _STEP)
    if features & _DATA_FILE:
        raise RefusedError("it is a qcow2 whose data are in another file", _STEP)
    if encryption:
        raise RefusedError("it is an encrypted qcow2", _STEP)
    if features & _CORRUPT:
        raise RefusedError("it is a qcow2 that is marked as damaged", "repair it: qemu-img check")
    if features & ~_KNOWN:
        raise RefusedError(f"it is a qcow2 with unknown features ({features:#x})", _STEP)
    return int(count)


def _ask(path: Path, count: int) -> None:
    """qemu-img's own words, for whatever our look at the header may have missed."""
    raw = tools.told(["qemu-img", "info", "-f", "qcow2", "--output=json", path])
    try:
        said: dict[str, Any] = json.loads(raw)
        data = said.get("format-specific", {}).get("data", {})
    except (ValueError, AttributeError):
        raise tools.ToolError("qemu-img info said something else than JSON") from None
    others = [key for key in said if key.startswith(("backing-", "full-backing-"))]
    others += [key for key in data if key.startswith("data-file")]
    if others or said.get("encrypted") or said.get("virtual-size") != count:
        raise RefusedError(f"it is a qcow2 with {', '.join(others) or 'an odd header'}", _STEP)


def _follow(process: subprocess.Popen[bytes], told: Callable[[float], None]) -> None:
    """Read `    (12.34/100%)\\r`, as qemu-img's -p writes it."""
    word = b""
    while process.stdout and (part := process.stdout.read(1)):
        if part not in b"\r\n":
            word = (word + part)[-40:]
            continue
        text, word = word.strip(b" ()").partition(b"/")[0], b""
        if text.replace(b".", b"", 1).isdigit():
            told(float(text) / 100)
