"""What a new SUSE system is told inside of itself, whichever installer put it there."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator

from ironwake.families import guard, inside
from ironwake.families.base import Install
from ironwake.firstboot import File
from ironwake.parameters.model import Parameters, Security

# An installer without systemd as its first process: once is a request to that, twice is the deed.
OFF = "poweroff -f -f"
_LOCK = "/run/ironwake-zypp"
PACKAGES = ("curl", "openssh", "sudo")


def callback(install: Install, stage: str, step: str, percent: int) -> str:
    """A shell command that reports a step; it fails where nobody answers."""
    url = f"{install.urls.callbacks}?stage={stage}&id=suse-{step}&step={step}&percent={percent}"
    return guard.report(url)


def packages(install: Install) -> str:
    """Shell text for when the disks are ready: a report, and more while packages are written."""
    more = f"{install.urls.callbacks}?stage=installing&step=packages&id=suse-packages-"
    first = callback(install, "installing", "packages", 20)
    return f"{first} || true\n{inside.growing(more, '/mnt')}\n"


def failing(install: Install, step: str, end: str = "") -> str:
    """Shell text: whatever ends this script with a failure from here on is reported.

    :param end: the command after that
    """
    url = f"{install.urls.callbacks}?stage=failed&id=suse-failed-{step}"
    told = guard.report(f"{url}&message=the+script+{step}+ended+with+", "$status")
    then = f"; {end}" if end else ""
    body = f"status=$?; if [ $status != 0 ]; then {told}{then}; fi"
    return f"trap {shlex.quote(body)} EXIT"


def later_packages(parameters: Parameters) -> tuple[str, ...]:
    """Packages that the new system fetches itself: with package sources of a person's own, nobody
    knows which of them are the installer's.
    """
    return parameters.packages if parameters.repositories else ()


def kernel_words(install: Install) -> tuple[str, ...]:
    """For the installed system's kernel, with what becomes of SELinux or AppArmor."""
    selinux = install.release.options.get("security", "apparmor") == "selinux"
    words = {
        Security.DISABLED: ("selinux=0",) if selinux else ("apparmor=0",),
        Security.PERMISSIVE: ("enforcing=0",),
        Security.ENFORCING: ("enforcing=1",) if selinux else ("apparmor=1", "security=apparmor"),
    }
    wanted = words.get(install.parameters.security, ())
    return (*install.parameters.kernel_arguments, *wanted)


def script(install: Install, files: tuple[File, ...] = (), before: Iterable[str] = ()) -> str:
    """Shell text for the new system, as root, before its first boot; reports how it ends.

    :param files: more that has to stand there
    :param before: commands before that
    """
    parameters = install.parameters
    lines = [
        "#!/bin/sh",
        failing(install, "configure"),
        "set -e",
        f"{callback(install, 'installing', 'configure', 85)} || true",
        *before,
        *inside.put(files),
        *inside.locale(parameters),
        *_repositories(parameters),
        *inside.sudo(parameters),
        "systemctl enable sshd",
        "if command -v firewall-offline-cmd >/dev/null; then",
        "    firewall-offline-cmd --add-service=ssh || true",
        "fi",
        *inside.run(parameters.scripts.post, "root/ironwake-post"),
        *inside.health(install.urls.health),
        inside.insist(callback(install, "installed", "done", 100)),
    ]
    return "\n".join(lines) + "\n"


def _repositories(parameters: Parameters) -> Iterator[str]:
    if parameters.repositories:
        # The installer holds the lock at its usual place to its end.
        yield f"mkdir -p {_LOCK}/run"
        yield f"export ZYPP_LOCKFILE_ROOT={_LOCK}"
    for one in parameters.repositories:
        if one.key:
            path = f"root/ironwake-{one.name}.asc"
            yield from inside.put([File(path, 0o600, one.key.rstrip() + "\n")])
            yield f"rpm --import /{path}"
            yield f"rm /{path}"
        yield f"zypper --non-interactive addrepo --refresh --gpgcheck '{one.url}' '{one.name}'"
    if packages := later_packages(parameters):
        names = " ".join(packages)
        yield f"zypper --non-interactive install --no-recommends -- {names}"
