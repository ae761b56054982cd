"""The two bearer tokens: made at the first start, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ironwake.errors import BrokenError

_LEAST = 32  # characters; ours have 64


class Role(StrEnum):
    ADMIN = "admin"
    SERVICE = "service"


@dataclass(frozen=True)
class Tokens:
    """Digests only: comparing those takes the same time whatever was sent, of whatever length."""

    digests: dict[Role, bytes]

    @classmethod
    def of(cls, admin: str, service: str) -> Tokens:
        return cls({Role.ADMIN: _digest(admin), Role.SERVICE: _digest(service)})

    def role(self, token: str) -> Role | None:
        """Whose token this is; all are compared, whichever fits."""
        given = _digest(token)
        found = [role for role, own in self.digests.items() if hmac.compare_digest(own, given)]
        return found[0] if found else None


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def load(path: Path) -> tuple[str, bool]:
    """The token in this file, and whether it was made just now (0600, 256 random bits).

    A file that holds something shorter is refused: an empty token would open the door to all.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = _create(path)
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError) as error:
        raise BrokenError(
            f"the token cannot be read: {error}", "see that this user may write there", str(path)
        ) from error
    if len(text) < _LEAST or not text.isprintable() or " " in text:
        raise BrokenError(
            f"this is no token: {_LEAST} characters or more are wanted",
            "delete the file; a new token is made at the next start",
            str(path),
        )
    return text, made


def _create(path: Path) -> bool:
    if path.exists():
        return False
    # Under another name first: services read this file while it comes to be.
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(secrets.token_hex(32) + "\n")
        out.flush()
        os.fsync(out.fileno())
    aside.replace(path)
    return True
