"""What opens encrypted volumes at a start, beside their passphrases."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path

from ironwake.errors import BrokenError
from ironwake.firstboot import File
from ironwake.layout.config import key_file
from ironwake.layout.model import KeySource
from ironwake.layout.work import Sealed, Work
from ironwake_agent.commands import CommandError, Runner
from ironwake_agent.inside import inside
from ironwake_agent.target import write

# Secure Boot's state: another key, or Secure Boot off, and the TPM gives nothing.
_SEALED_TO = '{"pcr_bank":"sha256","pcr_ids":"7"}'


def prepare(run: Runner, target: Path, work: Work, keys: Mapping[str, str]) -> None:
    """Give each volume what its layout says; BrokenError where the machine has no such thing."""
    for one in work.sealed:
        if one.key is KeySource.FILE:
            _key_file(run, target, one, keys[one.name])
        elif one.key is KeySource.TPM2:
            _tpm(run, target, one, keys[one.name])


def _key_file(run: Runner, target: Path, one: Sealed, passphrase: str) -> None:
    name = key_file(one.name)
    write(target, File(name, 0o400, secrets.token_hex(64)))
    path = inside(target, name)
    path.parent.chmod(0o700)
    run("cryptsetup", "luksAddKey", "--batch-mode", "--key-file=-", one.device, str(path),
        stdin=passphrase)  # fmt: skip


def _tpm(run: Runner, target: Path, one: Sealed, passphrase: str) -> None:
    words = ("clevis", "luks", "bind", "-y", "-k", "-", "-d", one.device, "tpm2", _SEALED_TO)
    try:
        run("chroot", str(target), *words, stdin=passphrase)
    except CommandError as error:
        raise BrokenError(
            f"the TPM did not take the key of {one.name}: {error}",
            "switch the TPM 2.0 on in the firmware's set-up, or use key: passphrase in the layout",
        ) from None
