"""Where secrets of power drivers and encrypted volumes are sealed; what hides them in texts."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cryptography.fernet import Fernet, InvalidToken

from ironwake.errors import BrokenError
from ironwake_controller import tokens

_LEAST = 4  # characters: shorter words stand in many a text, and are no secret to keep
_HIDDEN = "***"


class Safe:
    """Seals with the key in a file of mode 0600, which is made at the first start.

    A copy of the database alone gives no password away.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        key, _ = tokens.load(path)
        digest = hashlib.sha256(key.encode()).digest()
        self._fernet = Fernet(base64.urlsafe_b64encode(digest))

    def seal(self, secrets: dict[str, Any], name: str) -> str:
        """For the machine, or the deployment, of this name: sealed text opens for no other one."""
        document = json.dumps({"machine": name, "secrets": secrets})
        return self._fernet.encrypt(document.encode()).decode()

    def open(self, sealed: str, name: str, else_: str = "") -> dict[str, Any]:
        """What was sealed for this name.

        :param else_: what helps where the key is lost
        :raises BrokenError: the key is another one, or the text was meant for somebody else
        """
        try:
            document = json.loads(self._fernet.decrypt(sealed.encode()))
        except (InvalidToken, ValueError):
            document = {}
        if document.get("machine") != name:
            raise BrokenError(
                f"the secrets of {name} can't be opened with the key in {self._path}",
                f"bring the key back{else_}",
            )
        secrets: dict[str, Any] = document["secrets"]
        return secrets


def hide(text: str, words: Iterable[str], user: str = "") -> str:
    """The text without these secrets, in any of the forms in which they go over a wire."""
    for word in words:
        if len(word) < _LEAST:
            continue
        basic = base64.b64encode(f"{user}:{word}".encode()).decode()
        for form in (basic, word, quote(word, safe=""), json.dumps(word)[1:-1], repr(word)[1:-1]):
            text = text.replace(form, _HIDDEN)
    return text
