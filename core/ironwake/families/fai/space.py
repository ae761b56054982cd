"""FAI's configuration space for one machine: classes, hooks, scripts, and files of the new system.

What a person wrote never stands in a script of ours: it is a file beside it, or quoted by `shlex`.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator
from typing import Final

from ironwake import firstboot, networkd
from ironwake.errors import InputError
from ironwake.families import guard
from ironwake.families.base import Install
from ironwake.families.fai import disks
from ironwake.families.fai.reports import STOP, TASKS
from ironwake.firstboot import File
from ironwake.layout.model import Layout
from ironwake.layout.usual import usual
from ironwake.packagecache import SECURITY
from ironwake.parameters.model import RootPolicy, Security, User

CLASS: Final = "IRONWAKE"
_OWN: Final = "ironwake"  # a folder that FAI knows nothing of
_ROOT: Final = f"{_OWN}/root"  # below it, files of the new system
_FRAGMENT: Final = re.compile(
    r"(?:class|debconf|files|hooks|package_config|scripts|tests)"
    r"(?:/[A-Za-z0-9][A-Za-z0-9_.+-]*){1,6}",
    re.ASCII,
)
_BUILT_IN_LOCALES: Final = ("C", "C.UTF-8", "POSIX")
_FOR_NOW: Final = "apt.conf.d/99ironwake"  # of no use after the installation


def files(install: Install) -> tuple[File, ...]:
    """All of it; InputError, with the field, for what cannot be told to FAI."""
    layout = install.layout or usual(install.disk.match)
    found = {
        file.path: file
        for file in (
            File("class/50-ironwake", 0o755, _CLASSES),
            File(f"class/{CLASS}.var", 0o644, _variables(install)),
            File(f"disk_config/{CLASS}", 0o644, disks.disk_config(layout)),
            File(f"package_config/{CLASS}", 0o644, _packages(install, layout)),
            File(f"debconf/{CLASS}", 0o644, ""),
            *_sources(install),
            *_hooks(install, layout),
            *_scripts(install, layout),
            *_system(install),
        )
    }
    for file in _fragments(install):
        if file.path in found:
            raise InputError(
                f"{file.path} is Ironwake's own file", "give yours another name", "fragments.fai"
            )
        found[file.path] = file
    return tuple(found[path] for path in sorted(found))


_CLASSES = f"""\
#!/bin/sh
# Which classes this machine has: FAI's own ones for what firmware has started it.
echo DEBIAN AMD64 {CLASS}
if [ -d /sys/firmware/efi ]; then echo GRUB_EFI; else echo GRUB_PC; fi
"""


def _variables(install: Install) -> str:
    rows = {
        "UTC": "yes",
        "TIMEZONE": install.parameters.timezone,
        "STOP_ON_ERROR": str(STOP),
        "MAXPACKAGES": "800",
        # Else it looks for an account on a log server, and calls a good installation a bad one.
        "LOGUSER": "",
    }
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in rows.items())


def _packages(install: Install, layout: Layout) -> str:
    parameters = install.parameters
    wanted = [*disks.packages(layout), *parameters.packages]
    if parameters.locale not in _BUILT_IN_LOCALES:
        wanted.append("locales")
    if parameters.security is Security.ENFORCING:
        wanted.append("apparmor")
    if parameters.firmware:
        wanted.append("firmware-linux")
    names = list(dict.fromkeys(wanted))
    if (names or parameters.package_groups) and not install.urls.packages:
        raise InputError(
            "there is no mirror that packages could come from",
            "set IRONWAKE_MIRROR, or parameters.mirror",
            "mirror",
        )
    text = "PACKAGES install-norec\n" + "".join(f"{name}\n" for name in names) if names else ""
    if parameters.package_groups:
        text += "PACKAGES taskinst\n" + "".join(f"{name}\n" for name in parameters.package_groups)
    return text


def _sources(install: Install) -> Iterator[File]:
    """What apt is told, by FAI's own way: files/PATH/CLASS."""
    suite = install.release.codename
    components = "main non-free-firmware" if install.parameters.firmware else "main"
    mirror = install.urls.packages
    lines = [f"deb {mirror} {suite} {components}\n"] if mirror else ["# no mirror was set\n"]
    security = "" if install.parameters.mirror else install.site.packages_of(SECURITY)
    if mirror and security:
        lines.append(f"deb {security} {suite}-security {components}\n")
    yield _apt("sources.list", "".join(lines))
    yield _apt(_FOR_NOW, 'Acquire::Languages "none";\n')
    if install.parameters.proxy:
        proxy = f'Acquire::http::Proxy "{install.parameters.proxy}";\n'
        yield _apt("apt.conf.d/90ironwake-proxy", proxy)
    for one in install.parameters.repositories:
        stanza = f"Types: deb\nURIs: {one.url}\nSuites: {one.suite}\n"
        if one.components:
            stanza += f"Components: {' '.join(one.components)}\n"
        if one.key:
            stanza += f"Signed-By: /etc/apt/keyrings/{one.name}.asc\n"
            yield _apt(f"keyrings/{one.name}.asc", one.key)
        yield _apt(f"sources.list.d/{one.name}.sources", stanza)


def _apt(name: str, text: str) -> File:
    return File(f"files/etc/apt/{name}/{CLASS}", 0o644, text)


def _hooks(install: Install, layout: Layout) -> Iterator[File]:
    """Each is sourced before its task (`.sh`): it tells us, and may end everything."""
    for task in TASKS:
        if task in ("setup", "defclass"):  # no class is known yet
            continue
        text = _tell(install, f"event=begin&task={task}")
        if task == "partition":
            text = _before_disks(install)
        elif task == "repository":
            # Else FAI copies its resolv.conf to where a link leads nowhere yet.
            text += "mkdir -p $target/run/systemd/resolve\n"
        elif task == "savelog":
            text = _result(install)
        yield File(f"hooks/{task}.{CLASS}.sh", 0o755, text)
    failed = f"{install.urls.callbacks}?stage=failed&step=disks&message="
    chosen = guard.wanted(layout, install.disk.match, install.release.least_disk)
    names = " ".join(f"${{{guard.variable(str(one.name))}#/dev/}}" for one in layout.disks)
    text = guard.script(chosen, install.erase, failed) + f'echo "{names}"\n'
    yield File(f"{_OWN}/guard", 0o755, f"#!/bin/sh\n{text}")
    if install.parameters.scripts.pre:
        yield File(f"{_OWN}/pre", 0o755, _started(install.parameters.scripts.pre))


def _tell(install: Install, form: str, rest: str = "") -> str:
    url = shlex.quote(install.urls.reports)
    words = f"--data {shlex.quote(form)}{rest}"
    return f"curl -fsS -m 10 -o /dev/null {words} {url} || true\n"


def _before_disks(install: Install) -> str:
    """The person's script, then the guard; it powers the machine off where it refuses."""
    pre = ""
    if install.parameters.scripts.pre:
        pre = f'"$FAI/{_OWN}/pre" || {{ task_error 420 1 1; die "the script pre failed"; }}\n'
    return (
        f"{pre}"
        f'disklist=$("$FAI/{_OWN}/guard") || {{ task_error 710 1 1; die "no disk was chosen"; }}\n'
        "export disklist\n" + _tell(install, "event=begin&task=partition")
    )


def _result(install: Install) -> str:
    """Runs at the end, and from FAI's `die`, where the task is still the one that failed."""
    url, log = shlex.quote(install.urls.reports), f"{install.urls.callbacks}?stage=log&step=fai"
    return f"""\
{_tell(install, "event=begin&task=savelog")}_code=$(cat $LOGDIR/task_error)
if [ "$taskname" != savelog ] || [ "$_code" != 0 ]; then
    for _name in format software scripts fai; do
        [ -s $LOGDIR/$_name.log ] && tail -n 40 $LOGDIR/$_name.log
    done | tail -n 120 | curl -fsS -m 20 -o /dev/null --data-binary @- {shlex.quote(log)} || true
fi
sync
_tries=0
while [ $_tries -lt 60 ]; do
    _reply=$(curl -sS -m 20 -o /dev/null -w '%{{http_code}}' \\
        --data "event=result&task=$taskname&code=$_code" {url})
    case $_reply in 2*|404|409|410) break;; esac
    _tries=$((_tries + 1)); sleep 2
done
"""


def _scripts(install: Install, layout: Layout) -> Iterator[File]:
    """fai-do-scripts runs them class by class; the class comes before GRUB's."""
    yield File(f"scripts/{CLASS}/10-system", 0o755, _system_script(install))
    numbers = " ".join(str(number + 1) for number in disks.boot_disks(layout))
    yield File("scripts/GRUB_PC/10-ironwake", 0o755, _GRUB_PC.replace("@DISKS@", numbers))
    yield File("scripts/GRUB_EFI/10-ironwake", 0o755, _GRUB_EFI)
    post = install.parameters.scripts.post
    if post:
        yield File(f"{_OWN}/post", 0o755, _started(post))
        yield File("scripts/LAST/50-ironwake", 0o755, _POST)


def _started(script: str) -> str:
    return script if script.startswith("#!") else f"#!/bin/sh\n{script}"


_HEAD = "#!/bin/bash\nset -eu -o pipefail\n"
_POST = f"""\
{_HEAD}cp "$FAI/{_OWN}/post" "$target/root/ironwake-post"
trap 'rm -f "$target/root/ironwake-post"' EXIT
$ROOTCMD /root/ironwake-post
"""
_GRUB_PC = f"""\
{_HEAD}number=0
for disk in $disklist; do
    number=$((number + 1))
    case " @DISKS@ " in *" $number "*) ;; *) continue;; esac
    $ROOTCMD grub-install --target=i386-pc --no-floppy "/dev/$disk"
done
$ROOTCMD update-grub
"""
# The firmware's boot order stays: an entry beside it, for the next start alone. Firmware that takes
# no entry finds \\EFI\\BOOT.
_GRUB_EFI = rf"""{_HEAD}$ROOTCMD grub-install --target=x86_64-efi --uefi-secure-boot --no-floppy \
    --no-nvram --force-extra-removable
$ROOTCMD update-grub
esp=$(findmnt -n -o SOURCE "$target/boot/efi")
name=${{esp##*/}}
disk=$(basename "$(readlink -f "/sys/class/block/$name/..")")
number=$(cat "/sys/class/block/$name/partition")
if $ROOTCMD efibootmgr -q -C -d "/dev/$disk" -p "$number" -L {firstboot.LABEL} \
    -l '\EFI\debian\shimx64.efi'; then
    entry=$($ROOTCMD efibootmgr | sed -n 's/^Boot\([0-9A-F]*\)\*\{{0,1\}} {firstboot.LABEL}.*/\1/p')
    $ROOTCMD efibootmgr -q -n "$(echo "$entry" | tail -n 1)" || true
fi
"""


def _system_script(install: Install) -> str:
    parameters = install.parameters
    lines = [
        # By tar, for it leaves folders that are there as they are.
        f'tar -C "$FAI/{_ROOT}" -cf - . | tar -C "$target" --no-overwrite-dir -xf -',
        f"rm -f $target/etc/apt/{_FOR_NOW}",
        f"ln -sf /usr/share/zoneinfo/{parameters.timezone} $target/etc/localtime",
        f"$ROOTCMD systemctl --quiet enable {firstboot.UNIT}",
        ": >$target/etc/machine-id",
    ]
    if parameters.locale not in _BUILT_IN_LOCALES:
        lines.append("$ROOTCMD locale-gen")
    if parameters.root is RootPolicy.PASSWORD:
        lines.append(f"$ROOTCMD usermod -p {shlex.quote(parameters.root_password_hash)} root")
    else:
        lines.append("$ROOTCMD usermod -p '*' root")
    if parameters.root is RootPolicy.KEYS:
        lines.append("chmod 700 $target/root/.ssh")
    for user in parameters.users:
        lines += _account(user)
    return _HEAD + "".join(f"{line}\n" for line in lines)


def _account(user: User) -> Iterator[str]:
    for group in user.groups:
        yield f"$ROOTCMD groupadd -f {group}"
    words = ["$ROOTCMD useradd -m -s /bin/bash -c", shlex.quote(user.full_name)]
    words += ["-G", ",".join(user.groups)] if user.groups else []
    if user.password_hash:
        words += ["-p", shlex.quote(user.password_hash)]
    yield " ".join((*words, str(user.name)))
    if user.ssh_keys:
        home = f"/home/{user.name}"
        yield f"install -d -m 700 $target{home}/.ssh"
        yield f'cp "$FAI/{_OWN}/keys/{user.name}" $target{home}/.ssh/authorized_keys'
        yield f"chmod 600 $target{home}/.ssh/authorized_keys"
        yield f"$ROOTCMD chown -R {user.name}:{user.name} {home}/.ssh"


def _system(install: Install) -> Iterator[File]:
    """Files of the new system, and of its users."""
    parameters = install.parameters
    yield from (
        File(f"{_OWN}/keys/{user.name}", 0o600, _lines(user.ssh_keys))
        for user in parameters.users
        if user.ssh_keys
    )
    for file in (
        *networkd.files(parameters.network, install.mac),
        *firstboot.files(install.urls.health),
        *_named(install),
    ):
        yield File(f"{_ROOT}/{file.path}", file.mode, file.text)


def _named(install: Install) -> Iterator[File]:
    parameters, name = install.parameters, install.hostname
    yield File("etc/hostname", 0o644, f"{name}\n")
    hosts = f"127.0.0.1\tlocalhost\n127.0.1.1\t{name}.{install.domain}\t{name}\n"
    hosts += "::1\tlocalhost ip6-localhost ip6-loopback\n"
    yield File("etc/hosts", 0o644, hosts)
    yield File("etc/timezone", 0o644, f"{parameters.timezone}\n")
    yield File("etc/default/locale", 0o644, f"LANG={parameters.locale}\n")
    if parameters.locale not in _BUILT_IN_LOCALES:
        code = parameters.locale.partition("@")[0].partition(".")[2] or "ISO-8859-1"
        yield File("etc/locale.gen", 0o644, f"{parameters.locale} {code}\n")
    keyboard = f'XKBMODEL="pc105"\nXKBLAYOUT="{parameters.keyboard}"\nXKBVARIANT=""\n'
    yield File("etc/default/keyboard", 0o644, f'{keyboard}BACKSPACE="guess"\n')
    yield File("etc/default/grub", 0o644, _grub(install))
    if parameters.ntp:
        text = f"[Time]\nNTP={' '.join(parameters.ntp)}\n"
        yield File("etc/systemd/timesyncd.conf.d/ironwake.conf", 0o644, text)
    if parameters.root is RootPolicy.KEYS:
        yield File("root/.ssh/authorized_keys", 0o600, _lines(parameters.root_keys))
    rules = [f"{user.name} ALL=(ALL:ALL) NOPASSWD: ALL" for user in parameters.users if user.admin]
    if rules:
        yield File("etc/sudoers.d/90-ironwake", 0o440, _lines(rules))


def _grub(install: Install) -> str:
    """GRUB's own console: its usual one hangs where a machine has no graphics card."""
    words = [*install.machine.architecture.consoles, *install.parameters.kernel_arguments]
    if install.parameters.security is Security.DISABLED:
        words.append("apparmor=0")
    return (
        'GRUB_DEFAULT=0\nGRUB_TIMEOUT=1\nGRUB_DISTRIBUTOR="Debian"\n'
        f'GRUB_CMDLINE_LINUX_DEFAULT=""\nGRUB_CMDLINE_LINUX="{" ".join(words)}"\n'
        "GRUB_TERMINAL=console\nGRUB_DISABLE_OS_PROBER=true\n"
    )


def _fragments(install: Install) -> Iterator[File]:
    """Files of the person's own: a mapping from a path in the configuration space to its text."""
    text = install.parameters.fragments.get("fai", "")
    if not text:
        return
    try:
        rows = json.loads(text)
        fine = isinstance(rows, dict) and all(isinstance(row, str) for row in rows.values())
    except (ValueError, RecursionError):
        fine = False
    if not fine:
        raise InputError(
            "this is no mapping from files of FAI's configuration space to their texts",
            "write it as in fai: {package_config/MINE: ...}",
            "fragments.fai",
        )
    for path, content in rows.items():
        if path.startswith("disk_config/"):
            raise InputError(
                f"{path!r:.80} would divide disks that nobody has looked at",
                "use layout",
                "fragments.fai",
            )
        if not _FRAGMENT.fullmatch(path):
            raise InputError(
                f"{path!r:.80} is no file of FAI's configuration space",
                "write it as in scripts/IRONWAKE/50-own",
                "fragments.fai",
            )
        runs = path.startswith(("hooks/", "scripts/", "tests/", "class/"))
        mode = 0o755 if runs and not path.endswith(".var") else 0o644
        yield File(path, mode, content)


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
