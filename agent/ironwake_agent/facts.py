"""What kind of machine this is: flat texts for a person and for the inventory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ironwake.disk import Disk
from ironwake.errors import InputError
from ironwake.mac import Mac
from ironwake.sizes import size_text
from ironwake_agent.sysfs import text

_DMI = {
    "vendor": "sys_vendor",
    "product": "product_name",
    "serial": "product_serial",
    "uuid": "product_uuid",
    "board": "board_name",
    "firmware_vendor": "bios_vendor",
    "firmware_version": "bios_version",
}
# UEFI 2.10 §3.3: four bytes of attributes, then one byte, 1 where Secure Boot is enforced.
_SECURE_BOOT = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"


def uefi(root: Path = Path("/")) -> bool:
    """Whether the machine was booted by UEFI (else by a BIOS)."""
    return (root / "sys/firmware/efi").is_dir()


def secure_boot(root: Path = Path("/")) -> str:
    """`on`, `off`, or `unknown` where the firmware's variables can't be read."""
    if not uefi(root):
        return "off"
    try:
        value = (root / _SECURE_BOOT).read_bytes()
    except FileNotFoundError:
        return "off"
    except OSError:
        return "unknown"
    return "on" if value[4:5] == b"\x01" else "off"


def boot_id() -> str:
    """The kernel's id of this boot: the same until the next reset."""
    return text(Path("/proc/sys/kernel/random/boot_id"))


def cards(root: Path = Path("/")) -> dict[str, Mac]:
    """Ethernet cards that are hardware: kernel's name → own address."""
    found = {}
    for folder in sorted((root / "sys/class/net").iterdir()):
        if (folder / "device").exists() and text(folder / "type") == "1":
            try:
                found[folder.name] = Mac(text(folder / "address"))
            except InputError:
                continue  # a card without an address can't have booted anything
    return found


def has_link(card: str, root: Path = Path("/")) -> bool:
    """Whether the card's cable leads to something that is on."""
    return text(root / "sys/class/net" / card / "carrier") == "1"


def gather(disks: Sequence[Disk], root: Path = Path("/")) -> dict[str, str]:
    """All facts; keys are lower case, lists are numbered (`disk0`, `nic0`)."""
    facts = {key: text(root / "sys/class/dmi/id" / file) for key, file in _DMI.items()}
    facts |= _processor(root) | _memory(root)
    facts["architecture"] = os.uname().machine
    facts["firmware"] = "uefi" if uefi(root) else "bios"
    facts["secure_boot"] = secure_boot(root)
    facts["kernel"] = text(root / "proc/sys/kernel/osrelease")
    for index, (name, mac) in enumerate(cards(root).items()):
        link = "link" if has_link(name, root) else "no link"
        facts[f"nic{index}"] = f"{name}, {mac}, {link}"
    for index, disk in enumerate(disks):
        contents = disk.unreadable or ", ".join(disk.found) or "blank"
        removable = "removable, " if disk.removable else ""
        facts[f"disk{index}"] = f"{disk}, {removable}{contents}"
    return {key: value[:500] for key, value in facts.items() if value}


def _processor(root: Path) -> dict[str, str]:
    rows = text(root / "proc/cpuinfo").splitlines()
    models = [row.partition(":")[2].strip() for row in rows if row.startswith("model name")]
    # ARM64's kernel names no model, only numbers of its parts.
    count = sum(row.startswith("processor") for row in rows)
    return {"cpu": models[0] if models else "", "cpus": str(count) if count else ""}


def _memory(root: Path) -> dict[str, str]:
    for row in text(root / "proc/meminfo").splitlines():
        if row.startswith("MemTotal:"):
            return {"memory": size_text(int(row.split()[1]) * 1024)}
    return {}
