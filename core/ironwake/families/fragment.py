"""Fragments: what a person adds to an answer file that is made of data.

A profile has them as a mapping below `parameters.fragments`, which arrives here as JSON. Mappings
are joined key by key, lists go behind ours, anything else takes the place of ours.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from ironwake.errors import InputError, RefusedError

_UNSEEN: Final = "it would divide disks that nobody has looked at"
# Of cloud-init's configuration.
DISKS: Final[Mapping[str, str]] = {"disk_setup": _UNSEEN, "fs_setup": _UNSEEN}


def read(fragments: Mapping[str, str], family: str, ours: Mapping[str, str]) -> dict[str, Any]:
    """The family's fragment as data, {} where there is none.

    :param ours: keys that it may not have → why, for a person
    :raises InputError: it is no mapping, or has one of those
    """
    where = f"fragments.{family}"
    if family not in fragments:
        return {}
    try:
        found = json.loads(fragments[family])
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InputError(
            f"a fragment for {family} is a mapping",
            "write it as keys and values, not as text",
            where,
        )
    refuse(found, ours, where)
    return found


def refuse(found: Any, ours: Mapping[str, str], where: str) -> None:
    """InputError where it is a mapping that has one of these keys (key → why)."""
    for key, why in ours.items():
        if isinstance(found, dict) and key in found:
            raise InputError(
                f"a fragment may not have {key}: {why}", "leave it out", f"{where}.{key}"
            )


def check_named(devices: Iterable[str], erase: Iterable[str], where: str) -> None:
    """RefusedError for a device that a fragment writes to, and the deployment does not name."""
    for device in devices:
        if device not in erase:
            raise RefusedError(
                f"{where} writes to {device}, which nobody has looked at",
                f"if all of that may go, deploy again with --erase {device}",
            )


def joined(ours: Any, theirs: Any) -> Any:
    """Both, as the module says; neither is changed."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        both = {key: joined(ours[key], theirs[key]) for key in ours.keys() & theirs.keys()}
        return {key: both.get(key, value) for key, value in {**ours, **theirs}.items()}
    if isinstance(ours, list) and isinstance(theirs, list):
        return [*ours, *theirs]
    return theirs
