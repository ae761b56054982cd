"""Descriptors: how many this process may have, and for how many clients they are enough."""

from __future__ import annotations

import contextlib
import resource
from typing import Final

# For everything that is no client: the calls to the controller alone are up to 64 connections.
_SPARE: Final = 128
_HTTP: Final = 3  # of a connection: itself, its other in a carrier, the file that it is sent


def take_all() -> None:
    """Raise this process's limit to what it is allowed; shells give 1,024, for old programs."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # the kernel's own limit can be lower still
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def most(wanted: int) -> int:
    """So many, or fewer where a process is not allowed as many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)


def clients(wanted: int, each: int = _HTTP) -> int:
    """How many clients with so many descriptors `each` this process can bear; at most `wanted`."""
    room, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if room == resource.RLIM_INFINITY:
        return wanted
    return max(1, min(wanted, (room - _SPARE) // each))
