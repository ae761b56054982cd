"""OpenPGP signatures of lists of checksums: checked by gpgv, where there is a keyring for it."""

from __future__ import annotations

import base64
import binascii
import subprocess
import tempfile
from pathlib import Path

from ironwake.errors import BrokenError, RefusedError

# Where distributions' packages put keyrings.
SYSTEM = (Path("/usr/share/keyrings"), Path("/usr/share/distribution-gpg-keys"))
_PATIENCE = 60.0  # seconds
_BEGIN = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
_END = "-----END PGP PUBLIC KEY BLOCK-----"
_BAD = ("BADSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG")


def find(name: str, folders: tuple[Path, ...]) -> Path | None:
    """The keyring of this name, in the first folder that has it."""
    paths = (folder / name for folder in folders)
    return next((path for path in paths if name and path.is_file()), None)


def signed_text(raw: bytes, keyring: Path) -> bytes:
    """What is signed in a text with its signature inside; RefusedError where that is not good."""
    with tempfile.TemporaryDirectory() as folder:
        signed, out = Path(folder) / "signed", Path(folder) / "text"
        signed.write_bytes(raw)
        _gpgv(keyring, Path(folder), "--output", str(out), str(signed))
        return out.read_bytes()


def check(raw: bytes, signature: bytes, keyring: Path) -> None:
    """RefusedError where the signature is not one of these bytes, by a key of the keyring."""
    with tempfile.TemporaryDirectory() as folder:
        signed, detached = Path(folder) / "signed", Path(folder) / "signature"
        signed.write_bytes(raw)
        detached.write_bytes(signature)
        _gpgv(keyring, Path(folder), str(detached), str(signed))


def _gpgv(keyring: Path, folder: Path, *words: str) -> None:
    # Its home must not be a person's: the keys there are for other things.
    command = ["gpgv", "--status-fd", "1", "--homedir", str(folder)]
    command += ["--keyring", str(_binary(keyring, folder)), *words]
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=_PATIENCE, check=False, stdin=subprocess.DEVNULL
        )
    except FileNotFoundError:
        raise BrokenError(
            f"there is a keyring, {keyring}, and no gpgv to use it", "install gpgv"
        ) from None
    except subprocess.TimeoutExpired:
        raise BrokenError("gpgv does not come to an end", "run it again") from None
    said = [line.split()[1:2] for line in done.stdout.decode("utf-8", "replace").splitlines()]
    words_said = {word for line in said for word in line}
    # One good signature is enough: others may be by keys that this keyring does not have.
    if "VALIDSIG" not in words_said or words_said.intersection(_BAD):
        last = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise RefusedError(
            f"the list of checksums is not signed by a key of {keyring}: {last:.200}",
            "find out who changed it; nothing was kept",
        )


def _binary(keyring: Path, folder: Path) -> Path:
    """The keyring as gpgv reads it: not in ASCII armour (RFC 9580 section 6)."""
    text = keyring.read_bytes()
    if _BEGIN.encode() not in text:
        return keyring.absolute()
    packets = b""
    for block in text.decode("ascii", "replace").split(_BEGIN)[1:]:
        body = block.partition(_END)[0].replace("\r", "").partition("\n\n")[2]
        lines = [line for line in body.split("\n") if not line.startswith("=")]
        try:
            packets += base64.b64decode("".join(lines), validate=True)
        except binascii.Error:
            raise BrokenError(f"{keyring} is no keyring", "put back the vendor's") from None
    path = folder / "keyring.gpg"
    path.write_bytes(packets)
    return path
