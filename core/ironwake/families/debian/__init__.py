"""Debian: its installer (d-i) and the preseed file that answers it.

A preseed has one line per answer, `owner name type value`, the value running to the end of the
line; there is no quoting, so a value with a line break is refused rather than written.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ironwake.boot import check_arguments
from ironwake.disk import AUTO, DiskMatch
from ironwake.errors import InputError
from ironwake.families.base import Answers, Format, Install
from ironwake.families.debian import late, partman
from ironwake.parameters.model import RootPolicy, Security
from ironwake.parameters.refusal import check_debians, check_plain
from ironwake.report import Callback

PRESEED, LATE, PRE = "preseed.cfg", "late.sh", "pre.sh"
# Moments of ours: a fragment that takes one of them would end the reports, or the guard. What it
# includes could do so, too; and a volume group may stand on disks that nobody has looked at.
_OURS = (
    *("preseed/early_command", "preseed/late_command", "partman/early_command"),
    *("preseed/include", "preseed/include_command", "preseed/run"),
    "partman-lvm/device_remove_lvm_span",
)
# What the installer reads of its kernel's command line besides what we say there.
_READ = ("file", "preseed-md5", "classes")


@dataclass(frozen=True)
class Debian:
    name: str = "debian"
    files: tuple[str, ...] = (PRESEED, LATE, PRE)
    formats: Mapping[str, Format] = field(
        default_factory=lambda: {
            PRESEED: Format.PRESEED,
            LATE: Format.SHELL,
            PRE: Format.TEXT,  # a person's, in whichever language its first line names
        }
    )
    roles: tuple[str, ...] = ()
    refuses: Mapping[str, str] = field(default_factory=dict)

    def check(self, install: Install) -> None:
        parameters = install.parameters
        check_plain("the Debian installer", parameters)
        if install.layout:
            partman.check(install.layout)
        if _match(install).criteria:
            raise InputError(
                "the Debian installer takes a disk by its serial number, its WWN or a path",
                "name one, or use method: archive",
                "layout.disks[0].match" if install.layout else "disk.match",
            )
        check_debians(parameters)
        _check_own_arguments(install, self.arguments(install))
        self.answers(install)

    def arguments(self, install: Install) -> tuple[str, ...]:
        mac = install.mac
        return (
            "auto=true",
            "priority=critical",
            f"url={install.urls.answers}{PRESEED}",
            f"hostname={install.hostname}",
            f"domain={install.domain}",
            # By MAC address: "auto" takes the first card with a link, which need not be this one.
            f"interface={mac}",
            f"BOOTIF={mac.bootif}",
            # Asked even at this priority, before any answer file, where DHCP names no name server
            # or no router: a network that is closed in itself has neither.
            f"netcfg/get_nameservers={install.site.address}",
            "netcfg/no_default_route=true",
            "DEBIAN_FRONTEND=text",
            *_log(install),
            *install.machine.architecture.consoles,
            # What comes after it, and nothing before, goes on to the installed system's kernel.
            "---",
            *install.parameters.kernel_arguments,
            *(("apparmor=0",) if install.parameters.security is Security.DISABLED else ()),
        )

    def answers(self, install: Install) -> Answers:
        disk = partman.rows(install.layout) if install.layout else _disk()
        rows = (*_basics(install), *_mirror(install), *_account(install), *disk, *_confirmed())
        lines = [_line(owner, name, kind, value) for owner, name, kind, value in rows]
        lines += [*_hooks(install), *_fragment(self, install), ""]
        files = {PRESEED: "\n".join(("#_preseed_V1", *lines)), LATE: late.script(install)}
        if install.parameters.scripts.pre:
            files[PRE] = install.parameters.scripts.pre
        return Answers(files)

    def parse(self, name: str, text: str) -> object:
        """The preseed's lines as [owner, name, type, value]; scripts as they are."""
        if name != PRESEED:
            return text
        rows = [line.split(" ", 3) for line in text.splitlines() if line and line[0] != "#"]
        if any(len(row) < 3 for row in rows):
            raise InputError("a line of the preseed has no owner, name and type", "")
        return [[*row, ""][:4] for row in rows]

    def heard(self, content_type: str, body: bytes) -> Callback | None:  # noqa: ARG002 (a `Family`)
        """The installer says nothing by itself; our commands in its answers do."""
        return None


def _check_own_arguments(install: Install, words: tuple[str, ...]) -> None:
    """InputError where the installed kernel's arguments would be the installer's answers."""
    check_arguments(words)
    ours = {word.partition("=")[0] for word in words[: words.index("---")]} - {"console"}
    for word in install.parameters.kernel_arguments:
        name, is_answer, _ = word.partition("=")
        if is_answer and (name in ours or name in _READ or "/" in name):
            raise InputError(
                f"{name} is an answer to the installer, and no kernel's argument",
                "write it into fragments.debian",
                "kernel_arguments",
            )


def _log(install: Install) -> tuple[str, ...]:
    """Its log goes to us, line by line, with each question that it asks (5 is cdebconf's word)."""
    if not install.site.syslog_port:
        return ()
    where = (f"log_host={install.site.address}", f"log_port={install.site.syslog_port}")
    return (*where, "DEBCONF_DEBUG=5")


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
    parameters = install.parameters
    tasks = dict.fromkeys(("standard", "ssh-server", *parameters.package_groups))
    return (
        *_language(parameters.locale),
        ("d-i", "keyboard-configuration/xkb-keymap", "select", parameters.keyboard),
        ("d-i", "time/zone", "string", parameters.timezone),
        ("tasksel", "tasksel/first", "multiselect", ", ".join(tasks)),
        ("d-i", "pkgsel/include", "string", " ".join(dict.fromkeys(late.packages(install)))),
        *_firmware(install),
        ("d-i", "pkgsel/upgrade", "select", "none"),
        ("d-i", "grub-installer/only_debian", "boolean", "true"),
        # The removable path too: firmware that lost its boot entries still finds the disk.
        ("d-i", "grub-installer/force-efi-extra-removable", "boolean", "true"),
        ("d-i", "finish-install/reboot_in_progress", "note", ""),
    )


def _language(locale: str) -> tuple[Row, ...]:
    """It takes language and country from the locale; where that names none (C.UTF-8), it asks."""
    row = ("d-i", "debian-installer/locale", "string", locale)
    if "_" in locale:
        return (row,)
    return (
        ("d-i", "debian-installer/language", "string", "en"),
        ("d-i", "debian-installer/country", "string", "US"),
        row,
    )


def _firmware(install: Install) -> tuple[Row, ...]:
    if not install.parameters.firmware:
        return ()
    # Its own part of the archive from version 12 on (bookworm).
    old = install.release.codename == "bullseye"
    parts = ("contrib", "non-free") if old else ("contrib", "non-free", "non-free-firmware")
    return (
        *(("d-i", f"apt-setup/{part}", "boolean", "true") for part in parts),
        ("d-i", "hw-detect/load_firmware", "boolean", "true"),
    )


def _mirror(install: Install) -> tuple[Row, ...]:
    proxy = install.parameters.proxy
    through = (("d-i", "mirror/http/proxy", "string", proxy),) if proxy else ()
    if not install.urls.packages:
        return through
    parts = urlsplit(install.urls.packages)
    return (
        ("d-i", "mirror/country", "string", "manual"),
        ("d-i", "mirror/protocol", "select", parts.scheme),
        ("d-i", f"mirror/{parts.scheme}/hostname", "string", parts.netloc),
        ("d-i", f"mirror/{parts.scheme}/directory", "string", parts.path or "/"),
        *_security(install),
        *through,
    )


def _security(install: Install) -> tuple[Row, ...]:
    """Where its security updates come from, where the site knows it."""
    url = install.site.packages_of("debian-security")
    if not url:
        return ()
    parts = urlsplit(url)
    return (
        ("d-i", "apt-setup/security_host", "string", parts.netloc),
        ("d-i", "apt-setup/security_path", "string", parts.path or "/"),
    )


def _account(install: Install) -> tuple[Row, ...]:
    """Users are made by the late script, all of them alike."""
    parameters = install.parameters
    password = parameters.root_password_hash if parameters.root is RootPolicy.PASSWORD else "!"
    return (
        ("d-i", "passwd/make-user", "boolean", "false"),
        ("d-i", "passwd/root-login", "boolean", "true"),
        ("d-i", "passwd/root-password-crypted", "password", password),
    )


def _fragment(family: Debian, install: Install) -> tuple[str, ...]:
    """A person's own lines: they come last, and the last answer to a question counts."""
    text = install.parameters.fragments.get(family.name, "")
    where = f"fragments.{family.name}"
    lines = tuple(text.replace("\\\n", " ").splitlines())
    for line in lines:
        words = line.split()
        if words and words[0][0] != "#" and (len(words) < 3 or words[1] in _OURS):
            why = "is ours: use scripts" if len(words) >= 3 else "is no owner, name and type"
            raise InputError(f"{' '.join(words[:2])!r:.60} {why}", "write it otherwise", where)
        if not line.replace("\t", " ").isprintable():
            raise InputError("a line has a control character in it", "leave it out", where)
    return lines


def _match(install: Install) -> DiskMatch:
    """Which disk: the layout's own, where there is one."""
    return install.layout.disks[0].match if install.layout else install.disk.match


# A BIOS machine's boot loader would go to the first disk, whichever was partitioned.
_NAME_IT = 'debconf-set partman-auto/disk "$w"; debconf-set grub-installer/bootdev "$w"; '


def _disk() -> tuple[Row, ...]:
    # With no disk named, partman takes the only one, and asks (so it stops) where there are more.
    return (
        ("d-i", "partman-auto/method", "string", "regular"),
        ("d-i", "partman-auto/choose_recipe", "select", "atomic"),
        ("d-i", "partman-partitioning/choose_label", "select", "gpt"),
        ("d-i", "partman/default_label", "string", "gpt"),
    )


def _confirmed() -> tuple[Row, ...]:
    return (
        ("d-i", "partman/choose_partition", "select", "finish"),
        ("d-i", "partman-partitioning/confirm_write_new_label", "boolean", "true"),
        ("d-i", "partman/confirm", "boolean", "true"),
        ("d-i", "partman/confirm_nooverwrite", "boolean", "true"),
    )


def _hooks(install: Install) -> tuple[str, ...]:
    """Commands of ours at three moments; all words in them are our own URLs and tokens.

    early_command runs once the answers are loaded, before anything is written: it fetches the
    scripts, for the claim is over with the first report. partman's is just before the first write:
    there the guard looks whether the disk is blank.
    """
    report = f"{_POST} '{install.urls.callbacks}?stage="
    early = f"{report}installing&step=installer&id=early'"
    partman = f"{report}installing&step=partitioning&id=partman'"
    return (
        f"d-i preseed/early_command string {_fetch(install)}{early} || true{_pre(install)}",
        f"d-i partman/early_command string {_guard(install)}{partman} || true",
        f"d-i preseed/late_command string {_late(install)}",
    )


_POST = "wget -q -O /dev/null --post-data=''"


def _failed(install: Install, id: str, message: str) -> str:
    """Report it, with words that stand in a URL as they are, and end."""
    url = f"{install.urls.callbacks}?stage=failed&id={id}&message={message}"
    return f"{_POST} '{url}'; poweroff -f"


def _fetch(install: Install) -> str:
    names = (LATE, PRE) if install.parameters.scripts.pre else (LATE,)
    lost = _failed(install, "fetch", "its+scripts+could+not+be+fetched")
    return "".join(
        f"wget -q -O /tmp/ironwake-{name} '{install.urls.answers}{name}' || {{ {lost}; }}; "
        for name in names
    )


def _pre(install: Install) -> str:
    """A person's script, by what its first line names, else by sh."""
    if not install.parameters.scripts.pre:
        return ""
    by = "" if install.parameters.scripts.pre.startswith("#!") else "sh "
    failed = _failed(install, "pre", "the+script+pre+failed")
    path = f"/tmp/ironwake-{PRE}"  # noqa: S108 (in the installer's own memory)
    return f"; chmod 700 {path}; {by}{path} || {{ {failed}; }}"


def _late(install: Install) -> str:
    """The late script, inside the new system; a failure leaves the machine as it is, for a look."""
    url = f"{install.urls.callbacks}?stage=failed&id=late&message=the+script+late.sh+failed"
    place = f"root/ironwake-{LATE}"
    return (
        f"cp /tmp/ironwake-{LATE} /target/{place} && in-target sh /{place} && "
        f"rm /target/{place} && {_POST} '{install.urls.callbacks}?stage=installed&id=late' || "
        f"{{ {_POST} '{url}'; false; }}"
    )


def _guard(install: Install) -> str:
    """Refuse a disk that is not blank, unless this deployment may erase that very disk.

    `blkid -p` looks at the disk itself and ends with 2 where it finds neither a partition table nor
    a file system, but also where it can't read: hence `dd`. With several disks at once it stops at
    the first blank one. A disk that is named but not there is refused too: partman would ask which
    other one to take. With `auto`, each that partman could choose is looked at. The installer then
    stops for good.
    """
    match = _match(install)
    find, disks = "", "$(list-devices disk)"
    if match.startswith("/dev/"):
        find, disks = f"w=$(readlink -f {shlex.quote(match)}); {_NAME_IT}", "$w"
    elif match != AUTO:
        find, disks = _by_name(match), "${w:-none}"
    return (
        f"{find}for d in {disks}; do "
        "dd if=$d of=/dev/null count=1 2>/dev/null && blkid -p $d >/dev/null; "
        f"if [ $? != 2 ]{_spared(install)}; then "
        f"{_failed(install, 'guard', _REFUSED)}; fi; done; "
    )


_REFUSED = "the+disk+is+not+blank%2C+or+not+there"


def _by_name(match: str) -> str:
    """Shell commands that name the disk with this serial number, or World Wide Name, `$w`, to
    partman and to GRUB.

    Two with one number run together into the name of none, which the guard refuses.
    """
    kind, _, value = match.partition(":")
    keys, name = _SERIALS, value if kind == "serial" and value else match
    if kind == "wwn" and value:
        keys, name = ("ID_WWN",), value
    words = " -e ".join(shlex.quote(f"{key}={name}") for key in keys)
    return (
        "w=; for d in $(list-devices disk); do "
        f"if udevadm info -q property -n $d | grep -qxF -e {words}; then w=$w$d; fi; done; "
        f"{_NAME_IT}"
    )


_SERIALS: tuple[str, ...] = ("ID_SERIAL", "ID_SERIAL_SHORT")


def _spared(install: Install) -> str:
    """A shell condition: the disk `$d` is none of those that may be erased."""
    names = [
        shlex.quote(f"{key}={name}") for name in install.erase for key in ("DEVNAME", *_SERIALS)
    ]
    if not names:
        return ""
    wanted = " -e ".join(names)
    return f" && ! udevadm info -q property -n $d | grep -qxF -e {wanted}"


FAMILY = Debian()
