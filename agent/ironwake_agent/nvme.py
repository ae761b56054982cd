"""NVMe's own ways to erase: sanitize (NVMe 1.3 §5.24), else format with secure erase (§5.23).

Sanitizing is for the whole subsystem, and formatting may be: whatever else is there would go, too.
So they are used only where this disk is all that the controller has.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ironwake.disk import Disk
from ironwake.errors import BrokenError
from ironwake_agent.commands import CommandError, Runner

# SANICAP, and the actions of the command: block erase before crypto erase, whose result is noise.
_ACTIONS = ((0b010, "start-block-erase", "block erase"), (0b001, "start-crypto-erase", "crypto"))
_FORMATS = 0b10  # of OACS
_FOR_ALL = 0b11  # of FNA: a format, or its erasure, is for all namespaces
_SHARED = 0b10  # of CMIC: the subsystem may have other controllers
_NAMESPACE = re.compile(r"(/dev/nvme\d+)n\d+")
_LOG_LINE = re.compile(r"^0000: ((?:[0-9a-f]{2} ){4})", re.MULTILINE)
_FORMAT_PATIENCE = 6 * 3600.0
_PAUSE = 2.0  # seconds between two looks at how far it is


@dataclass(frozen=True)
class _Controller:
    path: str
    facts: dict[str, Any]
    is_alone: bool

    def has(self, field: str, bits: int) -> bool:
        return bool(int(self.facts.get(field, 0)) & bits)


def erase(
    run: Runner,
    disk: Disk,
    found: Sequence[Disk],
    tell: Callable[[str, float], None],
    pause: Callable[[float], None] = time.sleep,
) -> str:
    """What was done, or "" where this is no NVMe disk, or one that cannot do it alone.

    :param found: all disks of the machine
    :param tell: told how much is done; may raise to stop
    :raises CommandError: it tried, and the disk refused
    """
    matched = _NAMESPACE.fullmatch(disk.path)
    if not matched:
        return ""
    controller = _look(run, disk, matched[1], found)
    if controller.is_alone:
        for bit, action, name in _ACTIONS:
            if controller.has("sanicap", bit):
                run("nvme", "sanitize", controller.path, f"--sanact={action}")
                _wait(run, controller, tell, pause)
                return f"sanitized by the disk itself ({name})"
    if controller.has("oacs", _FORMATS) and (
        controller.is_alone or not controller.has("fna", _FOR_ALL)
    ):
        tell("NVMe format", 0.1)
        words = ("--ses=1", "--force")
        run("nvme", "format", disk.path, *words, timeout=_FORMAT_PATIENCE)
        return "formatted by the disk itself (secure erase)"
    return ""


def _look(run: Runner, disk: Disk, path: str, found: Sequence[Disk]) -> _Controller:
    told = _json(run, "id-ctrl", path)
    others = [one for one in found if one.path.startswith(f"{path}n") and one.path != disk.path]
    shared = int(told.get("cmic", 0)) & _SHARED
    alone = not others and not shared and _namespaces(run, path, told) == 1
    return _Controller(path, told, alone)


def _namespaces(run: Runner, path: str, told: dict[str, Any]) -> int:
    """How many there are, those that the kernel does not show included."""
    if int(told.get("nn", 0)) == 1:
        return 1
    try:
        return len(_json(run, "list-ns", path, "--all")["nsid_list"])
    except (CommandError, KeyError, TypeError):
        return 0  # nobody knows


def _json(run: Runner, *words: str) -> dict[str, Any]:
    try:
        told = json.loads(run("nvme", *words, "--output-format=json"))
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise CommandError(f"nvme {words[0]} says nothing that can be read")
    return told


def _wait(
    run: Runner,
    controller: _Controller,
    tell: Callable[[str, float], None],
    pause: Callable[[float], None],
) -> None:
    """Until the sanitize status log (0x81) says that it has ended."""
    while True:
        pause(_PAUSE)
        words = ("--log-id=0x81", "--log-len=20")
        found = _LOG_LINE.search(run("nvme", "get-log", controller.path, *words))
        if not found:
            raise CommandError("nvme does not say how far the sanitizing is")
        raw = bytes.fromhex(found[1])
        # SPROG in parts of 65536, and SSTAT: 1 and 4 done, 2 at work, 3 failed (§5.14.1.9.2).
        progress, status = int.from_bytes(raw[:2], "little"), raw[2] & 0b111
        if status in (1, 4):
            return
        if status != 2:
            # A disk that failed to sanitize gives nothing away, and takes nothing, until it has.
            raise BrokenError(
                f"{controller.path} failed to sanitize itself (status {status})",
                "order it again; if it stays so, destroy the disk",
            )
        tell("sanitizing", progress / 65536)
