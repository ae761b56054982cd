"""How debconf reads a preseed, in tests."""

from __future__ import annotations


def answer(text: str, name: str) -> str:
    """The last one to this question, as debconf takes it."""
    lines = [line for line in text.splitlines() if line.split(" ")[1:2] == [name]]
    return lines[-1].split(" ", 3)[3]
