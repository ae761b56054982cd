"""What becomes of SELinux or AppArmor in the new system."""

from __future__ import annotations

import re
from pathlib import Path

from ironwake.errors import BrokenError
from ironwake.firstboot import File
from ironwake.names import KernelWord
from ironwake.parameters.model import Security
from ironwake_agent.inside import inside
from ironwake_agent.target import exists, write

_SELINUX = "etc/selinux/config"
_APPARMOR = ("usr/sbin/apparmor_parser", "sbin/apparmor_parser")
_STATE = re.compile(r"^[ \t]*SELINUX=.*$", re.MULTILINE)


def packages(root: Path, security: Security) -> tuple[str, ...]:
    """What a Debian must have for it, and has not."""
    needs = security is Security.ENFORCING and not exists(root, _SELINUX)
    debian = exists(root, "usr/bin/apt-get")
    return ("apparmor",) if needs and debian and not _has_apparmor(root) else ()


def words(root: Path, security: Security) -> tuple[KernelWord, ...]:
    """What the kernel is told of it."""
    told: dict[Security, tuple[str, ...]]
    if exists(root, _SELINUX):
        told = {Security.DISABLED: ("selinux=0",)}
    else:
        told = {
            Security.DISABLED: ("apparmor=0",),
            Security.ENFORCING: ("apparmor=1", "security=apparmor"),
        }
    return tuple(KernelWord(word) for word in told.get(security, ()))


def configure(root: Path, security: Security) -> None:
    """Set it; all packages are there.

    :raises BrokenError: the system has nothing that could be set so
    """
    if security is Security.DEFAULT:
        return
    if exists(root, _SELINUX):
        _set_selinux(root, security)
    elif security is Security.PERMISSIVE:
        raise BrokenError(
            "the new system has no SELinux, and AppArmor cannot be permissive as a whole",
            "use enforcing or disabled as parameters.security",
        )
    elif security is Security.ENFORCING and not _has_apparmor(root):
        raise BrokenError(
            "the new system has neither SELinux nor AppArmor that could be enforcing",
            "use an image that has one of them, or leave parameters.security out",
        )


def _set_selinux(root: Path, security: Security) -> None:
    path = inside(root, _SELINUX, follow=True)
    before = path.read_text(errors="surrogateescape")
    was = _STATE.search(before)
    line = f"SELINUX={security}"
    after = _STATE.sub(line, before) if was else f"{before.rstrip()}\n{line}\n".lstrip()
    path.write_text(after, errors="surrogateescape")
    # What was written while it was off has no labels, and nobody could log in.
    if security is Security.ENFORCING and was and was[0].endswith("disabled"):
        write(root, File(".autorelabel", 0o644, ""))


def _has_apparmor(root: Path) -> bool:
    return any(exists(root, name) for name in _APPARMOR)
