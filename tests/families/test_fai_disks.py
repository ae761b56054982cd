"""FAI: disks and layouts in the words of setup-storage."""

from __future__ import annotations

import re

import pytest

from ironwake.errors import InputError
from ironwake.families.fai import FAMILY
from ironwake.families.fai.disks import boot_disks, disk_config
from ironwake.layout.model import (
    Array,
    Encryption,
    Format,
    Group,
    KeySource,
    Layout,
    Level,
    LogicalVolume,
    MountPoint,
    Role,
    Table,
    VolumeName,
)
from ironwake.layout.usual import usual
from ironwake.sizes import MIB, Size, octets
from tests.families.asked import disk, files, part
from tests.families.faispace import install, space


def test_the_usual_disk_boots_both_ways() -> None:
    """An EFI system partition, room for GRUB's core, and the rest for the root."""
    assert disk_config(usual()) == (
        "disk_config disk1 disklabel:gpt-bios fstabkey:uuid align-at:1M bootable:1\n"
        "p=ESP /boot/efi 256MiB vfat umask=0077\n"
        "p=root / 1500MiB- ext4 defaults\n"
    )
    assert boot_disks(usual()) == (0,)


def test_arrays_and_groups_stand_on_partitions_by_their_numbers() -> None:
    """setup-storage counts partitions from 1, and makes the one for GRUB's core by itself."""
    parts = (part("core", "1MiB", role=Role.BIOS_BOOT), part("sys", "20GiB"))
    layout = Layout(
        (disk("a", *parts, match="A"), disk("b", *parts, match="B")),
        (Array(VolumeName("both"), level=Level.MIRROR, of=("a/sys", "b/sys")),),
        (
            Group(
                VolumeName("vg0"),
                ("both",),
                (
                    LogicalVolume(
                        VolumeName("root"),
                        Format.EXT4,
                        MountPoint("/"),
                        ("noatime",),
                        size=Size("8GiB"),
                    ),
                    LogicalVolume(VolumeName("swap"), Format.SWAP, size=Size("1GB")),
                ),
            ),
        ),
    )
    text = disk_config(layout)
    assert "p=sys - 20480MiB - -" in text
    assert "disk_config raid fstabkey:uuid\nraid1 - disk1.1,disk2.1 - -\n" in text
    assert "vg vg0 md0\nvg0-root / 8192MiB ext4 noatime\nvg0-swap swap 954MiB swap sw\n" in text
    assert boot_disks(layout) == (0, 1)
    assert "mdadm\nlvm2\n" in space(install(layout))["package_config/IRONWAKE"]


@pytest.mark.parametrize("size", ["1GB", "1.5MiB", "1MiB", "1048577KB", "3.3GiB"])
def test_nothing_is_smaller_than_it_was_asked_for(size: str) -> None:
    """setup-storage counts in whole MiB: what is none is rounded up, by less than one."""
    text = disk_config(Layout((disk("d", files("root", "/"), part("x", size)),)))
    (told,) = re.findall(r"^p=x - (\d+)MiB ", text, re.MULTILINE)
    assert 0 <= int(told) * MIB - octets(size) < MIB


def test_part_of_a_percent_is_refused() -> None:
    """setup-storage takes none; rounded up, the parts of a disk could be more than the whole."""
    layout = Layout((disk("d", files("root", "/", "33.5%"), part("x", "66.5%")),))
    with pytest.raises(InputError, match="whole percent only") as caught:
        disk_config(layout)
    assert caught.value.where == "layout.disks[0].partitions[0].size"
    whole = Layout((disk("d", files("root", "/", "33%"), part("x", "67.0%")),))
    assert "p=x - 67% " in disk_config(whole)


def test_an_msdos_table_has_logical_partitions_from_the_fourth_on() -> None:
    """Numbered from 5, as the kernel does."""
    parts = [
        files("root", "/", "4GiB"),
        *(part(f"p{n}", "1GiB", format=Format.EXT4) for n in range(4)),
    ]
    text = disk_config(Layout((disk("d", *parts, table=Table.MSDOS),)))
    assert text.count("primary ") == 3
    assert text.count("logical ") == 2
    assert "bootable:1" in text


@pytest.mark.parametrize(
    ("layout", "where"),
    [
        (
            Layout(
                (
                    disk(
                        "d",
                        files("root", "/", "4GiB"),
                        part("x", format=Format.EXT4, encrypt=Encryption(KeySource.PASSPHRASE)),
                    ),
                )
            ),
            "layout.disks[0].partitions[1].encrypt",
        ),
        (
            Layout((disk("d", files("root", "/", "4GiB"), part("x", keep=True)),)),
            "layout.disks[0].partitions[1].keep",
        ),
        (
            Layout(
                (disk("d", files("root", "/", "4GiB"), part("p")),),
                groups=(
                    Group(
                        VolumeName("a-b"),
                        ("d/p",),
                        (LogicalVolume(VolumeName("v"), Format.EXT4),),
                    ),
                ),
            ),
            "layout.groups[0].name",
        ),
    ],
)
def test_what_fai_cannot_make_is_refused_by_its_field(layout: Layout, where: str) -> None:
    """Before anything is served."""
    with pytest.raises(InputError) as error:
        FAMILY.check(install(layout))
    assert error.value.where == where
