"""What FAI says while it works: to its monitor by TCP, and by hooks of ours by HTTP.

The monitor's protocol (fai-client 6.0.3, `sendmon`): one connection for each message, one line,
`SENDER VERB TASK [CODE]`, no answer. Verbs: `check` alone, TASKBEGIN, TASKEND, TASKSKIP, TASKERROR,
HOOK. A code above `STOP` ends the installation; the machine then stays in a shell, silent.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from ironwake.report import Callback, Stage

STOP: Final = 700  # STOP_ON_ERROR
_LONGEST: Final = 200  # octets of a line
_TASK: Final = re.compile(r"[a-z][a-z0-9_.]{0,40}", re.ASCII)
_SENDER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:_-]{0,127}", re.ASCII)
# How far an installation has come when a task begins, in percent, and what it does. From runs of
# 170 s with a kernel in the base file.
TASKS: Final[dict[str, tuple[float, str]]] = {
    "setup": (1, "reading its configuration"),
    "defclass": (2, "finding out its classes"),
    "defvar": (3, "reading its variables"),
    "partition": (5, "dividing the disks"),
    "mountdisks": (12, "mounting the file systems"),
    "extrbase": (14, "unpacking the base system"),
    "debconf": (40, "answering packages' questions"),
    "repository": (43, "telling apt where packages are"),
    "updatebase": (46, "bringing the base system up to date"),
    "instsoft": (60, "installing packages"),
    "configure": (68, "configuring the system and its boot loader"),
    "tests": (92, "testing the system"),
    "finish": (94, "finishing"),
    "savelog": (97, "saving its logs"),
}
_MEANINGS: Final = {
    310: "a test of the system failed",
    321: "a package does not exist",
    420: "a script failed: its output is in scripts.log",
    471: "a package could not be installed",
    472: "apt reported an error",
    474: "the base system could not be brought up to date",
    620: "dpkg reported an error",
    710: "the disks could not be divided as the layout wants it: too small?",
    801: "the base system could not be unpacked",
    882: "its configuration could not be fetched",
    885: "a file system could not be mounted",
    886: "no file system is mounted at /",
}


@dataclass(frozen=True)
class Message:
    """One line of the monitor's protocol; `code` is None where there was none."""

    sender: str
    verb: str
    task: str = ""
    code: int | None = None


def message(line: bytes) -> Message | None:
    """A line without its end; None for what is none of this protocol."""
    if len(line) > _LONGEST:
        return None
    words = line.decode("ascii", "replace").split()
    if not 2 <= len(words) <= 4 or not _SENDER.fullmatch(words[0]):
        return None
    sender, verb, *rest = words
    task, code = "", None
    if rest:
        task = rest[0]
        if verb != "HOOK" and not _TASK.fullmatch(task):
            return None
    if len(rest) == 2:
        if not re.fullmatch(r"\d{1,5}", rest[1], re.ASCII):
            return None
        code = int(rest[1])
    known = ("check", "TASKBEGIN", "TASKEND", "TASKSKIP", "TASKERROR", "HOOK")
    return Message(sender, verb, task, code) if verb in known else None


def monitored(said: Message) -> Callback | None:
    """What a message says of the installation; None for what is no news."""
    if said.verb == "TASKBEGIN":
        return begun(said.task)
    if said.verb in ("TASKEND", "TASKERROR") and (said.code or 0) > STOP:
        return failed(said.task, said.code or 0)
    return None


def begun(task: str) -> Callback | None:
    """A task has begun."""
    if task not in TASKS:
        return None
    percent, words = TASKS[task]
    return Callback(Stage.INSTALLING, step=task, percent=percent, message=words)


def failed(task: str, code: int) -> Callback:
    """It stopped in a task, or ended with errors."""
    why = _MEANINGS.get(code, "see its log")
    where = f"task {task}" if _TASK.fullmatch(task) else "a task"
    return Callback(Stage.FAILED, step=task, message=f"FAI stopped in {where}, code {code}: {why}")


def heard(body: bytes) -> Callback | None:
    """What a hook of ours posts, as a form: `event=begin|result`, `task`, `code`. Never raises."""
    try:
        form = dict(parse_qsl(body[:4096].decode("ascii", "replace"), max_num_fields=8))
    except ValueError:
        return None
    task, event = form.get("task", ""), form.get("event")
    if event == "begin":
        return begun(task)
    if event == "result":
        code = form.get("code", "")
        number = int(code) if re.fullmatch(r"\d{1,5}", code, re.ASCII) else -1
        if number == 0 and task == "savelog":
            return Callback(Stage.INSTALLED, step=task, percent=100.0)
        return failed(task, max(number, 0))
    return None
