"""Passphrases of a deployment's encrypted volumes: made when it is armed, kept sealed.

They go out twice: in the order, to the machine, and to the person who asks. Whatever else opens the
volumes at a start (a TPM, a key file), these open them always.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from ironwake.errors import InputError, UnknownError
from ironwake.layout.model import Layout
from ironwake_controller import ledger
from ironwake_controller.safe import Safe
from ironwake_controller.store import deployments
from ironwake_controller.store.deployments import Record
from ironwake_controller.store.store import Store

# Crockford's base 32 in small letters: nothing in it is mistaken for another, on any keyboard.
_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"
_GROUPS, _GROUP = 5, 5  # 125 bits
_LONGEST = 512  # characters: what cryptsetup reads from a terminal


def made(layout: Layout | None, given: Mapping[str, str]) -> dict[str, str]:
    """A passphrase for each encrypted volume: those that a person gave, one of ours for the rest.

    :param given: by the name of the mapping, or "" for all of them
    """
    names = layout.sealed if layout else ()
    for name, passphrase in given.items():
        if name and name not in names:
            known = ", ".join(names) or "the layout has none"
            raise InputError(
                f"there is no encrypted volume {name!r:.60}", f"known are: {known}", "keys"
            )
        if not 8 <= len(passphrase) <= _LONGEST or not passphrase.isprintable():
            raise InputError(
                "this passphrase can't be typed",
                f"use 8 to {_LONGEST} characters, no control characters",
                "keys",
            )
    own = given.get("") or _passphrase()
    return {name: given.get(name, own) for name in names}


def _passphrase() -> str:
    groups = ("".join(secrets.choice(_LETTERS) for _ in range(_GROUP)) for _ in range(_GROUPS))
    return "-".join(groups)


def sealed(safe: Safe, keys: dict[str, str], deployment: str) -> str:
    """As the store keeps them."""
    return safe.seal(keys, deployment) if keys else ""


def of(safe: Safe, record: Record) -> dict[str, str]:
    """A deployment's; BrokenError where the key that sealed them is gone."""
    return safe.open(record.keys, record.id) if record.keys else {}


def show(store: Store, safe: Safe, name: str) -> dict[str, str]:
    """A deployment's, for a person; its history tells that somebody asked."""
    with store.write() as tx:
        record = deployments.by_id(tx.connection, name)
        if record is None:
            raise UnknownError(
                f"there is no deployment {name!r:.80}",
                "list them: GET /v1/deployments",
                "deployment",
            )
        keys = of(safe, record)
        if keys:
            ledger.note(tx, record, "keys", "the keys of its encrypted volumes were shown")
        return keys
