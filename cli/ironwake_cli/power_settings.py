"""What `ironwake power NAME set` sends: a driver's settings, from options and from files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ironwake.errors import BrokenError, InputError

_LARGEST = 1000  # characters of a password

Document = dict[str, Any]


def body(driver: str, file: Path | None, given: Document) -> Document:
    """What `set` sends: the file's settings, and over them what was named."""
    if not driver:
        raise InputError("no driver is named", "add --driver redfish, or another", "--driver")
    made: Document = read(file) if file else {}
    for name, value in given.items():
        match name:
            case "ca":
                made[name] = _read_file(value)
            case "password" | "secureon":
                made[name] = _read_secret(value)
            case "verify" | "uefi":
                made[name] = False
            case _:
                made[name] = value
    return {"driver": driver, "settings": made}


def read(file: Path) -> Document:
    """A driver's settings as people write them; InputError with the line that is wrong."""
    from ironwake_runtime import yamlfile

    raw = _read_file(file).encode()
    try:
        found: Document = yamlfile.parse(dict, raw, "address: 10.0.0.7")
    except InputError as error:
        raise yamlfile.placed(error, str(file)) from None
    return _named(found)  # type: ignore[no-any-return]


def _named(value: Any) -> Any:
    """With `on` and `off` as the names that they are: YAML 1.1 takes them for true and false."""
    if isinstance(value, dict):
        words = {True: "on", False: "off"}
        return {words.get(key, key): _named(inner) for key, inner in value.items()}
    return [_named(inner) for inner in value] if isinstance(value, list) else value


def _read_secret(file: Path) -> str:
    """The first line of the file, or of standard input, which a terminal asks for unseen."""
    if str(file) == "-" and sys.stdin.isatty():
        from getpass import getpass

        return getpass("password: ")
    text = sys.stdin.readline() if str(file) == "-" else _read_file(file)
    line = text.split("\n", 1)[0].rstrip("\r")
    if not line or len(line) > _LARGEST:
        raise InputError("there is no password in it", "put it on the first line", str(file))
    return line


def _read_file(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise BrokenError(f"it can't be read: {reason}", "see its name", str(file)) from None
