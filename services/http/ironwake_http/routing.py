"""Request targets to routes, by data: no directory is ever walked, so there is none to escape.

Pure. A target is cut at its slashes first and decoded once afterwards, so `%2f` and `%2e%2e` are
letters of a name that no table knows. Empty parts are left out: shim asks for `/sb//grubx64.efi`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeVar
from urllib.parse import unquote

Handler = TypeVar("Handler", bound=Callable[..., Awaitable[object]])


class Access(Enum):
    """Who gets something by a route, and what protects it. Every route states one."""

    ANYONE = "bytes without secrets, that anybody may read"
    MACHINE = "made from the plan of the machine that is named; answers everyone, arms nothing"
    TOKEN = "needs a deployment's token, which the controller checks"  # noqa: S105 (words about one)


@dataclass(frozen=True)
class Route(Generic[Handler]):
    """`pattern`: literal parts, `{name}` for one part, `{name*}` at the end for one or more.

    `names`: its parts.
    """

    pattern: str
    methods: tuple[str, ...]
    access: Access
    handler: Handler
    names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.pattern.strip("/").split("/")))

    def match(self, parts: tuple[str, ...]) -> dict[str, str] | None:
        """The named parts, or None where the pattern does not fit."""
        names = self.names
        if names[-1].endswith("*}") and len(parts) >= len(names):
            rest = "/".join(parts[len(names) - 1 :])
            parts = (*parts[: len(names) - 1], rest)
        if len(parts) != len(names):
            return None
        found: dict[str, str] = {}
        for name, part in zip(names, parts, strict=True):
            if name.startswith("{"):
                found[name.strip("{*}")] = part
            elif name != part:
                return None
        return found


def split(target: str) -> tuple[tuple[str, ...], str]:
    """A request target (RFC 9112 §3.2) as decoded path parts and the query, still encoded.

    The absolute form `http://host/path` is taken too: servers MUST accept it (§3.2.2).
    """
    target, _, _ = target.partition("#")
    path, _, query = target.partition("?")
    if path[:7].lower() == "http://":
        path = "/" + path[7:].partition("/")[2]
    return tuple(unquote(part) for part in path.split("/") if part), query


def find(
    table: tuple[Route[Handler], ...], parts: tuple[str, ...]
) -> tuple[Route[Handler], Mapping[str, str]] | None:
    """The first route that fits, with its named parts."""
    for route in table:
        found = route.match(parts)
        if found is not None:
            return route, found
    return None
