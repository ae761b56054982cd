"""Signers whose keys are thrown away: GnuPG with a home of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_OPTIONS = ("--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "")


@dataclass(frozen=True)
class Gnupg:
    """GnuPG with this home."""

    home: Path

    def __call__(self, *words: str, text: bytes = b"") -> bytes:
        """What it prints, of `text`."""
        command = ["gpg", "--homedir", str(self.home), *_OPTIONS, *words]
        return subprocess.run(command, check=True, capture_output=True, input=text).stdout

    def add(self, name: str) -> None:
        """A signer whose address begins with this name."""
        self("--quick-gen-key", f"{name} <{name}@host.example>", "ed25519", "sign", "never")

    def export(self, name: str, *words: str) -> bytes:
        """The signer's keyring."""
        return self(*words, "--export", f"{name}@host.example")

    def signed(self, name: str, how: str, text: bytes) -> bytes:
        """By `--clearsign` or `--detach-sign`."""
        return self("--local-user", f"{name}@host.example", how, "--output", "-", text=text)


@contextmanager
def gnupg(home: Path) -> Iterator[Gnupg]:
    """Its agent ends with the block."""
    home.mkdir(mode=0o700)
    try:
        yield Gnupg(home)
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)
