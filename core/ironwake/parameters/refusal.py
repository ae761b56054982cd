"""What an installer has no answer for: told to whoever stated it, never silently left out."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ironwake.errors import InputError
from ironwake.parameters.model import Parameters, Security

_USUAL = Parameters()
_TASK = re.compile(r"[a-z0-9][a-z0-9+.-]*", re.ASCII)


def check_refused(who: str, refuses: Mapping[str, str], parameters: Parameters) -> None:
    """InputError for the first parameter of `refuses` (name → why) that is not the usual one."""
    for name, why in refuses.items():
        if getattr(parameters, name) != getattr(_USUAL, name):
            raise InputError(f"{who} takes no {name}: {why}", "leave it out", name)


def check_debians(parameters: Parameters) -> None:
    """InputError for what no system of Debian's kind can be told."""
    if parameters.security is Security.PERMISSIVE:
        raise InputError(
            "AppArmor is permissive by profile, not as a whole",
            "write default, enforcing or disabled",
            "security",
        )
    for number, one in enumerate(parameters.repositories):
        if not one.suite or not (one.components or one.suite.endswith("/")):
            raise InputError(
                f"apt needs the suite and the components of {one.name}",
                "give both, as in suite: bookworm, components: [main]",
                f"repositories[{number}].suite",
            )
    for task in parameters.package_groups:
        if not _TASK.fullmatch(task):
            raise InputError(
                f"{task!r:.60} is no task of tasksel", "write it as in web-server", "package_groups"
            )


def check_plain(who: str, parameters: Parameters) -> None:
    """InputError where a user has a plain password, for systems that take hashed ones."""
    for number, user in enumerate(parameters.users):
        if user.password:
            raise InputError(
                f"{who} takes no plain password, and {user.name} has one",
                "give password_hash, as mkpasswd -m sha-512 prints it",
                f"users[{number}].password",
            )
