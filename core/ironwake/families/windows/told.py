"""What a profile tells Windows alone: `parameters.fragments.windows`, a mapping.

fragments:
  windows:
    image: Windows Server 2022 SERVERSTANDARD   # or index: 2; the row of the release has the usual
    product_key: XXXXX-XXXXX-XXXXX-XXXXX-XXXXX
    ui_language: de-DE         # one that the medium has
    organization: Example
    share: {path: '\\\\192.0.2.5\\windows', user: setup, password: …}
    bypass_checks: true        # of Windows 11: TPM, Secure Boot, memory, processor
    settings:                  # raw: pass, component (without Microsoft-Windows-), elements
      oobeSystem: {Shell-Setup: {OOBE: {NetworkLocation: Work}}}
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ironwake import wire
from ironwake.errors import InputError
from ironwake.families.windows.unattend import PASSES

_KEY = re.compile(r"[A-Z0-9]{5}(?:-[A-Z0-9]{5}){4}", re.ASCII)
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[A-Z][a-z]{3})?-[A-Z]{2}", re.ASCII)
_PATH = re.compile(r"\\\\[A-Za-z0-9._-]{1,100}(?:\\[A-Za-z0-9._$ -]{1,80}){1,5}", re.ASCII)
_WORD = re.compile(r"[A-Za-z0-9._@\\-]{1,100}", re.ASCII)
# Of a password that stands on a command line of Windows, within quotes.
_SECRET = re.compile(r"[A-Za-z0-9!#$*+,./:;=?@_~(){}\[\]-]{1,100}", re.ASCII)
_ELEMENT = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,79}", re.ASCII)
_DISKS = frozenset({"DiskConfiguration", "ImageInstall"})  # which say to what disk
WHERE = "fragments.windows"


@dataclass(frozen=True)
class Share:
    """A share with what the medium has on it: `\\\\server\\share`, or a folder of it."""

    path: str
    user: str = ""
    password: str = ""

    def __post_init__(self) -> None:
        _match(_PATH, self.path, "path", r"write it as in \\192.0.2.5\windows")
        if self.user or self.password:
            _match(_WORD, self.user, "user", "use letters, digits and any of . _ @ \\ -")
            _match(_SECRET, self.password, "password", "leave out blanks and \" % & < > | ^ '")


@dataclass(frozen=True)
class Told:
    """`index` 0: the image is named; `settings` are laid over ours."""

    image: str = ""
    index: int = 0
    product_key: str = ""
    ui_language: str = "en-US"
    organization: str = ""
    share: Share | None = None
    bypass_checks: bool = False

    def __post_init__(self) -> None:
        if self.product_key:
            _match(_KEY, self.product_key, "product_key", "write five times five, with hyphens")
        _match(_LANGUAGE, self.ui_language, "ui_language", "write it as in de-DE")
        for name in ("image", "organization"):
            text: str = getattr(self, name)
            if len(text) > 100 or not text.isprintable():
                raise InputError("this is no line of 100 characters", "shorten it", name)
        if not 0 <= self.index <= 99:
            raise InputError(f"{self.index} is no image's number", "give 1 to 99", "index")


def read(fragment: str, options: Mapping[str, str]) -> tuple[Told, dict[str, dict[str, Any]]]:
    """What is told, and the raw settings; `options` are the release's own.

    :raises InputError: naming the field below `fragments.windows`
    """
    try:
        data = json.loads(fragment or "{}", object_pairs_hook=wire.once)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise InputError("this is no mapping", "write names and values below windows:", WHERE)
    settings = data.pop("settings", {})
    usual = {name: options[name] for name in ("image", "product_key") if name in options}
    if "index" in data:
        usual.pop("image", None)
    try:
        told = wire.load(Told, {**usual, **data})
        return told, _settings(settings)
    except InputError as error:
        raise wire.inside(WHERE, error) from None


def _settings(data: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(data, dict) or not all(isinstance(one, dict) for one in data.values()):
        raise InputError(
            "this is no mapping of mappings", "name passes, then components", "settings"
        )
    for name, components in data.items():
        if name not in PASSES:
            known = ", ".join(PASSES)
            raise InputError(f"{name!r:.60} is no pass here", f"use {known}", "settings")
        for component, content in components.items():
            if component == "Setup" and isinstance(content, dict) and _DISKS & content.keys():
                raise InputError(
                    "the disk is chosen, guarded and divided before set-up starts",
                    f"leave out {' and '.join(sorted(_DISKS & content.keys()))}",
                    "settings",
                )
            _check_node(component, content, 0)
            if not isinstance(content, dict):
                raise InputError(f"{component} has no elements", "name them", "settings")
    return data


def _check_node(name: str, content: Any, depth: int) -> None:
    if not _ELEMENT.fullmatch(name) or depth > 12:
        raise InputError(f"{name!r:.60} is no element here", "use the schema's names", "settings")
    for item in content if isinstance(content, list) else (content,):
        if isinstance(item, dict):
            for below, value in item.items():
                _check_node(below, value, depth + 1)
        elif not isinstance(item, str) or not item.isprintable():
            raise InputError(
                f"{name} has something else than text",
                "write text on one line, with quotes around numbers and true",
                "settings",
            )


def _match(pattern: re.Pattern[str], text: str, where: str, step: str) -> None:
    # Not what it is: some of it are secrets.
    if not pattern.fullmatch(text):
        raise InputError(f"this {where.replace('_', ' ')} is not right here", step, where)
