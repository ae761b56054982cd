"""What makes an unpacked archive this machine's own system: files below a root.

`files` decides, `configure` writes. No program of the new system runs here, so all of it works, and
is tested, without being root.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from ironwake import firstboot
from ironwake.errors import BrokenError
from ironwake.firstboot import File
from ironwake.layout import config
from ironwake.layout.work import Work
from ironwake.names import KernelWord
from ironwake.order import Order
from ironwake.parameters import User
from ironwake.parameters.model import RootPolicy
from ironwake.parameters.network import Network
from ironwake_agent import accounts, menu
from ironwake_agent.inside import inside

_UNITS = "etc/systemd/system"
_VENDOR = "usr/lib/systemd/system"
_BUILT_IN_LOCALES = ("C", "C.UTF-8", "POSIX")
# Empty, not absent: systemd then makes one at the first boot, and each machine has its own.
NO_MACHINE_ID = File("etc/machine-id", 0o644, "")

# Both are read where nobody says otherwise (sshd_config(5), AuthorizedKeysFile).
_KEY_FILES = ("authorized_keys", "authorized_keys2")

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
    order: Order, work: Work, consoles: Iterable[KernelWord], kernel: str
) -> tuple[File, ...]:
    """All files to write, whatever was there; `kernel` is the archive's, as `uname -r` says it."""
    return (
        *name_files(order),
        *config.files(work),
        NO_MACHINE_ID,
        *((network_file(order),) if order.network == Network() else ()),
        File("etc/timezone", 0o644, f"{order.timezone}\n"),
        File("etc/default/locale", 0o644, f"LANG={order.locale}\n"),
        keyboard_file(order),
        *_boot_files(order, work, tuple(consoles), kernel),
        *firstboot.files(order.health),
        *user_files(order.users),
    )


def name_files(order: Order) -> tuple[File, ...]:
    """What the machine is called."""
    return (
        File("etc/hostname", 0o644, f"{order.machine}\n"),
        File("etc/hosts", 0o644, _hosts(order)),
    )


def configure(root: Path, order: Order, work: Work, consoles: Iterable[KernelWord]) -> None:
    """Write everything below `root`.

    :raises BrokenError: the archive lacks what the order wants
    """
    _check(root, order)
    for file in files(order, work, consoles, kernel_of(root)):
        write(root, file)
    link(root, "etc/localtime", f"/usr/share/zoneinfo/{order.timezone}")
    if order.network == Network():
        enable_network(root)
    enable_health(root)
    superuser(root, order)
    _accounts(root, order.users)
    _answer(root)


def enable_network(root: Path) -> None:
    """systemd-networkd, which reads the file of `network_file`."""
    for name, unit in _NETWORKD.items():
        link(root, name, f"/{_VENDOR}/{unit}")


def enable_health(root: Path) -> None:
    """The unit that reports health, whose files are those of `firstboot`."""
    wants = f"{_UNITS}/multi-user.target.wants/{firstboot.UNIT}"
    link(root, wants, f"/{_UNITS}/{firstboot.UNIT}")


def kernel_of(root: Path) -> str:
    """The version of the archive's kernel; BrokenError unless it has exactly one, with its initrd.

    One, because which of several is newest is a question for a package manager.
    """
    boot = inside(root, "boot", follow=True)
    names = [path.name.removeprefix("vmlinuz-") for path in boot.glob("vmlinuz-*")]
    if len(names) != 1 or not exists(root, f"boot/initrd.img-{names[0]}"):
        raise BrokenError(
            f"the archive needs one kernel with its initrd, it has: {', '.join(names) or 'none'}",
            "build the media anew",
        )
    return names[0]


def exists(root: Path, name: str) -> bool:
    """Whether the new system would find this itself."""
    return inside(root, name, follow=True).exists()


def write(root: Path, file: File) -> None:
    """Write one file, never through a link: the archive's links lead out of `root`."""
    path = inside(root, file.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(file.text)
    path.chmod(file.mode)


def _check(root: Path, order: Order) -> None:
    if not exists(root, "etc/passwd"):
        raise BrokenError("the archive is no system: it has no /etc/passwd", "build the media anew")
    zone = f"usr/share/zoneinfo/{order.timezone}"
    if not exists(root, zone) and order.timezone not in ("Etc/UTC", "UTC"):
        raise BrokenError(
            f"the archive knows no time zone {order.timezone}",
            "correct parameters.timezone in the profile",
        )
    if order.locale not in _BUILT_IN_LOCALES and not exists(root, "usr/sbin/locale-gen"):
        raise BrokenError(
            f"the archive cannot make the locale {order.locale}",
            "add locales to parameters.packages, or use C.UTF-8",
        )


def link(root: Path, name: str, to: str) -> None:
    """Make a symbolic link below `root`, whatever was there."""
    path = inside(root, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(to)


def _accounts(root: Path, users: Iterable[User]) -> None:
    texts = _texts(root)
    for user in users:
        texts = accounts.add(texts, user)
    _put(root, texts)
    for user in users:
        _home(root, user, accounts.number(texts, user.name))


def people(root: Path, users: Iterable[User]) -> None:
    """The accounts in a system that has accounts already, these perhaps."""
    for file in user_files(users):
        write(root, file)
    for user in users:
        _person(root, user)


def superuser(root: Path, order: Order) -> None:
    """Who may be root, and nobody else: by a password, by keys, or not at all.

    Where nobody stated it, root has no password, and the system's own keys stay.
    """
    texts, policy = _texts(root), order.root or RootPolicy.LOCKED
    word = accounts.root_word(policy, order.root_password_hash)
    shadow = accounts.set_root(texts["etc/shadow"], word)
    if policy is not RootPolicy.LOCKED and f"\nroot:{word}:" not in f"\n{shadow}":
        raise BrokenError(
            "the new system has no account root in /etc/shadow", "leave parameters.root out"
        )
    _put(root, {"etc/shadow": shadow})
    if order.root is None:
        return
    home = accounts.home(texts["etc/passwd"], "root") or "root"
    for name in _KEY_FILES:
        inside(root, f"{home}/.ssh/{name}").unlink(missing_ok=True)
    if policy is RootPolicy.KEYS:
        _let_in(root, home, order.root_keys)


def _texts(root: Path) -> dict[str, str]:
    return {name: _text(inside(root, name, follow=True)) for name in accounts.FILES}


def _put(root: Path, texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        path = inside(root, name, follow=True)
        if path.exists() or text:
            # in place: shadow keeps its group and its mode
            path.write_text(text, errors="surrogateescape")


def _person(root: Path, user: User) -> None:
    texts = _texts(root)
    there = accounts.home(texts["etc/passwd"], user.name)
    now = accounts.change(texts, user) if there else accounts.add(texts, user)
    _put(root, now)
    if not there:
        _home(root, user, accounts.number(now, user.name))
    elif user.ssh_keys:
        owner = accounts.number(now, user.name), accounts.group(texts["etc/passwd"], user.name)
        for path in _let_in(root, there, user.ssh_keys):
            os.chown(path, *owner, follow_symlinks=False)


def _let_in(root: Path, home: str, keys: Iterable[str]) -> tuple[Path, Path]:
    """By these keys and no others; their folder and file. A folder that is a link is shared with
    somebody, and stays as open as it is."""
    name = f"{home}/.ssh/{_KEY_FILES[0]}"
    write(root, File(name, 0o600, "".join(f"{key}\n" for key in keys)))
    folder = inside(root, f"{home}/.ssh")
    if not folder.is_symlink():
        folder.chmod(0o700)
    return folder, inside(root, name)


def _answer(root: Path) -> None:
    """Tell Debian's boot loader packages how they shall behave later."""
    for name, change in (("config.dat", menu.answered), ("templates.dat", menu.templates)):
        path = inside(root, f"var/cache/debconf/{name}", follow=True)
        if path.exists():
            path.write_text(change(path.read_text()))


def _home(root: Path, user: User, uid: int) -> None:
    home = inside(root, f"home/{user.name}")
    home.parent.mkdir(exist_ok=True)
    skeleton = inside(root, "etc/skel", follow=True)
    if skeleton.is_dir():
        shutil.copytree(skeleton, home, symlinks=True)
    else:
        home.mkdir()
    home.chmod(0o700)
    if user.ssh_keys:
        _let_in(root, f"home/{user.name}", user.ssh_keys)
    for folder, _, names in os.walk(home):
        for name in (".", *names):
            os.chown(Path(folder) / name, uid, uid, follow_symlinks=False)


def user_files(users: Iterable[User]) -> tuple[File, ...]:
    """Administrators may do everything."""
    rules = [f"{user.name} ALL=(ALL:ALL) NOPASSWD: ALL\n" for user in users if user.admin]
    return (File("etc/sudoers.d/90-ironwake", 0o440, "".join(rules)),) if rules else ()


def _boot_files(
    order: Order, work: Work, consoles: tuple[KernelWord, ...], kernel: str
) -> tuple[File, ...]:
    words = (*consoles, *order.kernel_arguments)
    serial = menu.serial_line(consoles, uefi=not work.grub)
    text = menu.menu(work.boot, kernel, words, serial)
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


def network_file(order: Order) -> File:
    """The card that booted gets its address by DHCP."""
    # By address: the card's name is another one with the installed kernel. The client identifier
    # is the address too, so that the DHCP server knows the machine that it saw booting.
    text = (
        f"[Match]\nMACAddress={order.mac}\n\n"
        "[Network]\nDHCP=yes\n\n"
        "[DHCPv4]\nClientIdentifier=mac\nUseDomains=yes\n"
    )
    return File("etc/systemd/network/10-ironwake.network", 0o644, text)


def keyboard_file(order: Order) -> File:
    text = f'XKBMODEL="pc105"\nXKBLAYOUT="{order.keyboard}"\nXKBVARIANT=""\nBACKSPACE="guess"\n'
    return File("etc/default/keyboard", 0o644, text)


def _text(path: Path) -> str:
    return path.read_text(errors="surrogateescape") if path.exists() else ""
