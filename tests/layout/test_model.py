"""What a layout may say, and what is said of a mistake."""

from __future__ import annotations

import pytest

from ironwake.errors import InputError
from tests.layout.rig import MIRRORED, PLAIN, layout


@pytest.mark.parametrize("text", [PLAIN, MIRRORED])
def test_right_ones_are_taken(text: str) -> None:
    """Every volume has its reference, from the bottom up."""
    found = [reference for reference, _, _ in layout(text).volumes()]
    assert len(found) == len(set(found))


MISTAKES = {
    "mount: /}": ("mount: /x}", "no file system is mounted at /"),
    "size: 256MiB": ("size: 256Mib", "'256Mib' is not a size"),
    "role: esp,": ("role: efi,", "none of: data, esp, bios-boot"),
    "name: root,": ("name: esp,", "esp is the name of a partition twice"),
    "format: ext4,": ("", "has a mount point and no file system"),
    "name: only": ("name: only\n    table: msdos", "has room for GRUB"),
    "name: grub,": ("name: 9grub,", "is not a name here"),
    "{name: root": ("{keep: true, name: root", "would be written into it"),
    "1MiB}": ("1MiB}\n      - {name: k, keep: true, encrypt: {key: tpm2}}", "encrypted now"),
    "format: ext4": ("subvolumes: {a: /a}, format: ext4", "only btrfs has subvolumes"),
    "format: ext4, ": ("format: ext4, label: much-too-long-for-ext4, ", "is no label of ext4"),
    "ext4, mount: /}": ("vfat, mount: /}", "vfat cannot hold a system"),
    "- name: only": ("- name: only\n    match: /dev/sda", "another disk after the next restart"),
    "size: 1MiB": ("size: 60%}\n      - {name: x, size: 50%", "these are 110% of the disk"),
    "root, ": ("root, options: ['a b'], ", "is not a mount option"),
    "mount: /": ("mount: /../etc", "is not a place to mount"),
    "  - {name: grub": ("  - {name: k, keep: true}\n      - {name: grub", ""),
}


@pytest.mark.parametrize("was", [was for was, (_, says) in MISTAKES.items() if says])
def test_a_mistake_is_named(was: str) -> None:
    """What is wrong, in which line, and what to write."""
    becomes, says = MISTAKES[was]
    assert was in PLAIN
    with pytest.raises(InputError, match=says) as error:
        layout(PLAIN.replace(was, becomes, 1))
    assert error.value.where.partition(" ")[0].isdigit()


WRONG_TOGETHER = {
    "of: [both]": ("of: [nothing]", "nothing called 'nothing' before vg0"),
    "of: [first/system, second/system]": (
        "of: [first/system, first/system]",
        "belongs to both already",
    ),
    "second/system]": ("first/boot]", "has a file system of its own"),
    "level: 1": ("level: 5", "RAID 5 needs 3 devices"),
    "level: 1,": ("level: 4,", "none of: 0, 1, 5, 6, 10"),
    "mount: /boot}": ("}", "the boot loader cannot read /"),
    "mount: /var": ("mount: /srv", "/srv is the place of"),
    "name: vg0": ("name: first", "is a disk and a volume group"),
    "name: second": ("name: first", "is the name of a disk twice"),
    "of: [first/system": ("of: [vg0/root", "nothing called 'vg0/root' before both"),
    "encrypt: {key: passphrase}": ("encrypt: {key: file}", "would lie inside of it"),
    "{name: spare, size: 1GiB}": (
        "{name: spare, size: 1GiB, encrypt: {key: tpm2}}",
        "nothing stands on second/spare",
    ),
}


@pytest.mark.parametrize("was", list(WRONG_TOGETHER))
def test_parts_must_fit_together(was: str) -> None:
    """What stands on what, once, from the bottom up; and the kernel where GRUB can read it."""
    becomes, says = WRONG_TOGETHER[was]
    assert was in MIRRORED
    with pytest.raises(InputError, match=says):
        layout(MIRRORED.replace(was, becomes, 1))


def test_an_array_may_be_sealed_below() -> None:
    """An encrypted array under the group of /boot is found, however deep it is."""
    text = MIRRORED.replace("name: both, level: 1", "name: both, encrypt: {key: tpm2}, level: 1")
    layout(text)  # /boot has a partition of its own
    with pytest.raises(InputError, match="cannot read /: both is encrypted"):
        layout(
            text.replace(", format: ext4, mount: /boot}", "}").replace(
                "encrypt: {key: passphrase}, ", ""
            )
        )
