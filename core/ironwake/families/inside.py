"""Shell text that runs inside a new system, as root: files, accounts' keys, scripts, health report.

Contents go through base64, so that nothing of a person's needs quoting. It wants sh, base64 and
coreutils.
"""

from __future__ import annotations

import base64
import shlex
from collections.abc import Iterable, Iterator

from ironwake import firstboot
from ironwake.families import guard
from ironwake.firstboot import File
from ironwake.parameters import Parameters
from ironwake.parameters.model import RootPolicy, User


def put(files: Iterable[File]) -> Iterator[str]:
    """Commands that write these files."""
    for file in files:
        path = shlex.quote(f"/{file.path}")
        folder = shlex.quote(f"/{file.path.rpartition('/')[0]}")
        text = base64.b64encode(file.text.encode()).decode()
        yield f"mkdir -p {folder}"
        # The file is nobody else's from its beginning: it may hold a key.
        yield f"(umask 077; base64 -d >{path}) <<'IRONWAKE'\n{text}\nIRONWAKE"
        yield f"chmod {file.mode:o} {path}"


def run(script: str, path: str) -> Iterator[str]:
    """Commands that run a person's script: by what its first line names, else by sh.

    A failure ends the shell with its status, if that runs with `set -e`.
    """
    if not script:
        return
    by = "" if script.startswith("#!") else "sh "
    yield from put([File(path, 0o700, script)])
    yield f"{by}/{path}"
    yield f"rm -f /{path}"


def health(url: str) -> Iterator[str]:
    """The first boot's report, and its unit; labelled where SELinux asks for it."""
    files = firstboot.files(url)
    yield from put(files)
    yield f"systemctl enable {firstboot.UNIT}"
    yield relabel("/etc/ironwake", "/usr/lib/ironwake", f"/etc/systemd/system/{firstboot.UNIT}")


def sudo(parameters: Parameters) -> Iterator[str]:
    """Administrators need no password for sudo: they may have none at all."""
    yield from put(
        File(f"etc/sudoers.d/ironwake-{user.name}", 0o440, f"{user.name} ALL=(ALL) NOPASSWD: ALL\n")
        for user in parameters.users
        if user.admin
    )


def groups(user: User) -> Iterator[str]:
    """Commands that put an account into its groups, which they make where they are not there."""
    for group in user.groups:
        yield f"getent group {group} >/dev/null || groupadd {group}"
    if user.groups:
        yield f"usermod -a -G {','.join(user.groups)} {user.name}"


def account(user: User) -> Iterator[str]:
    """Commands that make an account, where the installer does not."""
    words = ["useradd", "--create-home", "--comment", shlex.quote(user.full_name)]
    if user.password_hash:
        words += ["--password", shlex.quote(user.password_hash)]
    yield " ".join((*words, str(user.name)))
    yield from groups(user)
    if user.password:
        text = File("root/.ironwake-password", 0o600, f"{user.name}:{user.password}\n")
        yield from put([text])
        yield f"chpasswd </{text.path}"
        yield f"rm /{text.path}"


def language(locale: str) -> str:
    """What an installer speaks that has no C, which the new system gets all the same."""
    return "en_US.UTF-8" if locale.partition(".")[0] in ("C", "POSIX") else locale


def locale(parameters: Parameters) -> Iterator[str]:
    """The new system's, where its installer was told another one."""
    if language(parameters.locale) != parameters.locale:
        yield from put([File("etc/locale.conf", 0o644, f"LANG={parameters.locale}\n")])


def keys(parameters: Parameters) -> Iterator[str]:
    """SSH keys of all accounts, and root's, where the installer does not put them."""
    for user in parameters.users:
        if user.ssh_keys:
            yield from _keys(str(user.name), f"home/{user.name}", user.ssh_keys)
    if parameters.root is RootPolicy.KEYS:
        yield from _keys("root", "root", parameters.root_keys)


def _keys(name: str, home: str, lines: Iterable[str]) -> Iterator[str]:
    text = "".join(f"{line}\n" for line in lines)
    yield f"install -d -m 700 /{home}/.ssh"
    yield from put([File(f"{home}/.ssh/authorized_keys", 0o600, text)])
    yield f"chown -R {name}: /{home}/.ssh"
    yield relabel(f"/{home}/.ssh")


def relabel(*paths: str) -> str:
    """SELinux labels as the policy has them; nothing where there is no SELinux."""
    return f"if command -v restorecon >/dev/null; then restorecon -RF {' '.join(paths)}; fi"


def insist(command: str) -> str:
    """A report that must be heard, for five minutes: the appliance may be away for a moment."""
    return (
        f"tries=0; until {command}; do "
        "tries=$((tries + 1)); [ $tries -lt 30 ] || exit 1; sleep 10; done"
    )


def growing(url: str, *roots: str) -> str:
    """Shell text, in the background: a sign of life for each minute in which the new system has
    grown, until its report's unit is there. What stands still says nothing.

    :param url: a callback's, which ends so that a number can follow
    :param roots: where the new system may be mounted
    """
    places = " ".join(roots)
    absent = " && ".join(f"[ ! -e {root}/etc/ironwake/health-url ]" for root in roots)
    told = guard.report(url, "$number")
    return (
        f"(number=0 before=; while sleep 60 && {absent}; do\n"
        f"    now=$(df -k {places} 2>/dev/null)\n"
        '    if [ "$now" != "$before" ]; then\n'
        f"        before=$now number=$((number + 1)); {told} || true\n"
        "    fi\n"
        "done) </dev/null >/dev/null 2>&1 &"
    )
