"""What the Debian installer's log says: where it is, and which question it waits at.

Its syslog is sent on by BusyBox (`log_host`). With DEBCONF_DEBUG=5, cdebconf logs each command that
a part of the installer gives it, and each reply:

    debconf: --> INPUT critical netcfg/get_nameservers
    debconf: <-- 0 question will be asked
    debconf: --> GO

What was answered beforehand is `30 question skipped`. The reply to GO comes at once while the
installer has no frontend (as long as it has no answers), else when somebody has answered at the
console: it waits where none comes. Values stand in these lines, too: none of them is shown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from ironwake.report import QUESTION, Callback, Stage

# A command begins with a letter, a reply with a number: the arrows alone tell nothing certain.
_COMMAND: Final = re.compile(r"(?:-->|<--)\s*([A-Za-z_]+)\s*(.*)")
_REPLY: Final = re.compile(r"(?:-->|<--)\s*(\d+)\s*(.*)")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9+./_:-]{0,120}", re.ASCII)
_CHOSEN: Final = re.compile(r"Menu item '([a-z0-9-]{1,60})' selected")
_MOST: Final = 16  # questions on one screen
_PATIENCE: Final = 2  # turns
# How far it has come when a part begins, in percent; the names of the parts are its own.
_PARTS: Final[dict[str, tuple[float, str]]] = {
    "choose-mirror": (5, "choosing a mirror"),
    "download-installer": (6, "loading parts of the installer"),
    "disk-detect": (12, "looking for disks"),
    "partman-base": (15, "dividing the disks"),
    "bootstrap-base": (22, "installing the base system"),
    "user-setup-udeb": (48, "setting up users"),
    "apt-setup-udeb": (50, "telling apt where packages are"),
    "pkgsel": (55, "installing packages"),
    "grub-installer": (90, "installing the boot loader"),
    "finish-install": (95, "finishing"),
}


@dataclass
class Reader:
    """One machine's log, line by line; `heard` gives what is news of it.

    `turn` is called every few seconds, and says which question it waits at, once.
    """

    _asked: str = ""  # the command of the last line, where it was INPUT
    _open: list[str] = field(default_factory=list)  # questions that GO will ask
    _waits: list[str] = field(default_factory=list)  # those that GO has asked
    _turns: int = 0  # since then

    def heard(self, program: str, text: str) -> Callback | None:
        """A line's news; None for none. Never raises."""
        chosen = _CHOSEN.search(text)
        if chosen and program.startswith("main-menu"):
            return _begun(chosen[1])
        if not is_secret(program, text):
            return None
        if reply := _REPLY.search(text):
            self._waits = []
            self._replied(reply[1], reply[2])
        elif command := _COMMAND.search(text):
            self._waits = []
            self._told(command[1], command[2])
        return None

    def turn(self) -> Callback | None:
        """Some time has gone by."""
        self._turns += 1
        if not self._waits or self._turns < _PATIENCE:
            return None
        names, self._waits = ", ".join(self._waits), []
        return Callback(Stage.LOG, step=QUESTION, message=f"the installer asks {names}, and waits")

    def _told(self, verb: str, rest: str) -> None:
        self._asked = ""
        words = rest.split()
        if verb == "INPUT" and len(words) == 2 and _NAME.fullmatch(words[1]):
            self._asked = words[1]
        elif verb == "GO":
            self._waits, self._open, self._turns = self._open, [], 0

    def _replied(self, code: str, text: str) -> None:
        if self._asked and code == "0" and "asked" in text and len(self._open) < _MOST:
            self._open.append(self._asked)
        self._asked = ""


def _begun(part: str) -> Callback | None:
    if part not in _PARTS:
        return None
    percent, words = _PARTS[part]
    return Callback(Stage.INSTALLING, step=part, percent=percent, message=words)


def is_secret(program: str, text: str) -> bool:
    """Whether it is a line of debconf's, which may have an answer in it."""
    return program.startswith(("debconf", "cdebconf")) or bool(
        re.match(r"(?:c?debconf\S*:\s*)?(?:-->|<--)", text)
    )
