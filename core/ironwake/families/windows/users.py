"""Windows' accounts: who there is, and who logs in first."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from ironwake.errors import InputError
from ironwake.families.base import Install
from ironwake.families.windows import words
from ironwake.parameters.model import User


def components(install: Install, *, is_server: bool) -> dict[str, Any]:
    """Elements of Shell-Setup in the pass oobeSystem: accounts, and who logs in first.

    :raises InputError: naming the user's field
    """
    users = install.parameters.users
    for number, user in enumerate(users):
        _check_user(user, install.hostname, f"users[{number}]")
    first = next((user for user in users if user.admin), None)
    if first is None:
        raise InputError(
            "Windows needs an administrator, whose first logon ends the installation",
            "give a user with a password",
            "users",
        )
    accounts = [
        {
            "Name": str(user.name),
            **({"DisplayName": user.full_name} if user.full_name else {}),
            "Group": "Administrators" if user.admin else "Users",
            "Password": _password(user.password, "Password"),
        }
        for user in users
    ]
    found: dict[str, Any] = {"LocalAccounts": {"LocalAccount": accounts}}
    if is_server:
        # A server asks for it; ours is nobody's, and the first logon disables the account.
        secret = hashlib.sha256(f"administrator {install.urls.health}".encode()).hexdigest()
        found["AdministratorPassword"] = _password(f"Aa1-{secret}", "AdministratorPassword")
    return {
        "UserAccounts": found,
        "AutoLogon": {
            "Enabled": "true",
            "LogonCount": "1",
            "Username": str(first.name),
            "Password": _password(first.password, "Password"),
        },
    }


def _check_user(user: User, hostname: str, where: str) -> None:
    words.check_account(user.name, hostname, f"{where}.name")
    if user.password_hash or not user.password:
        raise InputError(
            f"Windows takes no hashed password, and {user.name} needs one",
            "give password, which the site must allow",
            f"{where}.password",
        )
    if user.groups:
        raise InputError(
            f"Windows' groups are others than {', '.join(user.groups)}",
            "leave groups out; admin: false makes a plain user",
            f"{where}.groups",
        )


def _password(plain: str, element: str) -> dict[str, str]:
    """As Windows' own tool hides them: base64 of UTF-16 of the password and the element's name."""
    hidden = base64.b64encode((plain + element).encode("utf-16-le")).decode()
    return {"Value": hidden, "PlainText": "false"}
