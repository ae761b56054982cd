"""SystemImager's disks-layout.xml becomes a layout, or is refused with its line."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ironwake.errors import InputError
from ironwake.layout import systemimager
from ironwake.layout.model import Layout, Level, Role
from ironwake_runtime import yamlfile

PLAIN = """\
<?xml version="1.0"?>
<config>
  <disk dev="/dev/sda" label_type="gpt" unit_of_measurement="MiB">
    <part num="2" size="*" p_type="primary" p_name="-" flags="-"/>
    <part num="1" size="500" p_type="primary" p_name="ESP" flags="esp,boot"/>
    <part num="3" size="2048" p_type="primary" p_name="home" flags="-"/>
  </disk>
  <bootloader flavor="grub2" install_type="efi" default_entry="0" timeout="2">
    <target dev="/dev/sda1"/>
  </bootloader>
  <fsinfo line="10" comment="# /etc/fstab"/>
  <fsinfo line="20" real_dev="/dev/sda2" mount_dev="LABEL=system" mp="/" fs="ext3"
          options="noatime,errors=remount-ro" dump="1" pass="1"/>
  <fsinfo line="30" real_dev="/dev/sda1" mp="/boot/efi" fs="vfat" options="umask=0077"/>
  <fsinfo line="40" real_dev="/dev/sda3" mp="/home" fs="xfs" options="defaults" format="no"/>
  <fsinfo line="50" real_dev="server:/srv" mp="/srv" fs="nfs" options="ro"/>
</config>
"""

MIRRORED = """\
<config>
  <disk dev="/dev/sda" label_type="msdos" unit_of_measurement="GB">
    <part num="1" size="1" p_type="primary" id="fd" raid_dev="/dev/md0"/>
    <part num="2" size="*" p_type="extended"/>
    <part num="5" size="*" p_type="logical" flags="raid" raid_dev="/dev/md1"/>
  </disk>
  <disk dev="/dev/sdb" label_type="msdos" unit_of_measurement="GB">
    <part num="1" size="1" p_type="primary" raid_dev="/dev/md0"/>
    <part num="2" size="*" p_type="primary" raid_dev="/dev/md1"/>
  </disk>
  <raid>
    <raid_disk name="/dev/md0" raid_level="raid1" raid_devices="2" spare_devices="0"/>
    <raid_disk name="/dev/md1" raid_level="mirror" raid_devices="2" lvm_group="vg0"/>
  </raid>
  <lvm version="2">
    <lvm_group name="vg0" max_log_vols="0" max_phys_vols="0" phys_extent_size="4M">
      <lv name="root" size="20G"/>
      <lv name="swap" size="512M"/>
      <lv name="data" size="*" lv_options="--readahead none"/>
    </lvm_group>
  </lvm>
  <fsinfo real_dev="/dev/md0" mp="/boot" fs="ext4"/>
  <fsinfo real_dev="/dev/vg0/root" mp="/" fs="ext4"/>
  <fsinfo real_dev="/dev/mapper/vg0-swap" mp="swap" fs="swap" options="sw"/>
  <fsinfo real_dev="/dev/vg0/data" mp="/data" fs="xfs"/>
</config>
"""
BOTH = {"/dev/sda": "S1", "/dev/sdb": "S2"}


def as_read(text: str, matches: dict[str, str] | None = None) -> tuple[Layout, dict[int, str]]:
    """As a profile's file would have it, and what was told, by line."""
    found = systemimager.read(text.encode(), matches or {})
    layout = yamlfile.parse(Layout, yaml.safe_dump(found.layout).encode())
    return layout, dict(found.notes)


def test_partitions() -> None:
    """In the order of their numbers, with sizes, roles, names, and what is mounted where."""
    layout, notes = as_read(PLAIN)
    (disk,) = layout.disks
    esp, root, home = disk.partitions
    assert (disk.match, disk.table) == ("auto", "gpt")
    assert (esp.name, esp.role, esp.size) == ("ESP", Role.ESP, "500MiB")
    assert (root.name, root.format, root.mount, root.size.grows) == ("root", "ext4", "/", True)
    assert (root.label, root.options) == ("system", ("noatime", "errors=remount-ro"))
    assert (home.name, home.format, home.keep) == ("home", "xfs", True)
    assert notes[8] == "<bootloader> is left out: Ironwake settles that itself"
    assert notes[12] == "ext3 becomes ext4"
    assert notes[16] == "a file system of the network is left out"
    assert sorted(notes) == [8, 12, 16]


def test_raid_and_lvm() -> None:
    """Each stands on what named it; logical partitions are no volumes of their own kind here."""
    layout, notes = as_read(MIRRORED, BOTH)
    assert [disk.match for disk in layout.disks] == ["S1", "S2"]
    assert [len(disk.partitions) for disk in layout.disks] == [2, 2]
    boot, system = layout.arrays
    assert (boot.name, boot.level, boot.mount) == ("md0", Level.MIRROR, "/boot")
    assert system.of == ("sda/part5", "sdb/part2")
    (group,) = layout.groups
    assert (group.name, group.of) == ("vg0", ("md1",))
    assert [(one.name, one.size, one.format) for one in group.volumes] == [
        ("root", "20GiB", "ext4"),
        ("swap", "512MiB", "swap"),
        ("data", "grow", "xfs"),
    ]
    assert sorted(notes) == [5, 16, 19]


def test_kernel_names_are_nobody_s_choice() -> None:
    """With several disks, whoever imports says which is which."""
    with pytest.raises(InputError, match="may be another disk") as caught:
        as_read(MIRRORED, {"/dev/sda": "S1"})
    assert caught.value.where == "7"
    assert "--match /dev/sdb=SERIAL" in caught.value.next_step


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ('label_type="gpt"', 'label_type="convert"', 3, "label_type 'convert'"),
        ('fs="ext3"', 'fs="reiserfs"', 12, "the file system 'reiserfs'"),
        ('size="500"', 'size="many"', 5, "many MiB is no size"),
        ('size="500"', 'size=""', 5, "<part> has no size"),
        ('num="1"', 'num="one"', 5, "'one' is no number"),
        ('num="2" size="*" p_type="primary"', 'num="2" size="*" p_type="logical"', 4, "with gpt"),
        ('p_name="home"', 'p_name="-"', 15, "no partition with a p_name"),
        ('real_dev="/dev/sda2"', 'real_dev="/dev/sda9"', 12, "there is no /dev/sda9"),
        ('flags="-"/>\n    <part num="1"', 'raid_dev="/dev/md0"/>\n    <part num="1"', 4,
         "/dev/md0 is not described"),
        ("<?xml version=\"1.0\"?>", '<!DOCTYPE a [<!ENTITY b "c">]>', 1, "a document type"),
        ("</config>", "", 18, "no element found"),
    ],
)  # fmt: skip
def test_what_has_no_counterpart_is_refused(old: str, new: str, line: int, says: str) -> None:
    """With the line, and what was there."""
    assert old in PLAIN
    with pytest.raises(InputError, match=says) as caught:
        as_read(PLAIN.replace(old, new, 1))
    assert caught.value.where == str(line)


@pytest.mark.parametrize(
    ("unit", "size", "says"),
    [
        ("GB", "1.5", "1.5GB"),
        ("s", "4096", "2MiB"),
        ("B", "1", "1MiB"),
        ("percentage", "10", "10%"),
    ],
)
def test_units(unit: str, size: str, says: str) -> None:
    """As they are, or as whole MiB."""
    text = PLAIN.replace('unit_of_measurement="MiB"', f'unit_of_measurement="{unit}"')
    text = text.replace('size="500"', f'size="{size}"').replace('size="2048"', 'size="1"')
    layout, _ = as_read(text)
    assert layout.disks[0].partitions[0].size == says


@given(st.data())
def test_whatever_it_is_it_is_read_or_refused(data: st.DataObject) -> None:
    """A file with anything in place of a value ends in a layout or in a line."""
    values = MIRRORED.split('"')[1::2]
    value = data.draw(st.sampled_from(values))
    new = data.draw(st.one_of(st.sampled_from(values), st.text(max_size=8)))
    safe = new.replace("&", "").replace("<", "").replace('"', "")
    refused = ""
    try:
        as_read(MIRRORED.replace(f'"{value}"', f'"{safe}"', 1), BOTH)
    except InputError as error:
        refused = error.where
    assert refused.isdigit() or not refused
