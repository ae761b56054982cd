"""How long work tells a person where it stands, without knowing who listens.

The builder calls, the command line draws: a bar on a terminal, plain lines elsewhere.
"""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called by long work at each thing worth showing."""

    def __call__(self, step: str, fraction: float | None, message: str) -> None:
        """Say where the work stands.

        :param step: short name of the piece of work, the same for all its calls ("ramdisk-cloud")
        :param fraction: 0.0 to 1.0, or None when nobody can know
        :param message: one plain sentence, lower case
        """


def silent(step: str, fraction: float | None, message: str) -> None:
    """Take progress and show nothing: for callers that do not care, and for tests."""
