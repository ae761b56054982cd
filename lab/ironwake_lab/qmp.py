"""The QEMU Machine Protocol, as much as a power panel needs (QEMU: docs/interop/qmp-spec.txt)."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

from ironwake.errors import BrokenError

_TIMEOUT_SECONDS = 30.0  # a loaded host answers late


def connect(path: Path) -> socket.socket:
    """A connection to a Unix socket, however long its path is.

    An address holds 108 bytes (unix(7)); a test's directory is easily longer. So the way goes
    through the directory's descriptor.
    """
    directory = os.open(path.parent, os.O_PATH | os.O_CLOEXEC)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(f"/proc/self/fd/{directory}/{path.name}")
    except BaseException:  # no socket is left behind, whatever stopped us
        connection.close()
        raise
    finally:
        os.close(directory)
    return connection


def command(path: Path, name: str, /, **arguments: Any) -> Any:
    """Send one command on the QMP socket at `path` and return what it returns.

    BrokenError when QEMU refuses it, does not answer within 30 s, or is not there.
    """
    try:
        with connect(path) as connection, connection.makefile("rwb") as stream:
            connection.settimeout(_TIMEOUT_SECONDS)
            _read(stream)  # the greeting
            _ask(stream, "qmp_capabilities", {})
            return _ask(stream, name, arguments)
    except (OSError, ValueError) as error:
        raise BrokenError(f"QEMU did not take {name!r}: {error}", where=str(path)) from error


def _ask(stream: Any, name: str, arguments: dict[str, Any]) -> Any:
    stream.write(json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n")
    stream.flush()
    while True:
        answer = _read(stream)
        if "error" in answer:
            raise ValueError(answer["error"].get("desc", "no reason given"))
        if "return" in answer:
            return answer["return"]
        # Else an event, which may come in between at any time.


def _read(stream: Any) -> dict[str, Any]:
    line = stream.readline()
    if not line:
        raise ValueError("it closed the connection")
    message: dict[str, Any] = json.loads(line)
    return message
