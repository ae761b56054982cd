"""The kernel's small files below /sys and /proc, as text."""

from __future__ import annotations

from pathlib import Path


def text(path: Path) -> str:
    """What the file says, without what ends it; "" where it is not there, or says nothing now."""
    try:
        return path.read_text(errors="replace").strip(" \n\0")
    except OSError:
        return ""
