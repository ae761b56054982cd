"""A whole answer file of a person's own: what its template reads, and whose place it takes."""

from __future__ import annotations

from typing import Any

from ironwake import wire
from ironwake.families.base import Install


def data(install: Install) -> dict[str, Any]:
    """What a template reads, as plain data; its names stand in docs/profiles.md."""
    return {
        "hostname": str(install.hostname),
        "domain": str(install.domain),
        "mac": str(install.mac),
        "machine": wire.dump(install.machine),
        "release": wire.dump(install.release),
        "parameters": wire.dump(install.parameters),
        "vars": dict(install.parameters.vars),
        "urls": wire.dump(install.urls),
        "disk": str(install.disk.match),
        "layout": wire.dump(install.layout),
        "erase": list(install.erase),
        "keys": dict(install.keys),
    }
