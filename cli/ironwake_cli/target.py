"""Which deployment is meant: by its id, by its machine, or simply the newest."""

from __future__ import annotations

from typing import Any

from ironwake.errors import UnknownError
from ironwake_cli.api import segment
from ironwake_cli.session import Session


def find(session: Session, target: str) -> dict[str, Any]:
    """The deployment of that id, or the latest of the machine of that name; else UnknownError."""
    found: dict[str, Any]
    for found in session.api.get("deployments", machine=target, limit="1")["items"]:
        return found
    try:
        found = session.api.get(f"deployments/{segment(target)}")
    except UnknownError:
        raise UnknownError(
            f"there is no deployment {target!r:.80}, and no machine of that name has one",
            "see: ironwake deployment list",
        ) from None
    return found


def latest(session: Session) -> dict[str, Any]:
    """The newest deployment of all; UnknownError when there is none."""
    found: dict[str, Any]
    for found in session.api.get("deployments", limit="1")["items"]:
        return found
    raise UnknownError(
        "there is no deployment yet", "begin one with: ironwake deploy NAME --profile PROFILE"
    )
