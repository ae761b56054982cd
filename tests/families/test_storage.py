"""A layout as installers need it: what each volume is for, and what is refused."""

from __future__ import annotations

import pytest

from ironwake.errors import InputError
from ironwake.families import storage
from ironwake.families.storage import Can, Use
from ironwake.layout.model import (
    Array,
    Encryption,
    Format,
    KeySource,
    Layout,
    Level,
    MountPoint,
    VolumeName,
    Wipe,
)
from ironwake.sizes import Size
from tests.families import asked

ROOT = asked.files("root", "/")


def test_each_volume_is_for_something() -> None:
    """In the order in which they come to be, with who stands on them."""
    found = [(one.reference, one.use, one.user) for one in storage.items(asked.LVM)]
    assert found == [
        ("first/esp", Use.ESP, ""),
        ("first/boot", Use.FILES, ""),
        ("first/pv", Use.GROUP, "vg0"),
        ("vg0/root", Use.FILES, ""),
        ("vg0/swap", Use.SWAP, ""),
        ("vg0/data", Use.FILES, ""),
    ]
    members = [one for one in storage.items(asked.RAID) if one.use is Use.ARRAY]
    assert [(one.disk, one.user) for one in members] == [(0, "both"), (1, "both")]


@pytest.mark.parametrize("name", asked.LAYOUTS)
def test_what_all_can_is_not_refused(name: str) -> None:
    """Layouts of the usual kinds pass an installer without limits."""
    storage.check(asked.LAYOUTS[name], Can("it"))


def _array(name: str, of: tuple[str, ...], **more: object) -> Array:
    return Array(VolumeName(name), level=Level.MIRROR, of=of, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("layout", "can", "where"),
    [
        (
            Layout((asked.disk("a", ROOT, wipe=Wipe.NEVER),)),
            Can("it"),
            "layout.disks[0].wipe",
        ),
        (
            Layout((asked.disk("a", ROOT, asked.files("k", "/k", keep=True)),)),
            Can("it"),
            "layout.disks[0].partitions[1].keep",
        ),
        (
            Layout((asked.disk("a", ROOT, asked.part("i", "1GiB")),)),
            Can("it"),
            "layout.disks[0].partitions[1]",
        ),
        (asked.BTRFS, Can("it", subvolumes=False), "layout.disks[0].partitions[1].subvolumes"),
        (
            asked.BTRFS,
            Can("it", formats=frozenset({Format.EXT4})),
            "layout.disks[0].partitions[1].format",
        ),
        (asked.PERCENT, Can("it", percent=False), "layout.disks[0].partitions[1].size"),
        (
            Layout(
                (
                    asked.disk(
                        "a",
                        asked.files("boot", "/boot", "1GiB"),
                        asked.files("root", "/", encrypt=Encryption(KeySource.TPM2)),
                    ),
                )
            ),
            Can("it"),
            "layout.disks[0].partitions[1].encrypt.key",
        ),
        (
            Layout(
                (asked.disk("a", *(asked.part(one) for one in "wxyz"), ROOT),),
                arrays=(
                    _array("one", ("a/w", "a/x")),
                    _array("two", ("a/y", "a/z")),
                    _array("all", ("one", "two"), format=Format.EXT4, mount=MountPoint("/srv")),
                ),
            ),
            Can("it"),
            "layout.arrays[0]",
        ),
        (
            Layout(
                (asked.disk("a", *(asked.part(one) for one in "xyz"), ROOT),),
                arrays=(
                    _array(
                        "one", ("a/x", "a/y", "a/z"), spares=1, format=Format.EXT4,
                        mount=MountPoint("/srv"),
                    ),
                ),
            ),
            Can("it", spares=False),
            "layout.arrays[0].spares",
        ),
    ],
)  # fmt: skip
def test_what_an_installer_cannot_make_is_named(layout: Layout, can: Can, where: str) -> None:
    """Who cannot, what, and in which item of the layout."""
    with pytest.raises(InputError) as caught:
        storage.check(layout, can)
    assert caught.value.where == where
    assert caught.value.what.startswith("it ")


def test_a_passphrase_that_no_file_can_have_is_refused() -> None:
    """On several lines it would be another one, or another command."""
    item = next(one for one in storage.items(asked.SEALED_LVM) if one.volume.encrypt)
    assert item.key({"first-pv-open": "a b"}) == "a b"
    assert item.key({}) == storage.UNKNOWN_KEY
    with pytest.raises(InputError):
        item.key({"first-pv-open": "a\nb"})


def test_sizes_in_words_of_installers() -> None:
    """Rounded up: what is asked for is there."""
    assert storage.mebibytes(Size("1GB")) == 954
    assert storage.hundredths(Size("12.5%")) == 1250
