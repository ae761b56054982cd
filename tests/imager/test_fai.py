"""FAI's medium: what goes into it, and what of this host does not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ironwake import release
from ironwake.errors import RefusedError
from ironwake.families.fai import FAMILY
from ironwake_imager import media, mounting
from ironwake_imager.fai import medium


def test_each_release_of_the_family_has_a_medium() -> None:
    """What the catalogue names can be built, under that name."""
    rows = [row for row in release.built_in().values() if row.family == FAMILY.name]
    assert {row.media for row in rows} == set(medium.MEDIA)
    assert set(medium.MEDIA) <= set(media.catalogue())


def test_where_nothing_can_be_mounted_it_is_not_begun() -> None:
    """Neither loaders nor packages are fetched first; the way that works is named."""
    with pytest.raises(RefusedError) as told:
        media.check(("debian-12", "fai-debian-12"), may_mount=False)
    assert str(told.value) == (
        "building fai-debian-12 takes root that may mount: the container for media may not; run on "
        "a host, as root: ironwake media add fai-debian-12; ironwake bundle export FILE --media "
        "fai-debian-12; then import that file here"
    )
    media.check(("fai-debian-12",), may_mount=True)
    media.check(("debian-12", "rocky-9"), may_mount=False)


@pytest.mark.parametrize(
    ("effective", "may"),
    [
        ("000001ffffffffff", True),
        ("00000000200000", True),
        ("00000000a80c00eb", False),
        ("0", False),
    ],
)
def test_who_may_mount(tmp_path: Path, effective: str, may: bool) -> None:
    """By the one capability that mount(2) asks for; the container for media has not got it."""
    status = tmp_path / "status"
    status.write_text(f"CapPrm:\t000001ffffffffff\nCapEff:\t{effective}\nCapBnd:\t0\n")
    assert mounting.is_allowed(status) is may


def test_what_is_left_out_is_no_package_that_is_resolved() -> None:
    """A hyphen behind a name means: not this one."""
    listed = medium._listed()
    assert "dracut" in listed
    assert "netcat-traditional" in listed
    assert not {name for name in listed if name.startswith(("live-boot", "#", "PACKAGES"))}


def test_nothing_of_the_mirror_stays(tmp_path: Path) -> None:
    """Neither its address, nor this host's proxy, nor its lists."""
    files = ("etc/apt/sources.list", "etc/apt/apt.conf.d/90host", "etc/resolv.conf")
    for name in (*files, "var/lib/apt/lists/mirror_dists_x", "etc/apt/apt.conf.d/99signed"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("mirror.example")
    medium._forget_mirror(tmp_path)
    left = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert left == ["99signed"]


def test_the_root_is_an_image_in_a_squashfs(tmp_path: Path) -> None:
    """By the names that FAI's initrd looks for; the folder itself is not mounted by it."""
    root, target = tmp_path / "root", tmp_path / "fai.squashfs"
    (root / "sbin").mkdir(parents=True)
    (root / "sbin/init").write_text("hello")
    medium._pack(root, tmp_path, target)
    listed = subprocess.run(
        ["unsquashfs", "-l", target], check=True, capture_output=True, text=True
    )
    assert "squashfs-root/LiveOS/ext3fs.img" in listed.stdout
    image = tmp_path / "squashfs/LiveOS/ext3fs.img"
    shown = ["debugfs", "-R", "cat /sbin/init", str(image)]
    assert subprocess.run(shown, check=True, capture_output=True).stdout == b"hello"


def test_scripts_of_the_medium_are_shell() -> None:
    """`sh` takes them."""
    subprocess.run(["sh", "-n", medium.HERE / "make-nfsroot"], check=True)
    subprocess.run(["sh", "-n", medium.HERE / "nfsroot.conf"], check=True)
