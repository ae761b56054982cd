"""Red Hat's family (RHEL, Rocky, Alma, CentOS Stream, Fedora): anaconda and its kickstart.

The release row's `options`, and what they are by default:
`environment` (`@^minimal-environment`): the group that is installed at least;
`ntp` (`timesource`): the command that names time servers, `timezone` in version 8;
`failure` (`%onerror`): the sections that it runs at its end, where that is none;
`btrfs` (`no`): whether the installer makes it; `rhsm` (`no`): whether the system is registered, by
`vars` rhsm_organization and rhsm_activation_key; `kickstart`: ksvalidator's word for the version.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ironwake import keyfile
from ironwake.errors import InputError
from ironwake.families import guard, inside, storage
from ironwake.families.base import Answers, Format, Install
from ironwake.families.redhat import anaconda, kickstart
from ironwake.families.redhat.kickstart import Command, Section
from ironwake.firstboot import File
from ironwake.parameters.model import RootPolicy, Security, User
from ironwake.report import Callback

FILE = "ks.cfg"
# A blank before a hyphen would be an option of the group's line.
_GROUP = re.compile(r"\^?[A-Za-z0-9](?:[A-Za-z0-9._+-]| (?!-))*", re.ASCII)


@dataclass(frozen=True)
class RedHat:
    name: str = "redhat"
    files: tuple[str, ...] = (FILE,)
    formats: Mapping[str, Format] = field(default_factory=lambda: {FILE: Format.KICKSTART})
    roles: tuple[str, ...] = ()
    refuses: Mapping[str, str] = field(default_factory=dict)

    def check(self, install: Install) -> None:
        if install.layout:
            storage.check(install.layout, anaconda.can(btrfs=_option(install, "btrfs") == "yes"))
            anaconda.check(install.layout)
        if not install.source:
            raise InputError(
                "nothing says where the packages come from",
                "give mirror, the URL of an installation tree",
                "mirror",
            )
        self.answers(install)

    def arguments(self, install: Install) -> tuple[str, ...]:
        return (
            f"inst.repo={install.source}",
            f"inst.ks={install.urls.answers}{FILE}",
            "rd.neednet=1",
            "ip=dhcp",
            # The card that booted, whichever name it gets: dracut's word, and anaconda's.
            f"BOOTIF={install.mac.bootif}",
            "inst.ks.device=bootif",
            "inst.text",
            # Else the kickstart stays in the new system, passphrases and all.
            "inst.nosave=all_ks",
            *install.machine.architecture.consoles,
        )

    def answers(self, install: Install) -> Answers:
        text = kickstart.dump(_commands(install), _sections(install))
        fragment = install.parameters.fragments.get(self.name, "")
        if fragment:
            _check_fragment(fragment)
            text += f"\n{fragment.rstrip()}\n"
        return Answers({FILE: text})

    def parse(self, name: str, text: str) -> object:  # noqa: ARG002 (there is one)
        return kickstart.parse(text)

    def heard(self, content_type: str, body: bytes) -> Callback | None:  # noqa: ARG002
        return None  # its scripts make callbacks by themselves


# They would divide disks that the guard has not looked at, or bring in a file that does.
_OURS = (
    *("ignoredisk", "zerombr", "clearpart", "autopart", "reqpart", "mount"),
    *("part", "partition", "raid", "volgroup", "logvol", "btrfs"),
    *("%include", "%ksappend"),
)
# Of `bootloader`: another disk's first sectors would be written.
_BOOT_DISKS = ("--boot-drive", "--driveorder", "--location")


def _check_fragment(fragment: str) -> None:
    """InputError where it is no kickstart, or has commands about disks."""
    where = "fragments.redhat"
    try:
        commands = kickstart.commands_of(fragment)
    except InputError as error:
        raise InputError(error.what, error.next_step, where) from None
    for command in commands:
        if command[0] in _OURS or _is_elsewhere(command):
            raise InputError(
                f"{command[0]} is not a fragment's to say",
                "use layout; or a template",
                where,
            )


def _is_elsewhere(command: Command) -> bool:
    """An option's beginning is as good as all of it (pykickstart's are argparse's)."""
    names = (word.partition("=")[0] for word in command[1:])
    return command[0] == "bootloader" and any(
        option.startswith(name) for name in names if len(name) > 2 for option in _BOOT_DISKS
    )


_DEFAULTS = {
    "environment": "@^minimal-environment",
    "ntp": "timesource",
    "btrfs": "no",
    "rhsm": "no",
    "failure": "%onerror",
}


def _option(install: Install, name: str) -> str:
    return install.release.options.get(name, _DEFAULTS[name])


def _commands(install: Install) -> Iterator[Command]:
    parameters = install.parameters
    yield ("text",)
    yield ("reboot",)
    yield "url", f"--url={install.source}", *_proxy(install, install.source)
    for one in parameters.repositories:
        yield "repo", f"--name={one.name}", f"--baseurl={one.url}", *_proxy(install, one.url)
    yield "lang", inside.language(parameters.locale)
    yield "keyboard", f"--vckeymap={parameters.keyboard}", f"--xlayouts={parameters.keyboard}"
    yield from _time(install)
    full = f"{install.hostname}.{install.domain}" if install.domain else install.hostname
    yield "network", f"--device={install.mac}", "--bootproto=dhcp", "--activate", "--onboot=yes"
    yield "network", f"--hostname={full}"
    yield from _root(install)
    for user in parameters.users:
        yield from _user(user)
    yield "selinux", f"--{_SELINUX[parameters.security]}"
    yield "firewall", "--enabled", "--service=ssh"
    yield "services", "--enabled=sshd,chronyd" if parameters.ntp else "--enabled=sshd"
    yield "firstboot", "--disabled"
    yield from _registration(install)
    yield "%include", anaconda.INCLUDE


_SELINUX = {
    Security.DEFAULT: "enforcing",
    Security.ENFORCING: "enforcing",
    Security.PERMISSIVE: "permissive",
    Security.DISABLED: "disabled",
}


def _proxy(install: Install, url: str) -> tuple[str, ...]:
    """The appliance is on the machine's own network: no proxy is between."""
    proxy = install.parameters.proxy
    near = urlsplit(url).hostname == install.site.address
    return (f"--proxy={proxy}",) if proxy and not near else ()


def _time(install: Install) -> Iterator[Command]:
    zone, servers = install.parameters.timezone, install.parameters.ntp
    if _option(install, "ntp") == "timezone":
        named = (f"--ntpservers={','.join(servers)}",) if servers else ()
        yield "timezone", zone, "--utc", *named
        return
    yield "timezone", zone, "--utc"
    for server in servers:
        yield "timesource", f"--ntp-server={server}"


def _root(install: Install) -> Iterator[Command]:
    parameters = install.parameters
    if parameters.root is RootPolicy.PASSWORD:
        yield "rootpw", "--iscrypted", parameters.root_password_hash
        return
    yield "rootpw", "--lock"
    if parameters.root is RootPolicy.KEYS:
        for key in parameters.root_keys:
            yield "sshkey", "--username=root", key


def _user(user: User) -> Iterator[Command]:
    words = [f"--name={user.name}"]
    groups = dict.fromkeys((*(("wheel",) if user.admin else ()), *user.groups))
    if groups:
        words.append(f"--groups={','.join(groups)}")
    if user.full_name:
        words.append(f"--gecos={user.full_name}")
    if user.password_hash:
        words += ["--iscrypted", f"--password={user.password_hash}"]
    elif user.password:
        words += ["--plaintext", f"--password={user.password}"]
    else:
        words.append("--lock")
    yield "user", *words
    for key in user.ssh_keys:
        yield "sshkey", f"--username={user.name}", key


def _registration(install: Install) -> Iterator[Command]:
    given = install.parameters.vars
    organization, key = given.get("rhsm_organization", ""), given.get("rhsm_activation_key", "")
    if _option(install, "rhsm") != "yes" or not (organization or key):
        return
    if not (organization and key):
        lacking = "rhsm_activation_key" if organization else "rhsm_organization"
        raise InputError("a registration takes both", f"give vars.{lacking}", "vars")
    yield "rhsm", f"--organization={organization}", f"--activation-key={key}"


def _sections(install: Install) -> Iterator[Section]:
    failed = _report(install, "failed", "")
    yield kickstart.section("%pre --erroronfail --log=/tmp/ironwake-pre.log", _pre(install))
    # Storage is ready and mounted then, and nothing is on it yet.
    ready = guard.report(_report(install, "installing", "packages", 20)) + " || true"
    more = f"{install.urls.callbacks}?stage=installing&step=packages&id=ks-packages-"
    # Where it is mounted, by version.
    growing = inside.growing(more, "/mnt/sysroot", "/mnt/sysimage")
    yield kickstart.section("%pre-install", f"{ready}\n{growing}")
    yield kickstart.section("%packages", "\n".join(_packages(install)))
    yield kickstart.section(
        "%post --erroronfail --log=/var/log/ironwake-post.log", "\n".join(_post(install))
    )
    yield kickstart.section(
        "%post --nochroot --erroronfail",
        inside.insist(guard.report(_report(install, "installed", "done", 100))),
    )
    for name in _option(install, "failure").split():
        yield kickstart.section(name, _LAST_WORDS + guard.report(failed, '"$words"'))


# What anaconda said last, in characters that stand in a URL as they are.
_LAST_WORDS = """\
words=$(grep -h -E 'ERR|CRT' /tmp/anaconda.log /tmp/packaging.log 2>/dev/null | tail -n 3 | \
cut -c 1-200 | tr -c 'A-Za-z0-9/._:;-' +)
words="the+installer+stopped:+$words"
"""


def _report(install: Install, stage: str, step: str, percent: int | None = None) -> str:
    """A callback's URL; a failure's ends so that its message can follow."""
    url = f"{install.urls.callbacks}?stage={stage}&id=ks-{step or 'error'}"
    if stage == "failed":
        return f"{url}&message="
    return f"{url}&step={step}" + (f"&percent={percent}" if percent is not None else "")


def _pre(install: Install) -> str:
    """The guard, then what is known only now: the disks' names; then the user's own script."""
    arguments = " ".join(install.parameters.kernel_arguments)
    least = install.release.least_disk
    disks = guard.wanted(install.layout, install.disk.match, least)
    failed = f"{install.urls.callbacks}?stage=failed&id=guard&message="
    parts = (
        guard.script(disks, install.erase, failed),
        storage.firmware(install.layout),
        anaconda.script(install.layout, arguments, install.keys),
        "set -e",
        *inside.run(install.parameters.scripts.pre, "tmp/ironwake-pre"),
        guard.report(_report(install, "installing", "partition", 5)) + " || true",
    )
    return "\n".join(parts)


def _packages(install: Install) -> Iterator[str]:
    parameters = install.parameters
    yield _option(install, "environment")
    for group in parameters.package_groups:
        name = group.removeprefix("@").rstrip()
        if not _GROUP.fullmatch(name):
            raise InputError(
                f"{group!r:.60} is no group of packages",
                "write it as in @development, or ^server-product-environment",
                "package_groups",
            )
        yield f"@{name}"
    yield from ("curl", "openssh-server", "sudo")
    if parameters.ntp:
        yield "chrony"
    if parameters.firmware:
        yield "linux-firmware"
    yield from parameters.packages


def _post(install: Install) -> Iterator[str]:
    """Inside the new system."""
    parameters = install.parameters
    yield "set -e"
    yield "(" + guard.report(_report(install, "installing", "configure", 85)) + ") || true"
    # Anaconda's own connections are for the card as it was called while installing.
    yield f"rm -f /{keyfile.FOLDER}/* /etc/sysconfig/network-scripts/ifcfg-*"
    yield from inside.put(keyfile.files(parameters.network, install.mac))
    yield inside.relabel(f"/{keyfile.FOLDER}")
    yield from inside.locale(parameters)
    yield from _repositories(install)
    if parameters.proxy:
        yield from inside.put([File("root/.ironwake-proxy", 0o600, f"proxy={parameters.proxy}\n")])
        yield "cat /root/.ironwake-proxy >>/etc/dnf/dnf.conf"
        yield "rm /root/.ironwake-proxy"
    yield from inside.sudo(parameters)
    yield from inside.run(parameters.scripts.post, "root/ironwake-post")
    yield from inside.health(install.urls.health)
    yield inside.relabel("/etc/sudoers.d", "/etc/yum.repos.d", "/etc/pki/rpm-gpg")


def _repositories(install: Install) -> Iterator[str]:
    for one in install.parameters.repositories:
        key = f"etc/pki/rpm-gpg/RPM-GPG-KEY-ironwake-{one.name}"
        rows = [f"[{one.name}]", f"name={one.name}", f"baseurl={one.url}", "enabled=1"]
        rows.append("gpgcheck=1")
        if one.key:
            rows.append(f"gpgkey=file:///{key}")
            yield from inside.put([File(key, 0o644, one.key.rstrip() + "\n")])
            yield f"rpm --import /{key}"
        text = "".join(f"{row}\n" for row in rows)
        yield from inside.put([File(f"etc/yum.repos.d/{one.name}.repo", 0o644, text)])


FAMILY = RedHat()
