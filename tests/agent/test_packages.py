"""What the layout of a machine needs in its system, and no other machine has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ironwake.errors import BrokenError
from ironwake.order import Archive, Order
from ironwake_agent import packages
from tests.agent.rig import ORDER, Recorder
from tests.layout.rig import MIRRORED, layout

REPOSITORY = Archive("http://192.0.2.10/artifacts/y", "1" * 64, 1, 0)

NEEDED = ("mdadm", "lvm2", "cryptsetup-initramfs", "console-setup", "btrfs-progs", "xfsprogs")


def mirrored(repository: Archive | None = REPOSITORY) -> Order:
    """RAID, LVM, LUKS, XFS and btrfs."""
    return replace(ORDER, layout=layout(MIRRORED), layout_packages=repository)


def bring(_: Archive, folder: Path) -> None:
    """Of Debian 12, which has no systemd-cryptsetup."""
    for name in (*NEEDED, "jose"):
        (folder / f"{name}.deb").touch()


def test_the_usual_layout_needs_nothing(tmp_path: Path) -> None:
    """No package, no new initrd."""
    run = Recorder()
    packages.for_layout(run, tmp_path, ORDER, bring)
    assert run.calls == []


def test_apt_has_them_from_the_appliance(tmp_path: Path) -> None:
    """Those that are needed of those that the release has, by a repository that is gone then."""
    run = Recorder()
    packages.for_layout(run, tmp_path, mirrored(), bring)
    update, install = run.calls
    assert update[-1] == "update"
    after = install[install.index("install") + 1 :]
    assert set(after) == set(NEEDED)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_failure_names_them(tmp_path: Path) -> None:
    """And nothing of the repository stays."""
    run = Recorder(broken={"chroot": "apt-get ended with 100: no"})
    with pytest.raises(BrokenError, match=r"the packages mdadm lvm2 .* apt-get ended with 100"):
        packages.for_layout(run, tmp_path, mirrored(), bring)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_an_image_has_to_have_them(tmp_path: Path) -> None:
    """What is missing is named; with all of them there, the initrd is made anew."""
    run = Recorder()
    lists = tmp_path / "var/lib/dpkg/info"
    lists.mkdir(parents=True)
    for name in NEEDED[:-1]:
        (lists / f"{name}.list").touch()
    with pytest.raises(BrokenError, match="the image lacks xfsprogs,"):
        packages.for_layout(run, tmp_path, mirrored(None), bring)
    (lists / "xfsprogs.list").touch()
    packages.for_layout(run, tmp_path, mirrored(None), bring)
    ((*words,),) = run.calls
    assert "update-initramfs" in words
