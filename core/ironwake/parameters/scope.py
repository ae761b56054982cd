"""Scopes: where parameters are stated, and which of them counts.

From the farthest to the nearest: the site, the profile, the machine's groups (the one with priority
1 is the nearest; among equals, the first by name), the machine. A parameter is taken whole from the
nearest scope that states it; the maps (`MAPS`) are joined key by key.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ironwake import wire
from ironwake.errors import InputError
from ironwake.parameters.model import SECRET_WORD, Parameters

MAPS: Final = ("fragments", "vars")


@dataclass(frozen=True)
class Scope:
    """`title`: where it stands, for a person; `stated`: plain data, as `check` has passed it."""

    title: str
    stated: Mapping[str, Any]


@dataclass(frozen=True)
class Settled:
    """`origins`: the title of the scope that each stated parameter is from; maps' keys by a dot."""

    parameters: Parameters
    origins: dict[str, str]


def check(stated: Mapping[str, Any]) -> None:
    """InputError, naming the parameter, where one of them is not right by itself."""
    Parameters(**wire.parts(Parameters, _plain(stated)))


def masked(stated: Mapping[str, Any]) -> dict[str, Any]:
    """What may be shown of it: a word in the place of each secret."""
    shown = wire.dump(Parameters(**wire.parts(Parameters, _plain(stated))).masked)
    hidden = {name: dict.fromkeys(stated[name], SECRET_WORD) for name in MAPS if name in stated}
    return {name: shown[name] for name in stated} | hidden


def settle(scopes: Iterable[Scope]) -> Settled:
    """Join scopes, the farthest first; InputError where what they say does not go together."""
    joined: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for scope in scopes:
        for name, value in _plain(scope.stated).items():
            if name in MAPS:
                joined[name] = {**joined.get(name, {}), **value}
                origins |= {f"{name}.{key}": scope.title for key in value}
            else:
                joined[name], origins[name] = value, scope.title
    try:
        parameters = wire.load(Parameters, joined)
        parameters.check_together()
    except InputError as error:
        where = error.where.partition("[")[0]
        said = f" (from {origins[where]})" if where in origins else ""
        raise InputError(f"{error.what}{said}", error.next_step, error.where) from None
    return Settled(parameters, origins)


def _plain(stated: Mapping[str, Any]) -> Mapping[str, Any]:
    """With fragments as text: where the format is data, people write data, and it goes as JSON."""
    fragments = stated.get("fragments")
    if not isinstance(fragments, dict):
        return stated
    texts = {
        key: json.dumps(value) if isinstance(value, dict | list) else value
        for key, value in fragments.items()
    }
    return {**stated, "fragments": texts}
