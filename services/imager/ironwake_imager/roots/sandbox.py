"""Runs a program of an imported system: as its root, with nothing of this host in sight.

Namespaces of its own for mounts, processes, names and network (it has none), the system's tree as
its root with the host's gone, and the few capabilities that installing packages needs. As a
program: `python -m ironwake_imager.roots.sandbox ROOT SHARED COMMAND…`; SHARED is a folder that
stands at `/run/ironwake` in there, read-only.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

from ironwake.errors import BrokenError

SHARED = "/run/ironwake"

# sched.h, sys/mount.h, linux/prctl.h, linux/capability.h
_NAMESPACES = 0x00020000 | 0x04000000 | 0x08000000 | 0x20000000 | 0x40000000
_BIND, _RECURSIVE, _PRIVATE, _REMOUNT, _READ_ONLY = 0x1000, 0x4000, 1 << 18, 0x20, 0x1
_NO_SUID, _NO_DEVICES, _NO_EXEC, _DETACH = 0x2, 0x4, 0x8, 0x2
_DROP_CAPABILITY, _NO_NEW_PRIVILEGES = 24, 38
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
# CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, SYS_CHROOT, SETFCAP
_KEPT = {0, 1, 3, 4, 5, 6, 7, 8, 18, 31}
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
# What root may write without any capability (the kernel only asks for the owner).
_HOST = ("sys", "irq", "bus", "fs", "sysrq-trigger")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LIMIT = 3600.0  # seconds


def run(root: Path, shared: Path, *command: str) -> str:
    """Run the command below `root`, and give what it printed.

    :raises BrokenError: with its last lines
    """
    for name in ("proc", "dev", "run", "tmp"):
        place = root / name
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            raise BrokenError(f"/{name} of this system is no folder")
        place.mkdir(exist_ok=True)
    words = [sys.executable, "-m", "ironwake_imager.roots.sandbox", str(root), str(shared)]
    try:
        done = subprocess.run(
            [*words, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=_LIMIT,
        )
    except subprocess.TimeoutExpired:
        raise BrokenError(f"{command[0]} of this system did not end in {_LIMIT:g} s") from None
    text = done.stdout.decode("utf-8", "replace")
    if done.returncode:
        last = " / ".join(line.strip() for line in text.splitlines()[-8:])
        raise BrokenError(f"{command[0]} of this system ended with {done.returncode}: {last}")
    return text


def main(root: str, shared: str, *command: str) -> None:
    """Go in, run the command, and end as it ends; all that it has started ends with it."""
    libc = _Libc()
    libc.call("unshare", _NAMESPACES)
    child = os.fork()  # a namespace of processes begins with the next one
    if child:
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xFF)
    libc.call("prctl", 1, 9, 0, 0, 0)  # PR_SET_PDEATHSIG, SIGKILL
    libc.mount("", "/", "", _RECURSIVE | _PRIVATE)
    libc.mount(root, root, "", _BIND)
    _furnish(libc, Path(root), shared)
    os.chdir(root)
    libc.pivot_root()
    os.chdir("/")
    for capability in range(64):
        if capability not in _KEPT:
            libc.drop(capability)
    libc.call("prctl", _NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    environment = {
        "PATH": _PATH,
        "HOME": "/root",
        "LC_ALL": "C",
        "DEBIAN_FRONTEND": "noninteractive",
        "DEBCONF_NONINTERACTIVE_SEEN": "true",
    }
    os.execvpe(command[0], command, environment)  # noqa: S606 (no shell is wanted)


def _furnish(libc: _Libc, root: Path, shared: str) -> None:
    quiet = _NO_SUID | _NO_EXEC
    libc.mount("proc", str(root / "proc"), "proc", quiet | _NO_DEVICES)
    for name in _HOST:
        place = root / "proc" / name
        if place.exists():
            libc.mount(str(place), str(place), "", _BIND)
            libc.mount("", str(place), "", _BIND | _REMOUNT | _READ_ONLY | quiet)
    for name in ("dev", "run", "tmp"):
        flags = _NO_SUID | (0 if name == "tmp" else _NO_EXEC)
        libc.mount("tmpfs", str(root / name), "tmpfs", flags)
    (root / "tmp").chmod(0o1777)
    for name in _DEVICES:
        (root / "dev" / name).touch()
        libc.mount(f"/dev/{name}", str(root / "dev" / name), "", _BIND)
    for name, to in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1")):
        (root / "dev" / name).symlink_to(to)
    for name in ("dev/shm", SHARED.lstrip("/"), "run/lock"):
        (root / name).mkdir()
    there = str(root / SHARED.lstrip("/"))
    libc.mount(shared, there, "", _BIND)
    libc.mount("", there, "", _BIND | _REMOUNT | _READ_ONLY | _NO_SUID | _NO_DEVICES)


class _Libc:
    """System calls that the standard library does not have."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)

    def call(self, name: str, *arguments: object) -> None:
        if getattr(self._libc, name)(*arguments) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"{name}: {os.strerror(number)}")

    def mount(self, source: str, target: str, kind: str, flags: int) -> None:
        self.call("mount", source.encode(), target.encode(), kind.encode(), flags, None)

    def drop(self, capability: int) -> None:
        self._libc.prctl(_DROP_CAPABILITY, capability, 0, 0, 0)  # the kernel knows fewer than 64

    def pivot_root(self) -> None:
        """Make this folder the root, over the old one, and let that go (pivot_root(2))."""
        self.call("syscall", _PIVOT_ROOT[os.uname().machine], b".", b".")
        self.call("umount2", b".", _DETACH)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except OSError as error:
        sys.exit(f"no place of its own for this system: {error}")
