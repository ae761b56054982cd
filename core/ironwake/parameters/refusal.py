"""What an installer has no answer for: told to whoever stated it, never silently left out."""

from __future__ import annotations

from collections.abc import Mapping

from ironwake.errors import InputError
from ironwake.parameters.model import Parameters

_USUAL = Parameters()


def check_refused(who: str, refuses: Mapping[str, str], parameters: Parameters) -> None:
    """InputError for the first parameter of `refuses` (name → why) that is not the usual one."""
    for name, why in refuses.items():
        if getattr(parameters, name) != getattr(_USUAL, name):
            raise InputError(f"{who} takes no {name}: {why}", "leave it out", name)


def check_plain(who: str, parameters: Parameters) -> None:
    """InputError where a user has a plain password, for systems that take hashed ones."""
    for number, user in enumerate(parameters.users):
        if user.password:
            raise InputError(
                f"{who} takes no plain password, and {user.name} has one",
                "give password_hash, as mkpasswd -m sha-512 prints it",
                f"users[{number}].password",
            )
