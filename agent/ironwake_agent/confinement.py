"""What becomes of SELinux or AppArmor in the new system."""

from __future__ import annotations

import re
from pathlib import Path

from ironwake.errors import BrokenError
from ironwake.firstboot import File
from ironwake.names import KernelWord
from ironwake.parameters.model import Security
from ironwake_agent.commands import CommandError, Runner
from ironwake_agent.inside import inside
from ironwake_agent.target import exists, write

_SELINUX = "etc/selinux/config"
_APPARMOR = ("usr/sbin/apparmor_parser", "sbin/apparmor_parser")
_TYPE = re.compile(r"^[ \t]*SELINUXTYPE=([A-Za-z0-9_-]+)[ \t]*$", re.MULTILINE)
# Where the agent writes by itself.
_OURS = ("etc", "root", "home", "boot", "usr/lib/ironwake", "var/lib/cloud")
_MOUNTS = Path("/proc/self/mounts")
_LABELLED = ("ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs")  # FAT has no place for labels
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
    before = _read(root)
    was = _STATE.search(before)
    line = f"SELINUX={security}"
    after = _STATE.sub(line, before) if was else f"{before.rstrip()}\n{line}\n".lstrip()
    path.write_text(after, errors="surrogateescape")
    # What was written while it was off has no labels, and nobody could log in.
    if security is Security.ENFORCING and was and was[0].endswith("disabled"):
        write(root, File(".autorelabel", 0o644, ""))


def label(run: Runner, root: Path, *, whole: bool, mounts: Path = _MOUNTS) -> None:
    """Give what was written here SELinux' labels, where the new system asks for them: what has
    none could be read by no service of its own.

    :param whole: anything may have been written, not only what the agent writes by itself
    :param mounts: what is mounted, as proc_mounts(5)
    """
    text = _read(root)
    found = _TYPE.search(text)
    if not found or "SELINUX=disabled" in text.split():
        return
    contexts = f"etc/selinux/{found[1]}/contexts/files/file_contexts"
    if exists(root, "usr/sbin/setfiles") and exists(root, contexts):
        places = _whole(root, mounts) if whole else _ours(root)
        left_out = [word for name in ("/dev", "/proc", "/sys") for word in ("-e", name)]
        try:
            run(
                *("chroot", str(root), "setfiles", "-F", *left_out, f"/{contexts}", *places),
                timeout=1800.0,
            )
        except CommandError:
            pass  # it labels itself then
        else:
            return
    write(root, File(".autorelabel", 0o644, ""))  # at its first boot, which takes a restart more


def _ours(root: Path) -> tuple[str, ...]:
    return tuple(f"/{one}" for one in _OURS if exists(root, one))


def _whole(root: Path, mounts: Path) -> tuple[str, ...]:
    """Each file system by its own place: setfiles goes into none that it was not told of."""
    rows = [line.split() for line in mounts.read_text().splitlines()]
    places = [row[1] for row in rows if row[2] in _LABELLED]
    return ("/", *(one.removeprefix(str(root)) for one in places if one.startswith(f"{root}/")))


def _read(root: Path) -> str:
    path = inside(root, _SELINUX, follow=True)
    return path.read_text(errors="surrogateescape") if path.is_file() else ""


def _has_apparmor(root: Path) -> bool:
    return any(exists(root, name) for name in _APPARMOR)
