"""Requests stay with the server that they were meant for: its scheme, host and port (RFC 6454).

Whoever answers as a BMC says where its resources are. A wrong or hostile one would have us send the
machine's password, and whatever it likes to be asked for, to any address that this host reaches.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from ironwake.errors import RefusedError

_USUAL_PORTS = {"http": 80, "https": 443}


def origin_of(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port in one spelling; None where it is no URL of a web server."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    usual = _USUAL_PORTS.get(parts.scheme)
    if usual is None or not host:
        return None
    return parts.scheme, host.lower(), usual if port is None else port


def keep_to(session: Any, address: str) -> None:
    """Have this session of `requests` raise RefusedError before it asks another server.

    Each redirection is sent by the same method.
    """
    own, send = origin_of(address), session.send

    def guarded(request: Any, **options: Any) -> Any:
        if origin_of(request.url) != own:
            raise RefusedError(
                f"the BMC at {address} sends us to {_shown(request.url)}",
                "nothing was sent there; if that is the BMC's right address, set it as its address",
                "address",
            )
        return send(request, **options)

    session.send = guarded


def _shown(url: str) -> str:
    """Without what may be a secret in it."""
    origin = origin_of(url)
    return "{}://{}:{}".format(*origin) if origin else "what is no web server"
