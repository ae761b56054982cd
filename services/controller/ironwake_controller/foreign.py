"""The other DHCP and boot servers on the machines' network, as the dhcp service hears them."""

from __future__ import annotations

import threading

from ironwake import wire
from ironwake.errors import InputError
from ironwake.site import ForeignServer

FORGET = 900.0  # seconds; the dhcp service asks every few minutes
_MOST = 16  # servers; more are somebody's joke


class Foreign:
    """In memory: whoever was heard once may be gone at the next start. From any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._heard: dict[str, tuple[ForeignServer, float]] = {}

    def hear(self, detail: dict[str, str], now: float) -> bool:
        """Take in what the dhcp service told; whether it is news. InputError where it is not one.

        :param detail: `server` is a `ForeignServer` as JSON text; nothing else is read here
        """
        server = wire.decode(ForeignServer, detail.get("server", ""))
        with self._lock:
            before = self._heard.get(server.address)
            if before is None and len(self._heard) >= _MOST:
                raise InputError("there are too many servers", where="server")
            self._heard[server.address] = (server, now)
        return before is None or before[0] != server

    def forget(self, now: float) -> bool:
        """Drop who was not heard for long; whether there was one."""
        with self._lock:
            gone = [name for name, (_, at) in self._heard.items() if now - at > FORGET]
            for name in gone:
                del self._heard[name]
        return bool(gone)

    def servers(self) -> tuple[ForeignServer, ...]:
        """Who is there, by address."""
        with self._lock:
            return tuple(server for _, (server, _) in sorted(self._heard.items()))
