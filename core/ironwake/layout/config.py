"""The installed system's own files about its disks."""

from __future__ import annotations

from ironwake.firstboot import File
from ironwake.layout.model import KeySource
from ironwake.layout.work import Work

_KEYS = "/etc/cryptsetup-keys.d"


def files(work: Work) -> tuple[File, ...]:
    """fstab, and what opens and assembles the rest, where there is such."""
    fstab = "".join(place.line for place in (*work.places, *work.swaps))
    found = [File("etc/fstab", 0o644, fstab)]
    if work.sealed:
        found.append(File("etc/crypttab", 0o644, _crypttab(work)))
    if work.arrays:
        found.append(File("etc/mdadm/mdadm.conf", 0o644, _mdadm(work)))
    return tuple(found)


def key_file(name: str) -> str:
    """Where the key of an encrypted volume is kept, if it has a key file."""
    return f"{_KEYS}/{name}.key"


def _crypttab(work: Work) -> str:
    lines = []
    for one in work.sealed:
        key = key_file(one.name) if one.key is KeySource.FILE else "none"
        lines.append(f"{one.name} UUID={one.uuid} {key} luks,discard\n")
    return "".join(lines)


def _mdadm(work: Work) -> str:
    rows = [f"ARRAY /dev/md/{name} metadata=1.2 UUID={uuid}\n" for name, uuid in work.arrays]
    return "".join(("HOMEHOST <ignore>\n", "MAILADDR root\n", *rows))
