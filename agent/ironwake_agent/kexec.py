"""Starts the installed kernel from the running one: no firmware, no boot loader, no second POST.

kexec_file_load(2) only: the kernel then checks the signature of what it starts, so that this is
allowed under Secure Boot, where kexec_load(2) is not. The two system calls are made here: Debian's
program for them brings ten libraries of Xen along.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from pathlib import Path

from ironwake.errors import RefusedError
from ironwake_agent import entry
from ironwake_agent.entry import Entry
from ironwake_agent.inside import inside

# include/uapi/linux/kexec.h, include/uapi/linux/reboot.h; the number of the call by `uname -m`
_NO_INITRD = 0x4
_REBOOT_KEXEC = 0x45584543
_FILE_LOAD = {"x86_64": 320, "aarch64": 294}
_MENUS = ("boot/grub/grub.cfg", "boot/grub2/grub.cfg")

# Takes the descriptors of kernel and initrd (-1 where there is none), and the words.
Loader = Callable[[int, int, bytes], None]


def file_load(kernel: int, initrd: int, words: bytes) -> None:
    """The system call; OSError where the kernel refuses."""
    machine = os.uname().machine
    if machine not in _FILE_LOAD:
        raise OSError(f"there is no kexec_file_load for {machine}")
    libc = ctypes.CDLL(None, use_errno=True)
    flags = _NO_INITRD if initrd < 0 else 0
    failed = libc.syscall(
        ctypes.c_long(_FILE_LOAD[machine]),
        ctypes.c_int(kernel),
        ctypes.c_int(initrd),
        ctypes.c_ulong(len(words) + 1),  # with the zero at its end
        ctypes.c_char_p(words),
        ctypes.c_ulong(flags),
    )
    if failed:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def load(root: Path, call: Loader = file_load) -> Entry:
    """Put the kernel of the system at `root` where `start` finds it: what its own menu boots.

    :raises RefusedError: the menu is not clear, a file is not there, or the kernel says no
    :raises BrokenError: links of the system go round in a ring
    """
    found = entry.default(_menu(root))
    descriptors: list[int] = []
    try:
        for path in (found.kernel, found.initrd):
            descriptors.append(_open(root, path) if path else -1)
        call(descriptors[0], descriptors[1], " ".join(found.words).encode())
    except OSError as error:
        # EKEYREJECTED: no key that this kernel trusts has signed it
        raise RefusedError(
            f"the running kernel does not take {found.kernel}: {error.strerror or error}"
        ) from None
    finally:
        for descriptor in descriptors:
            if descriptor >= 0:
                os.close(descriptor)
    return found


def start() -> None:
    """Start what was loaded; returns, with OSError, only where that does not work."""
    libc = ctypes.CDLL(None, use_errno=True)
    os.sync()
    libc.reboot(ctypes.c_int(_REBOOT_KEXEC))
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number))


def _menu(root: Path) -> str:
    for name in _MENUS:
        try:
            return inside(root, name, follow=True).read_text(errors="replace")
        except OSError:
            continue
    raise RefusedError("the installed system has no menu of GRUB")


def _open(root: Path, path: str) -> int:
    """GRUB's paths begin at the file system that has the kernels, or at a subvolume of it."""
    name = path.rpartition("/")[2]
    file = inside(root, f"boot/{name}", follow=True)
    return os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
