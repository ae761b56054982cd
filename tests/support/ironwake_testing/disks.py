"""Disks that boot and say so on the serial line, without a kernel: ready in a second.

A UEFI disk has Debian's signed shim and GRUB on its ESP, as an installed system has them, and a
GRUB configuration that writes a line. A BIOS disk has a boot sector that writes one.
"""

from __future__ import annotations

import io
import subprocess
import tarfile
from functools import cache
from pathlib import Path

import zstandard

from ironwake_runtime.artifacts import ArtifactStore

BOOTED = "THE-DISK-HAS-BOOTED"
ESP_FIRST = 2048  # sectors
_ESP_BYTES = 48 << 20
_CHAIN = {
    "usr/lib/shim/shimx64.efi.signed": "shimx64.efi",
    "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed": "grubx64.efi",
}
# `cmdpath` is empty in a GRUB that came over the network; `lockdown` says that Secure Boot is on.
_CONFIG = f'echo "{BOOTED} cmdpath=$cmdpath lockdown=$lockdown."\nsleep 2\nhalt\n'
# 16 bits: DS = 0; let four interrupts pass, for SeaBIOS writes its own last letters to the serial
# line at the timer's; then no more of them. For each byte of the text, wait until the first serial
# port's transmitter is empty (bit 5 of port 3fd), and write it to 3f8; then halt for ever.
_SECTOR = bytes.fromhex(
    "31c0 8ed8 fb b90400 f4 e2fd fa"
    "be2a7c baf803 ac 84c0 7410 50 83c205 ec a820 74fb 83ea05 58 ee ebeb f4 ebfd"
)
_BOOT_CODE = 440  # bytes: an MSDOS table's number follows


@cache
def _chain(store: Path) -> dict[str, bytes]:
    """shim and GRUB out of the root archive, by their names on an ESP."""
    artifacts = ArtifactStore(store)
    archive = artifacts.manifest("debian-12-cloud").artifact("archive")
    found = {}
    with (
        artifacts.path(archive.sha256).open("rb") as packed,
        zstandard.ZstdDecompressor().stream_reader(packed) as plain,
        tarfile.open(fileobj=io.BufferedReader(plain), mode="r|") as tar,
    ):
        for member in tar:
            name = _CHAIN.get(member.name.removeprefix("./"))
            if name and (content := tar.extractfile(member)):
                found[name] = content.read()
            if len(found) == len(_CHAIN):
                break
    return found


def write_uefi(disk: Path, store: Path, config: str = _CONFIG) -> None:
    """A GPT disk with an ESP: Debian's chain in \\EFI\\debian, and in \\EFI\\BOOT."""
    chain = _chain(store)
    size = disk.stat().st_size
    disk.write_bytes(b"")
    with disk.open("r+b") as file:
        file.truncate(size)
    table = f"label: gpt\nstart={ESP_FIRST}, size={_ESP_BYTES // 512}, type=uefi\n"
    subprocess.run(["sfdisk", "-q", disk], input=table, text=True, check=True)
    esp = f"{disk}@@{ESP_FIRST * 512}"
    _mtools("mformat", esp, "-F", "-T", str(_ESP_BYTES // 512), "-h", "16", "-s", "63", "::")
    _mtools("mmd", esp, "::EFI", "::EFI/debian", "::EFI/BOOT")
    for folder in ("debian", "BOOT"):
        files = {**chain, "grub.cfg": config.encode()}
        if folder == "BOOT":
            files["BOOTX64.EFI"] = files.pop("shimx64.efi")
        for name, content in files.items():
            _mtools("mcopy", esp, "-", f"::EFI/{folder}/{name}", content=content)


def _mtools(program: str, image: str, *words: str, content: bytes = b"") -> None:
    subprocess.run([program, "-i", image, *words], input=content, check=True, capture_output=True)


def boot_code(text: str) -> bytes:
    """What writes this line from a disk's first sector, before its table of partitions."""
    code = _SECTOR + f"{text}\r\n".encode() + b"\0"
    assert len(code) <= _BOOT_CODE
    return code


def write_bios(disk: Path, text: str = BOOTED) -> None:
    """A boot sector that writes its line."""
    sector = boot_code(text).ljust(510, b"\0") + b"\x55\xaa"
    with disk.open("r+b") as file:
        file.write(sector)
