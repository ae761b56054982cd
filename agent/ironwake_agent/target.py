"""What makes an unpacked archive this machine's own system: files below a root.

`files` decides, `configure` writes. No program of the new system runs here, so all of it works, and
is tested, without being root.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from ironwake import firstboot
from ironwake.errors import BrokenError
from ironwake.firstboot import File
from ironwake.names import KernelWord
from ironwake.order import Order
from ironwake.profile import User
from ironwake_agent import accounts, menu
from ironwake_agent.prepare import Volumes

_UNITS = "etc/systemd/system"
_VENDOR = "usr/lib/systemd/system"
_BUILT_IN_LOCALES = ("C", "C.UTF-8", "POSIX")

# As the units' [Install] sections say: link → unit.
_NETWORKD = {
    f"{_UNITS}/multi-user.target.wants/systemd-networkd.service": "systemd-networkd.service",
    f"{_UNITS}/dbus-org.freedesktop.network1.service": "systemd-networkd.service",
    f"{_UNITS}/sockets.target.wants/systemd-networkd.socket": "systemd-networkd.socket",
    f"{_UNITS}/network-online.target.wants/systemd-networkd-wait-online.service": (
        "systemd-networkd-wait-online.service"
    ),
}


def files(
    order: Order, volumes: Volumes, consoles: Iterable[KernelWord], kernel: str
) -> tuple[File, ...]:
    """All files to write, whatever was there; `kernel` is the archive's, as `uname -r` says it."""
    return (
        File("etc/hostname", 0o644, f"{order.machine}\n"),
        File("etc/hosts", 0o644, _hosts(order)),
        File("etc/fstab", 0o644, _fstab(volumes)),
        # Empty, not absent: systemd then makes one at the first boot, and each machine has its own.
        File("etc/machine-id", 0o644, ""),
        File("etc/systemd/network/10-ironwake.network", 0o644, _network(order)),
        File("etc/timezone", 0o644, f"{order.timezone}\n"),
        File("etc/default/locale", 0o644, f"LANG={order.locale}\n"),
        File("etc/default/keyboard", 0o644, _keyboard(order)),
        *_boot_files(order, volumes, tuple(consoles), kernel),
        *firstboot.files(order.health),
        *_user_files(order.user),
    )


def configure(root: Path, order: Order, volumes: Volumes, consoles: Iterable[KernelWord]) -> None:
    """Write everything below `root`.

    :raises BrokenError: the archive lacks what the order wants
    """
    _check(root, order)
    for file in files(order, volumes, consoles, kernel_of(root)):
        write(root, file)
    _link(root, "etc/localtime", f"/usr/share/zoneinfo/{order.timezone}")
    for link, unit in _NETWORKD.items():
        _link(root, link, f"/{_VENDOR}/{unit}")
    wants = f"{_UNITS}/multi-user.target.wants/{firstboot.UNIT}"
    _link(root, wants, f"/{_UNITS}/{firstboot.UNIT}")
    _accounts(root, order.user)
    _answer(root)


def kernel_of(root: Path) -> str:
    """The version of the archive's kernel; BrokenError unless it has exactly one, with its initrd.

    One, because which of several is newest is a question for a package manager.
    """
    names = [path.name.removeprefix("vmlinuz-") for path in (root / "boot").glob("vmlinuz-*")]
    if len(names) != 1 or not (root / "boot" / f"initrd.img-{names[0]}").exists():
        raise BrokenError(
            f"the archive needs one kernel with its initrd, it has: {', '.join(names) or 'none'}",
            "build the media anew",
        )
    return names[0]


def write(root: Path, file: File) -> None:
    """Write one file, never through a link: the archive's links lead out of `root`."""
    path = root / file.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(file.text)
    path.chmod(file.mode)


def _check(root: Path, order: Order) -> None:
    if not (root / "etc/passwd").exists():
        raise BrokenError("the archive is no system: it has no /etc/passwd", "build the media anew")
    zone = root / "usr/share/zoneinfo" / order.timezone
    if not zone.exists() and order.timezone not in ("Etc/UTC", "UTC"):
        raise BrokenError(
            f"the archive knows no time zone {order.timezone}",
            "correct parameters.timezone in the profile",
        )
    if order.locale not in _BUILT_IN_LOCALES and not (root / "usr/sbin/locale-gen").exists():
        raise BrokenError(
            f"the archive cannot make the locale {order.locale}",
            "add locales to parameters.packages, or use C.UTF-8",
        )


def _link(root: Path, name: str, to: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(to)


def _accounts(root: Path, user: User | None) -> None:
    texts = {name: _text(root / name) for name in accounts.FILES}
    texts["etc/shadow"] = accounts.lock_root(texts["etc/shadow"])
    if user:
        texts = accounts.add(texts, user.name, user.password_hash)
    for name, text in texts.items():
        path = root / name
        if path.exists() or text:
            path.write_text(text)  # in place: shadow keeps its group and its mode
    if user:
        _home(root, user, accounts.number(texts, user.name))


def _answer(root: Path) -> None:
    """Tell Debian's boot loader packages how they shall behave later."""
    for name, change in (("config.dat", menu.answered), ("templates.dat", menu.templates)):
        path = root / "var/cache/debconf" / name
        if path.exists():
            path.write_text(change(path.read_text()))


def _home(root: Path, user: User, uid: int) -> None:
    home = root / "home" / user.name
    home.parent.mkdir(exist_ok=True)
    if (root / "etc/skel").is_dir():
        shutil.copytree(root / "etc/skel", home, symlinks=True)
    else:
        home.mkdir()
    home.chmod(0o700)
    if user.ssh_keys:
        keys = "".join(f"{key}\n" for key in user.ssh_keys)
        write(home, File(".ssh/authorized_keys", 0o600, keys))
        (home / ".ssh").chmod(0o700)
    for folder, _, names in os.walk(home):
        for name in (".", *names):
            os.chown(Path(folder) / name, uid, uid, follow_symlinks=False)


def _user_files(user: User | None) -> tuple[File, ...]:
    if not user:
        return ()
    rule = f"{user.name} ALL=(ALL:ALL) NOPASSWD: ALL\n"
    return (File("etc/sudoers.d/90-ironwake", 0o440, rule),)


def _boot_files(
    order: Order, volumes: Volumes, consoles: tuple[KernelWord, ...], kernel: str
) -> tuple[File, ...]:
    words = (*consoles, *order.kernel_arguments)
    serial = menu.serial_line(consoles, uefi=bool(volumes.esp))
    text = menu.menu(volumes.root_uuid, kernel, words, serial)
    return (
        File("etc/default/grub", 0o644, menu.defaults(words, serial)),
        File("boot/grub/grub.cfg", 0o600, text),
    )


def _hosts(order: Order) -> str:
    return (
        "127.0.0.1\tlocalhost\n"
        f"127.0.1.1\t{order.machine}.{order.domain}\t{order.machine}\n"
        "::1\tlocalhost ip6-localhost ip6-loopback\n"
        "ff02::1\tip6-allnodes\n"
        "ff02::2\tip6-allrouters\n"
    )


def _fstab(volumes: Volumes) -> str:
    lines = [f"UUID={volumes.root_uuid} / ext4 errors=remount-ro 0 1"]
    if volumes.esp:
        lines.append(f"UUID={volumes.esp_uuid} /boot/efi vfat umask=0077 0 1")
    return "".join(f"{line}\n" for line in lines)


def _network(order: Order) -> str:
    # By address: the card's name is another one with the installed kernel. The client identifier
    # is the address too, so that the DHCP server knows the machine that it saw booting.
    return (
        f"[Match]\nMACAddress={order.mac}\n\n"
        "[Network]\nDHCP=yes\n\n"
        "[DHCPv4]\nClientIdentifier=mac\nUseDomains=yes\n"
    )


def _keyboard(order: Order) -> str:
    return f'XKBMODEL="pc105"\nXKBLAYOUT="{order.keyboard}"\nXKBVARIANT=""\nBACKSPACE="guess"\n'


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
