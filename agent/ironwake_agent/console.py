"""Lines for the person who stands before the machine, and the last of them for a log."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_KEPT = 200


class Console:
    """Writes each line to all consoles, because nobody knows which one somebody reads."""

    def __init__(self, devices: Iterable[Path] = ()) -> None:
        self._devices = tuple(devices)
        self._lines: deque[str] = deque(maxlen=_KEPT)

    def say(self, text: str) -> None:
        self._lines.append(text)
        line = f"\r\nironwake: {text}\r\n".encode()
        for device in self._devices:
            # A console named on the command line need not exist: there may be no serial port.
            with suppress(OSError), device.open("wb", buffering=0) as stream:
                stream.write(line)

    def note(self, text: str) -> None:
        """Keep lines for the log only."""
        self._lines.extend(text.splitlines())

    def tail(self) -> str:
        """The last lines, oldest first."""
        return "\n".join(self._lines)


def active(root: Path = Path("/")) -> tuple[Path, ...]:
    """The kernel's consoles that are in use."""
    try:
        names = (root / "sys/class/tty/console/active").read_text().split()
    except OSError:
        names = ["console"]
    return tuple(root / "dev" / name for name in names)
