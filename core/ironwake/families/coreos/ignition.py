"""Ignition's configuration, as data: of specification 3.x, and of 2.x for older systems.

Source: coreos.github.io/ignition, the pages of the specifications.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ironwake.errors import InputError
from ironwake.firstboot import File
from ironwake.parameters import Parameters
from ironwake.parameters.model import RootPolicy, User

FIRST_WITH_ARGUMENTS: Final = (3, 3)  # that knows the kernel's


@dataclass(frozen=True)
class Unit:
    """A unit of systemd, enabled."""

    name: str
    text: str


@dataclass(frozen=True)
class Config:
    """What a system becomes. `links`: path → target."""

    files: tuple[File, ...] = ()
    units: tuple[Unit, ...] = ()
    users: tuple[Mapping[str, Any], ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()


def data(config: Config, version: str) -> dict[str, Any]:
    """As the specification `version` (`3.3.0`, `2.3.0`) has it.

    :raises InputError: it has no word for something
    """
    number = numbers(version)
    # Of the older one, a place has a file system; there is the root only.
    place = {"filesystem": "root"} if number < (3,) else {}
    storage: dict[str, Any] = {}
    if config.files:
        storage["files"] = [{**place, **_file(file)} for file in config.files]
    if config.links:
        storage["links"] = [
            {**place, "path": path, "target": target, "overwrite": True}
            for path, target in config.links.items()
        ]
    found: dict[str, Any] = {"ignition": {"version": version}}
    units = [{"name": one.name, "enabled": True, "contents": one.text} for one in config.units]
    found |= {"storage": storage} if storage else {}
    found |= {"systemd": {"units": units}} if units else {}
    found |= {"passwd": {"users": [dict(one) for one in config.users]}} if config.users else {}
    if config.arguments:
        if number < FIRST_WITH_ARGUMENTS:
            raise InputError(
                f"Ignition {version} knows no arguments of the kernel",
                "leave them out",
                "kernel_arguments",
            )
        found["kernelArguments"] = {"shouldExist": list(config.arguments)}
    return found


def numbers(version: str) -> tuple[int, ...]:
    """InputError where it is no version."""
    try:
        return tuple(int(part) for part in version.split("."))
    except ValueError:
        raise InputError(
            f"{version!r:.20} is no version of Ignition", "write it as in 3.3.0", "ignition"
        ) from None


def text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=1) + "\n"


def parse(content: str) -> Any:
    """InputError where it is no configuration."""
    try:
        found = json.loads(content)
        numbers(found["ignition"]["version"])
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
        raise InputError("this is no configuration of Ignition", "") from None
    return found


def _file(file: File) -> dict[str, Any]:
    encoded = base64.b64encode(file.text.encode()).decode()
    return {
        "path": f"/{file.path}",
        "mode": file.mode,
        "overwrite": True,
        "contents": {"source": f"data:;base64,{encoded}"},
    }


def users(parameters: Parameters) -> tuple[Mapping[str, Any], ...]:
    """All accounts, and root, where somebody may be it."""
    found = [_user(one) for one in parameters.users]
    if parameters.root is RootPolicy.KEYS:
        found.append({"name": "root", "sshAuthorizedKeys": list(parameters.root_keys)})
    elif parameters.root is RootPolicy.PASSWORD:
        found.append({"name": "root", "passwordHash": parameters.root_password_hash})
    return tuple(found)


def _user(one: User) -> dict[str, Any]:
    groups: Iterable[str] = (*(("sudo",) if one.admin else ()), *one.groups)
    words: dict[str, Any] = {
        "name": str(one.name),
        "gecos": one.full_name,
        "passwordHash": one.password_hash,
        "sshAuthorizedKeys": list(one.ssh_keys),
        "groups": list(dict.fromkeys(map(str, groups))),
    }
    return {key: value for key, value in words.items() if value}
