"""Runs programs of another architecture: building a root archive runs its packages' scripts.

The kernel hands such programs to QEMU's user emulation where binfmt_misc knows of it. Debian's
packages register it on a host; where nobody did, a user namespace of our own gets a registration of
its own (Linux 6.7 and later), and nothing on the host changes.

As a program: `python -m ironwake_imager.emulation INTERPRETER ARCHITECTURE COMMAND…` runs the
command in such a namespace, with the same users and groups as outside.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ironwake.errors import RefusedError
from ironwake.firmware import Architecture

_BINFMT = "/proc/sys/fs/binfmt_misc"
# clone(2), mount(2)
_NEW_NAMESPACES = 0x10000000 | 0x00020000  # user, mount
_EVERYBODY = "0 0 4294967295\n"  # user_namespaces(7): each id is itself


@dataclass(frozen=True, slots=True)
class _Processor:
    """`exit` is the shortest program there is: the system call exit(0)."""

    qemu: str
    elf_machine: int
    exit: bytes


_PROCESSORS = {
    # mov eax, 60; xor edi, edi; syscall
    Architecture.AMD64: _Processor("x86_64", 0x3E, bytes.fromhex("b83c00000031ff0f05")),
    # mov x0, 0; mov x8, 93; svc 0
    Architecture.ARM64: _Processor("aarch64", 0xB7, bytes.fromhex("000080d2a80b80d2010000d4")),
}


def prefix(architecture: Architecture) -> list[str]:
    """Words before a command that runs programs of this architecture; none where all do. Root only.

    :raises RefusedError: when this host has no way
    """
    if runs(architecture):
        return []
    qemu = _PROCESSORS[architecture].qemu
    found = [shutil.which(f"qemu-{qemu}{suffix}") for suffix in ("-static", "")]
    interpreter = next((path for path in found if path), None)
    if interpreter is not None:
        words = [sys.executable, "-m", "ironwake_imager.emulation", interpreter, str(architecture)]
        if runs(architecture, words):
            return words
    raise RefusedError(
        f"this host cannot run the programs of {architecture} packages",
        "run: apt-get install qemu-user-static binfmt-support; or build on an "
        f"{architecture} host and copy the artifacts",
    )


def runs(architecture: Architecture, words: Sequence[str] = ()) -> bool:
    """Whether a program of this architecture runs, also where the emulator is out of its sight."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "exit"
        program.write_bytes(_program(_PROCESSORS[architecture]))
        program.chmod(0o755)
        command = [*words, "chroot", folder, "/exit"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _program(processor: _Processor) -> bytes:
    """An ELF file that ends at once (System V ABI, chapter 4)."""
    base, headers = 0x400000, 64 + 56
    size = headers + len(processor.exit)
    header = _header(processor.elf_machine)
    header += struct.pack("<IQQQIHHHHHH", 1, base + headers, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 0x1000)
    return header + segment + processor.exit


def _header(machine: int) -> bytes:
    identity = b"\x7fELF\x02\x01\x01" + bytes(9)
    return identity + struct.pack("<HH", 2, machine)


def registration(architecture: Architecture, interpreter: str) -> bytes:
    """What binfmt_misc is told (Documentation/admin-guide/binfmt-misc.rst of the Linux sources).

    For executables and shared objects of any system. F: the kernel opens the emulator now, so that
    it is found from inside any root. C: set-user-id programs keep their rights. O: the emulator
    gets the program as an open file.
    """
    processor = _PROCESSORS[architecture]
    magic = _header(processor.elf_machine)
    mask = b"\xff" * 7 + b"\0" + b"\xff" * 8 + b"\xfe\xff\xff\xff"
    escaped = [b"".join(b"\\x%02x" % byte for byte in text) for text in (magic, mask)]
    words = [b"", b"qemu-ironwake", b"M", b"", *escaped, interpreter.encode(), b"OCF"]
    return b":".join(words)


def main(interpreter: str, architecture: str, *command: str) -> None:
    """Run the command in a namespace whose kernel knows the interpreter, and end as it ends."""
    there, mapped = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        _unshare()
        os.write(there[1], b"x")
        os.read(mapped[0], 1)
        subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", _BINFMT], check=True)
        text = registration(Architecture(architecture), interpreter)
        Path(_BINFMT, "register").write_bytes(text)
        os.execvp(command[0], command)  # noqa: S606 (no shell is wanted)
    os.close(there[1])  # so that a child that failed ends the wait
    if os.read(there[0], 1):
        for name in ("uid_map", "gid_map"):
            Path(f"/proc/{child}/{name}").write_text(_EVERYBODY)
        os.write(mapped[1], b"x")
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def _unshare() -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(_NEW_NAMESPACES) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"no namespace of our own: {os.strerror(error)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
