"""What every family can do, and what it is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ironwake.mac import Mac
from ironwake.machine import Machine
from ironwake.profile import Profile
from ironwake.release import Release
from ironwake.site import Site


@dataclass(frozen=True)
class Install:
    """One installation by the vendor's installer; `answers`, `callbacks`, `health` are URLs."""

    release: Release
    machine: Machine
    profile: Profile
    site: Site
    answers: str
    callbacks: str
    health: str
    erase: tuple[str, ...]


class Family(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def answer_file(self) -> str: ...

    def kernel_arguments(self, install: Install, mac: Mac) -> tuple[str, ...]:
        """What the installer's kernel is started with on the machine that boots from `mac`."""

    def answers(self, install: Install) -> str:
        """The answer file."""
