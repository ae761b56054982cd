"""What programs of the new system need while they run out here, and leave no trace of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ironwake.firstboot import File
from ironwake_agent.inside import inside
from ironwake_agent.network import Lease
from ironwake_agent.target import write

_NO_SERVICES = "usr/sbin/policy-rc.d"  # asked by Debian's packages before they start a service


@contextmanager
def resolver(target: Path, lease: Lease) -> Iterator[None]:
    """Names are asked of those whom DHCP names here, wherever /etc/resolv.conf leads.

    Afterwards it is what it was, unless a program has written another one meanwhile.
    """
    if not lease.dns:
        yield
        return
    path = inside(target, "etc/resolv.conf", follow=True)
    name = path.relative_to(target).as_posix()
    before = path.read_text(errors="surrogateescape") if path.is_file() else None
    ours = File(name, 0o644, "".join(f"nameserver {address}\n" for address in lease.dns))
    write(target, ours)
    try:
        yield
    finally:
        if path.is_file() and path.read_text(errors="surrogateescape") == ours.text:
            path.unlink()
            if before is not None:
                path.write_text(before, errors="surrogateescape")


@contextmanager
def no_services(target: Path) -> Iterator[None]:
    """A package that is installed meanwhile starts nothing."""
    write(target, File(_NO_SERVICES, 0o755, "#!/bin/sh\nexit 101\n"))
    try:
        yield
    finally:
        inside(target, _NO_SERVICES).unlink(missing_ok=True)
