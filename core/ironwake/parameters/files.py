"""Parameters of more than one profile: what the files of the site, its groups and machines say.

# site.yaml
parameters: {timezone: Europe/Berlin, ntp: [192.0.2.1]}

# groups/database.yaml
match: {role: database}     # labels that a machine must have, all of them
priority: 10                # 1 is the nearest to the machine
parameters: {packages: [postgresql]}

# machines/node1.yaml
parameters: {network: {…}}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ironwake import wire
from ironwake.errors import InputError
from ironwake.parameters import scope
from ironwake.parameters.scope import Scope

_FARTHEST = 1000


@dataclass(frozen=True)
class Stated:
    """What a file of the site, or of one machine, says."""

    parameters: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check(self.parameters)


@dataclass(frozen=True)
class Group:
    """What a group's file says: for machines that have all labels of `match`."""

    match: dict[str, str]
    priority: int = 100
    parameters: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check(self.parameters)
        if not self.match:
            raise InputError("a group has labels", "put what is for all into site.yaml", "match")
        if not 1 <= self.priority <= _FARTHEST:
            raise InputError(
                f"{self.priority} is no priority", f"give 1 (nearest) to {_FARTHEST}", "priority"
            )

    def has(self, labels: Mapping[str, str]) -> bool:
        """Whether a machine with these labels is in it."""
        return all(labels.get(key) == value for key, value in self.match.items())


def groups_of(labels: Mapping[str, str], groups: Mapping[str, Group]) -> tuple[Scope, ...]:
    """The scopes of the groups, by name, that have such a machine: the farthest first."""
    mine = [(name, group) for name, group in groups.items() if group.has(labels)]
    # Among equals, the first by name is the nearest.
    mine.sort(key=lambda one: (-one[1].priority, _reversed(one[0])))
    return tuple(
        Scope(f"group {name} (priority {group.priority})", group.parameters) for name, group in mine
    )


def _reversed(text: str) -> tuple[int, ...]:
    """A key that sorts texts the other way round."""
    return (*(-ord(letter) for letter in text), 1)


def joined(
    site: Stated | None,
    profile: tuple[str, Mapping[str, Any]],
    groups: Iterable[Scope],
    machine: tuple[str, Stated | None],
) -> tuple[Scope, ...]:
    """All scopes of one machine, the farthest first; `profile` and `machine` with their names."""
    own, stated = machine
    return (
        *((Scope("site", site.parameters),) if site else ()),
        Scope(f"profile {profile[0]}", profile[1]),
        *groups,
        *((Scope(f"machine {own}", stated.parameters),) if stated else ()),
    )


def _check(parameters: Mapping[str, Any]) -> None:
    try:
        scope.check(parameters)
    except InputError as error:
        raise wire.inside("parameters", error) from None
