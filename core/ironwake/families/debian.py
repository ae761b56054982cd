"""Debian: its installer (d-i) and the preseed file that answers it.

A preseed has one line per answer, `owner name type value`, the value running to the end of the
line; there is no quoting, so a value with a line break is refused rather than written.
"""

from __future__ import annotations

import base64
import shlex
from dataclasses import dataclass
from urllib.parse import urlsplit

from ironwake import firstboot
from ironwake.errors import InputError
from ironwake.families.base import Install
from ironwake.mac import Mac


@dataclass(frozen=True)
class Debian:
    name: str = "debian"
    answer_file: str = "preseed.cfg"

    def kernel_arguments(self, install: Install, mac: Mac) -> tuple[str, ...]:
        return (
            "auto=true",
            "priority=critical",
            f"url={install.answers}",
            f"hostname={install.machine.name}",
            f"domain={install.site.domain}",
            # By MAC address: "auto" takes the first card with a link, which need not be this one.
            f"interface={mac}",
            f"BOOTIF={mac.bootif}",
            # Asked even at this priority, before any answer file, where DHCP names no name server
            # or no router: a network that is closed in itself has neither.
            f"netcfg/get_nameservers={install.site.address}",
            "netcfg/no_default_route=true",
            "DEBIAN_FRONTEND=text",
            *install.machine.architecture.consoles,
            # What comes after it, and nothing before, goes on to the installed system's kernel.
            "---",
            *install.profile.parameters.kernel_arguments,
        )

    def answers(self, install: Install) -> str:
        rows = (*_basics(install), *_mirror(install), *_account(install), *_disk())
        lines = [_line(owner, name, kind, value) for owner, name, kind, value in rows]
        return "\n".join(("#_preseed_V1", *lines, *_hooks(install), ""))


Row = tuple[str, str, str, str]


def _line(owner: str, name: str, kind: str, value: str) -> str:
    if any(ord(character) < 32 for character in value):
        raise InputError(
            f"the answer to {name} has a line break or another control character in it",
            "write it on one line",
            name,
        )
    return f"{owner} {name} {kind} {value}".rstrip()


def _basics(install: Install) -> tuple[Row, ...]:
    # Only what differs from the installer's own defaults at priority critical: its shell forks two
    # dozen times for each line. Names are on the kernel's command line: this comes too late.
    parameters = install.profile.parameters
    return (
        ("d-i", "debian-installer/locale", "string", parameters.locale),
        ("d-i", "keyboard-configuration/xkb-keymap", "select", parameters.keyboard),
        ("d-i", "time/zone", "string", parameters.timezone),
        ("tasksel", "tasksel/first", "multiselect", "standard, ssh-server"),
        ("d-i", "pkgsel/include", "string", " ".join(("sudo", "curl", *parameters.packages))),
        ("d-i", "pkgsel/upgrade", "select", "none"),
        ("d-i", "grub-installer/only_debian", "boolean", "true"),
        # The removable path too: firmware that lost its boot entries still finds the disk.
        ("d-i", "grub-installer/force-efi-extra-removable", "boolean", "true"),
        ("d-i", "finish-install/reboot_in_progress", "note", ""),
    )


def _mirror(install: Install) -> tuple[Row, ...]:
    if not install.site.mirror:
        return ()
    parts = urlsplit(install.site.mirror)
    return (
        ("d-i", "mirror/country", "string", "manual"),
        ("d-i", "mirror/protocol", "select", parts.scheme),
        ("d-i", f"mirror/{parts.scheme}/hostname", "string", parts.netloc),
        ("d-i", f"mirror/{parts.scheme}/directory", "string", parts.path or "/"),
    )


def _account(install: Install) -> tuple[Row, ...]:
    user = install.profile.user
    if user is None:
        return (
            ("d-i", "passwd/make-user", "boolean", "false"),
            ("d-i", "passwd/root-login", "boolean", "true"),
            ("d-i", "passwd/root-password-crypted", "password", "!"),
        )
    return (
        ("d-i", "passwd/root-login", "boolean", "false"),
        ("d-i", "passwd/user-fullname", "string", user.name),
        ("d-i", "passwd/username", "string", user.name),
        ("d-i", "passwd/user-password-crypted", "password", user.password_hash or "!"),
    )


# A BIOS machine's boot loader would go to the first disk, whichever was partitioned.
_NAME_IT = 'debconf-set partman-auto/disk "$w"; debconf-set grub-installer/bootdev "$w"; '


def _disk() -> tuple[Row, ...]:
    # With no disk named, partman takes the only one, and asks (so it stops) where there are more.
    return (
        ("d-i", "partman-auto/method", "string", "regular"),
        ("d-i", "partman-auto/choose_recipe", "select", "atomic"),
        ("d-i", "partman-partitioning/confirm_write_new_label", "boolean", "true"),
        ("d-i", "partman-partitioning/choose_label", "select", "gpt"),
        ("d-i", "partman/default_label", "string", "gpt"),
        ("d-i", "partman/choose_partition", "select", "finish"),
        ("d-i", "partman/confirm", "boolean", "true"),
        ("d-i", "partman/confirm_nooverwrite", "boolean", "true"),
    )


def _hooks(install: Install) -> tuple[str, ...]:
    """Commands of ours at three moments; all words in them are our own URLs and tokens.

    early_command runs once the answers are loaded, before anything is written; partman's just
    before the first write: there the guard looks whether the disk is blank.
    """
    report = f"wget -q -O /dev/null --post-data='' '{install.callbacks}?stage="
    early = f"{report}installing&step=installer&id=early'"
    partman = f"{report}installing&step=partitioning&id=partman'"
    late = f"{report}installed&id=late'"
    return (
        f"d-i preseed/early_command string {early} || true",
        f"d-i partman/early_command string {_guard(install)}{partman} || true",
        f"d-i preseed/late_command string {_first_boot(install)}; {late}",
    )


def _guard(install: Install) -> str:
    """Refuse a disk that is not blank, unless this deployment may erase that very disk.

    `blkid -p` looks at the disk itself and ends with 2 where it finds neither a partition table nor
    a file system, but also where it can't read: hence `dd`. With several disks at once it stops at
    the first blank one. A disk that is named but not there is refused too: partman would ask which
    other one to take. With `auto`, each that partman could choose is looked at. The installer then
    stops for good.
    """
    failed = f"{install.callbacks}?stage=failed&id=guard&message={_REFUSED}"
    match = install.profile.disk.match
    find, disks = "", "$(list-devices disk)"
    if match.startswith("/dev/"):
        find, disks = f"w=$(readlink -f {shlex.quote(match)}); {_NAME_IT}", "$w"
    elif match != "auto":
        find, disks = _by_serial(match), "${w:-none}"
    return (
        f"{find}for d in {disks}; do "
        "dd if=$d of=/dev/null count=1 2>/dev/null && blkid -p $d >/dev/null; "
        f"if [ $? != 2 ]{_spared(install)}; then "
        f"wget -q -O /dev/null --post-data='' '{failed}'; poweroff -f; fi; done; "
    )


_REFUSED = "the+disk+is+not+blank%2C+or+not+there"


def _by_serial(serial: str) -> str:
    """Shell commands that name the disk with this serial number, `$w`, to partman and to GRUB.

    Two with one number run together into the name of none, which the guard refuses.
    """
    words = " -e ".join(shlex.quote(f"{key}={serial}") for key in _SERIALS)
    return (
        "w=; for d in $(list-devices disk); do "
        f"if udevadm info -q property -n $d | grep -qxF -e {words}; then w=$w$d; fi; done; "
        f"{_NAME_IT}"
    )


_SERIALS = ("ID_SERIAL", "ID_SERIAL_SHORT")


def _spared(install: Install) -> str:
    """A shell condition: the disk `$d` is none of those that may be erased."""
    names = [
        shlex.quote(f"{key}={name}") for name in install.erase for key in ("DEVNAME", *_SERIALS)
    ]
    if not names:
        return ""
    wanted = " -e ".join(names)
    return f" && ! udevadm info -q property -n $d | grep -qxF -e {wanted}"


def _first_boot(install: Install) -> str:
    """Put the health report's unit, and the user's keys, into the installed system."""
    return firstboot.late_command(install.health) + _keys(install)


def _keys(install: Install) -> str:
    user = install.profile.user
    if user is None or not user.ssh_keys:
        return ""
    text = base64.b64encode("".join(f"{key}\n" for key in user.ssh_keys).encode()).decode()
    home = f"/home/{user.name}/.ssh"
    return (
        f"; in-target sh -c 'install -d -m 700 -o {user.name} -g {user.name} {home}; "
        f"echo {text} | base64 -d > {home}/authorized_keys; "
        f"chown {user.name}: {home}/authorized_keys; chmod 600 {home}/authorized_keys'"
    )


FAMILY = Debian()
