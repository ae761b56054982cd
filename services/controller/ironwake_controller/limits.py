"""What one client, and all of them together, may use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Times in seconds.

    `head`: until a connection's first request is complete; `idle`: until the next one is; `body`:
    until all of a body is there; `linger`: for what is left of a body that nobody reads; `stall`:
    until a client that takes none of our answer is let go.
    """

    connections: int = 1000
    head: float = 10.0
    idle: float = 30.0
    body: float = 20.0
    linger: float = 2.0
    stall: float = 90.0
