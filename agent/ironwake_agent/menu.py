"""GRUB's configuration, and what Debian's packages shall know about it. Pure: texts.

The first menu is written here: update-grub starts hundreds of small programs (14 s in emulation, 2
on a fast machine) to find what we know. It reads /etc/default/grub, which says the same, whenever
a kernel is installed later.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ironwake.layout.work import Boot
from ironwake.names import KernelWord

TITLE = "Debian GNU/Linux"
_TIMEOUT = 1  # seconds: long enough to press a key on a serial line


def serial_line(consoles: Iterable[KernelWord], uefi: bool) -> str:
    """GRUB's options for the serial line of `console=ttyS0,115200n8`, or "".

    UEFI firmware shows its console on the serial line by itself; twice is unreadable.
    """
    found = [re.fullmatch(r"console=ttyS(\d+)(?:,(\d+).*)?", word) for word in consoles]
    ports = [(match[1], match[2] or "9600") for match in found if match]
    return "" if uefi or not ports else f"--unit={ports[-1][0]} --speed={ports[-1][1]}"


def stub(boot: Boot) -> str:
    """The configuration on the ESP: leads to the one beside the kernels."""
    return (
        f"search.fs_uuid {boot.uuid} root\n"
        f"set prefix=($root)'{boot.folder}/grub'\n"
        "configfile $prefix/grub.cfg\n"
    )


def defaults(words: Sequence[KernelWord], serial: str) -> str:
    """/etc/default/grub: what update-grub makes the later menus from."""
    text = (
        f'GRUB_DEFAULT=0\nGRUB_TIMEOUT={_TIMEOUT}\nGRUB_DISTRIBUTOR="Debian"\n'
        f'GRUB_CMDLINE_LINUX_DEFAULT="quiet"\nGRUB_CMDLINE_LINUX="{" ".join(words)}"\n'
    )
    if serial:
        return text + f'GRUB_TERMINAL="console serial"\nGRUB_SERIAL_COMMAND="serial {serial}"\n'
    return text + "GRUB_TERMINAL=console\n"


def menu(boot: Boot, kernel: str, words: Sequence[KernelWord], serial: str) -> str:
    """/boot/grub/grub.cfg: the system, and its recovery mode.

    :param kernel: as `uname -r` says it
    """
    lines = [
        "# Written at the installation; update-grub writes it anew from /etc/default/grub.",
        "set default=0",
        f"set timeout={_TIMEOUT}",
        *((f"serial {serial}",) if serial else ()),
        # Without it a UEFI machine's screen stays dark until Linux has a driver of its own.
        "insmod all_video",
        "set gfxpayload=keep",
        *(f"terminal_{way} {'console serial' if serial else 'console'}" for way in _WAYS),
        *_entry(TITLE, boot, kernel, (*words, "quiet")),
        *_entry(f"{TITLE} (recovery mode)", boot, kernel, (*words, "single")),
    ]
    return "".join(f"{line}\n" for line in lines)


_WAYS = ("input", "output")


def _entry(title: str, boot: Boot, kernel: str, words: Sequence[str]) -> list[str]:
    arguments = " ".join((*boot.words, "ro", *words))
    return [
        f"menuentry '{title}' --class debian --class os {{",
        "\tinsmod part_gpt",
        "\tinsmod ext2",
        f"\tsearch --no-floppy --fs-uuid --set=root {boot.uuid}",
        f"\techo 'Loading Linux {kernel} ...'",
        f"\tlinux {boot.folder}/vmlinuz-{kernel} {arguments}",
        f"\tinitrd {boot.folder}/initrd.img-{kernel}",
        "}",
    ]


# Later packages run grub-install: it shall leave the boot order alone, and keep \EFI\BOOT current.
_ANSWERS = {"grub2/force_efi_extra_removable": "true", "grub2/update_nvram": "false"}


def answered(config: str) -> str:
    """debconf's config.dat with our answers in it: what debconf-set-selections would write."""
    stanzas = [text for text in config.split("\n\n") if text.strip()]
    kept = [text.strip("\n") for text in stanzas if _name(text) not in _ANSWERS]
    new = [
        f"Name: {name}\nTemplate: {name}\nValue: {value}\nOwners: shim-signed\nFlags: seen"
        for name, value in _ANSWERS.items()
    ]
    return "".join(f"{text}\n\n" for text in (*kept, *new))


def templates(text: str) -> str:
    """debconf's templates.dat with a template for each answer, where the package's is not there."""
    there = {_name(stanza) for stanza in text.split("\n\n")}
    return text + "".join(
        f"Name: {name}\nDescription: {name}\nType: boolean\nOwners: {name}\n\n"
        for name in _ANSWERS
        if name not in there
    )


def _name(stanza: str) -> str:
    return stanza.strip("\n").partition("\n")[0].removeprefix("Name: ")
