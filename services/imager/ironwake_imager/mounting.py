"""Whether we may mount: the container for media may not, and some builds cannot do without."""

from __future__ import annotations

import re
from pathlib import Path

from ironwake.errors import RefusedError

_SYS_ADMIN = 21  # linux/capability.h


def is_allowed(status: Path = Path("/proc/self/status")) -> bool:
    """Whether this process has CAP_SYS_ADMIN, which mount(2) and its namespaces ask for."""
    told = re.search(r"^CapEff:\s*([0-9a-f]+)$", status.read_text("ascii", "replace"), re.MULTILINE)
    return bool(told and int(told[1], 16) >> _SYS_ADMIN & 1)


def refused(what: str, next_step: str) -> RefusedError:
    """What is raised before anything is fetched; the next step is a way that works."""
    return RefusedError(
        f"{what} takes root that may mount: the container for media may not", next_step
    )
