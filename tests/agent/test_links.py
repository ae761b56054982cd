"""A system whose links lead out of it: nothing outside is found, or touched."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from ironwake.errors import IronwakeError
from ironwake.layout.work import work
from ironwake.names import KernelWord
from ironwake.order import Archive, Order
from ironwake.parameters.model import Repository, RootPolicy, Security
from ironwake.parameters.network import Device, Network
from ironwake.profile import Finish, Seed
from ironwake_agent import (
    bootloader,
    ending,
    kexec,
    packages,
    prepare,
    scripts,
    sources,
    stated,
    target,
    unlocking,
)
from ironwake_agent.image import adopt, system
from ironwake_agent.network import Lease
from tests.agent.rig import CONSOLES, KEY, ORDER, UEFI, Recorder
from tests.layout import rig

# What the tests look for out here, and in no system.
_OUTSIDE = (
    *("boot/vmlinuz-9", "boot/initrd.img-9", "boot/grub/grub.cfg", "boot/loader/entries/a.conf"),
    *("etc/passwd", "etc/shadow", "etc/group", "etc/gshadow", "etc/fstab", "etc/machine-id"),
    *("etc/ssh/ssh_host_rsa_key", "etc/initramfs-tools/update-initramfs.conf", "etc/default/grub"),
    *("usr/sbin/locale-gen", "usr/sbin/policy-rc.d", "usr/bin/cloud-init", "usr/bin/ssh-keygen"),
    *("usr/lib/systemd/systemd", "usr/lib/shim/shimx64.efi.signed", "var/cache/debconf/config.dat"),
    *("var/lib/dbus/machine-id", "var/lib/dhcp/a.leases", "var/lib/cloud/data/a"),
    *("var/lib/dpkg/info/mdadm.list", "var/lib/systemd/random-seed", "run/a", "home/a", "dev/a"),
    *("usr/sbin/netplan", "etc/netplan/a.yaml", "etc/chrony/chrony.conf", "etc/apt/sources.list"),
    *("usr/lib/systemd/system/chrony.service", "usr/bin/apt-get", "etc/selinux/config"),
    *("etc/apt/sources.list.d/a.sources", "etc/network/interfaces", "etc/cloud/cloud.cfg"),
    *("etc/resolv.conf", "etc/systemd/network/a.network", "root/.ssh/authorized_keys"),
)
_FOLDERS = ("boot", "etc", "usr", "var", "run", "home", "dev", "proc", "sys", "root")
_TEXT = "options a\nlinux a\n"


def _packages(root: Path, order: Order) -> None:
    run = Recorder()
    packages.install(run, root, order, Lease("eth0", "192.0.2.5", ("192.0.2.1",)))
    packages.make_locale(run, root, order)
    assert "locale-gen" not in {word for call in run.calls for word in call}


def _layout_packages(root: Path, order: Order) -> None:
    repository = Archive("http://192.0.2.10/artifacts/y", "1" * 64, 1, 0)
    made = replace(order, layout=rig.layout(rig.MIRRORED), layout_packages=repository)
    packages.for_layout(Recorder(), root, made, lambda _, folder: (folder / "a.deb").touch())


def _there_already(root: Path, order: Order) -> None:
    made = replace(order, layout=rig.layout(rig.MIRRORED))
    packages.for_layout(Recorder(), root, made, lambda *_: None)


def _key_file(root: Path, _: Order) -> None:
    text = rig.MIRRORED.replace("{key: passphrase}", "{key: file}")
    made = work(rig.layout(text), rig.target())
    run = Recorder()
    unlocking.prepare(run, root, made, {one.name: "open sesame" for one in made.sealed})
    assert str(root) in run.calls[0][-1]


def _bootloader(root: Path, _: Order) -> None:
    bootloader.copy_signed(root, root.parent / "esp", UEFI.boot, bootloader.CHAINS["x86_64"])


def _kexec(root: Path, _: Order) -> None:
    assert ending.prepare(Finish.KEXEC, root, _no_load).finish is Finish.REBOOT


def _no_load(kernel: int, *_: object) -> None:
    raise AssertionError(f"a kernel of the outside was opened: {kernel}")


def _target(root: Path, order: Order) -> None:
    target.configure(root, order, UEFI, CONSOLES)


def _image(seed: Seed) -> Callable[[Path, Order], None]:
    return lambda root, order: system.configure(root, order, seed, lambda _: None)


def _stated(root: Path, order: Order) -> None:
    ear = scripts.Ear(lambda _: None, lambda _: None)
    acts: tuple[Callable[[], None], ...] = (
        lambda: sources.configure(Recorder(), root, order),
        lambda: stated.carry_out(root, order),
        lambda: target.superuser(root, order),
        lambda: scripts.after("exit 1", root, Lease("eth0", "192.0.2.5"), ear),
    )
    for act in acts:
        with suppress(IronwakeError, FileNotFoundError):
            act()


def _fstab(root: Path, _: Order) -> None:
    assert adopt.fstab(root) == []


def _mounts(root: Path, _: Order) -> None:
    run = Recorder()
    prepare.mount_kernel(run, root)
    assert all(Path(call[-1]).is_relative_to(root) for call in run.calls)


@pytest.mark.parametrize(
    "act",
    [
        *(_packages, _layout_packages, _there_already, _key_file, _bootloader, _kexec, _target),
        *(_image(Seed.FILES), _image(Seed.NOCLOUD), _stated, _fstab, _mounts),
    ],
)
@pytest.mark.parametrize("ring", [False, True])
def test_nothing_outside_is_touched(
    act: Callable[[Path, Order], None], ring: bool, tmp_path: Path
) -> None:
    """All its folders are links to those of another system, or to themselves."""
    outside, root = tmp_path / "outside", tmp_path / "root"
    root.mkdir()
    for name in _OUTSIDE:
        (outside / name).parent.mkdir(parents=True, exist_ok=True)
        (outside / name).write_text(_TEXT)
    for name in _FOLDERS:
        (root / name).symlink_to(name if ring else outside / name)
    order = replace(
        ORDER,
        packages=("nginx",),
        locale="de_DE.UTF-8",
        kernel_arguments=(KernelWord("quiet"),),
        ntp=("192.0.2.7",),
        root=RootPolicy.KEYS,
        root_keys=(KEY,),
        network=Network((Device("uplink", addresses=("192.0.2.7/24",)),), ("192.0.2.53",)),
        repositories=(Repository("extra", "http://192.0.2.9/extra", "stable", ("main",)),),
        proxy="http://192.0.2.8:1",
        mirror="http://192.0.2.6/debian",
        security=Security.ENFORCING,
    )
    with suppress(IronwakeError, FileNotFoundError):
        act(root, order)
    assert {path.name for path in tmp_path.iterdir()} <= {"outside", "root", "esp"}
    left = {path: path.read_text() for path in outside.rglob("*") if path.is_file()}
    assert left == {outside / name: _TEXT for name in _OUTSIDE}
    assert not [path for path in (tmp_path / "esp").rglob("*") if path.is_file()]


def test_what_links_within_is_found(tmp_path: Path) -> None:
    """Absolute links too: they mean the system's own root, for the kernel as for the loader."""
    (tmp_path / "store").mkdir()
    (tmp_path / "boot/grub").mkdir(parents=True)
    menu = (
        "menuentry 'a' {\n\tlinux /boot/vmlinuz-1 root=/dev/vda1\n\tinitrd /boot/initrd.img-1\n}\n"
    )
    (tmp_path / "store/grub.cfg").write_text(menu)
    for name in ("vmlinuz-1", "initrd.img-1"):
        (tmp_path / "store" / name).write_text(name)
        (tmp_path / "boot" / name).symlink_to(f"/store/{name}")
    (tmp_path / "boot/grub/grub.cfg").symlink_to("/store/grub.cfg")
    taken: list[object] = []
    kexec.load(tmp_path, lambda *given: taken.append(given[-1]))
    assert taken == [b"root=/dev/vda1"]
    system.add_words(tmp_path, ("more",))
    assert "root=/dev/vda1 more\n" in (tmp_path / "store/grub.cfg").read_text()
