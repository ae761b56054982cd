"""Programs that read what others made: with an end to their time, memory and words."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from ironwake.errors import BrokenError

_MEMORY = 2 << 30  # bytes of address space; qemu-img reserves most of one GiB
_MOST = 64 << 20  # octets that a program may say; a list of packages has 2 MiB
_LAST_WORDS = 300
_PACKAGES = {"qemu-img": "qemu-utils", "debugfs": "e2fsprogs"}


class ToolError(BrokenError):
    """A program failed; has its last line."""


def limited(words: Sequence[str | Path], seconds: int, writes: int) -> list[str]:
    """The command line that runs `words` with limits.

    :param seconds: of processor time
    :param writes: bytes that each file it writes may have
    """
    program = str(words[0])
    if shutil.which(program) is None:
        raise ToolError(f"there is no {program} on this host", f"install {_PACKAGES[program]}")
    limits = (f"--cpu={seconds}", f"--as={_MEMORY}", f"--fsize={writes}", "--core=0")
    # It ends with us, also when we are killed.
    together = ("setpriv", "--pdeathsig", "KILL", "prlimit")
    return [*together, *limits, "--", *(str(word) for word in words)]


def told(words: Sequence[str | Path], seconds: int = 60) -> bytes:
    """What a program says on its standard output; ToolError where it fails."""
    try:
        done = subprocess.run(
            limited(words, seconds, 0),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=seconds * 2,
        )
    except subprocess.TimeoutExpired:
        raise ToolError(f"{words[0]} did not end in {seconds * 2} seconds") from None
    if done.returncode or len(done.stdout) > _MOST:
        raise ToolError(f"{words[0]} failed: {last_words(done.stderr)}")
    return done.stdout


def last_words(raw: bytes) -> str:
    """A program's last line, as text."""
    lines = raw.decode(errors="replace").strip().splitlines() or ["it did not say why"]
    return lines[-1][-_LAST_WORDS:]
