"""The folder of parameters: `site.yaml`, `groups/NAME.yaml`, `machines/NAME.yaml`.

People keep it in git beside the profiles. It is read when a machine is armed: a deployment has what
the files said then. A wrong file of the site or of a group arms nobody, for whom it is meant is not
known; a machine's own wrong file is told for that machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from ironwake.errors import InputError
from ironwake.machine import Machine
from ironwake.parameters import files
from ironwake.parameters.files import Group, Stated
from ironwake.parameters.scope import Scope
from ironwake_runtime import folders, yamlfile

_LARGEST = 256 << 10  # bytes of a file
_MOST = 1000  # groups

T = TypeVar("T", Group, Stated)


class Scopes:
    """The files of one folder, which need not be there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def of(
        self, machine: Machine, profile_name: str, stated: Mapping[str, Any]
    ) -> tuple[Scope, ...]:
        """All scopes of this machine with this profile, the farthest first.

        :raises InputError: a file has a mistake; `where` has its place
        """
        site = _read(Stated, self.folder / "site.yaml", self.folder)
        own = _read(Stated, self.folder / "machines" / f"{machine.name}.yaml", self.folder)
        mine = files.groups_of(machine.labels, self.groups())
        name = str(machine.name)
        return files.joined(site, (profile_name, stated), mine, (name, own))

    def groups(self) -> dict[str, Group]:
        """All groups, by name."""
        paths = sorted((self.folder / "groups").glob("*.yaml"))
        if len(paths) > _MOST:
            raise InputError(f"there are {len(paths)} groups", f"keep {_MOST} at most", "groups")
        read = ((path.stem, _read(Group, path, self.folder)) for path in paths)
        return {name: group for name, group in read if group is not None}

    def files(self) -> tuple[tuple[Path, type[Group | Stated]], ...]:
        """Every file that there is, with what it should be."""
        site = self.folder / "site.yaml"
        return (
            *(((site, Stated),) if site.is_file() else ()),
            *((path, Group) for path in sorted((self.folder / "groups").glob("*.yaml"))),
            *((path, Stated) for path in sorted((self.folder / "machines").glob("*.yaml"))),
        )


def _read(kind: type[T], path: Path, folder: Path) -> T | None:
    """What the file says; None where there is none."""
    name = str(path.relative_to(folder))
    try:
        found = folders.own(path, folder)
        if found.stat().st_size > _LARGEST:
            raise InputError(f"more than {_LARGEST} bytes", "make it shorter")
        return yamlfile.parse(kind, found.read_bytes(), "parameters: {}")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"it cannot be read: {error.strerror}", "", name) from None
    except InputError as error:
        raise yamlfile.placed(error, name) from None
