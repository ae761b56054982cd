"""What runs inside a new system, run: in a root of its own, with this machine's programs."""

from __future__ import annotations

import json
import os
import shlex
import stat
import subprocess
from pathlib import Path

import pytest

from ironwake import firstboot
from ironwake.families import inside, redhat, suse
from ironwake.families.base import Family, Install
from ironwake.families.redhat import kickstart
from ironwake.families.suse import agama, autoyast, yastxml
from ironwake.names import UserName
from ironwake.parameters.model import Repository, RootPolicy, Scripts, User
from tests.families.asked import HASH, KEY, NAUGHTY, install

pytestmark = pytest.mark.root

_FAMILIES: dict[str, Family] = {
    "rocky-9": redhat.FAMILY,
    "leap-15.6": suse.FAMILY,
    "leap-16.0": suse.FAMILY,
}
_STUBS = ("systemctl", "restorecon", "rpm", "zypper", "firewall-offline-cmd", "curl")


def script(wanted: Install) -> str:
    """The one that the installer runs in the new system."""
    files = _FAMILIES[wanted.release.name].answers(wanted).files
    if redhat.FILE in files:
        sections = kickstart.parse(files[redhat.FILE])["sections"]
        lines = next(one["lines"] for one in sections if one["head"][0] == "%post")  # type: ignore[attr-defined]
        return "\n".join(lines)
    if autoyast.FILE in files:
        scripts = yastxml.parse(files[autoyast.FILE])["scripts"]
        return str(scripts["chroot-scripts"][0]["source"])  # type: ignore[call-overload, index]
    return str(json.loads(files[agama.FILE])["scripts"]["post"][0]["content"])


class Root:
    """A folder that is a root: /usr is this machine's, all else its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("usr", "etc", "root", "home", "tmp", "dev", "stubs", "run"):
            (folder / name).mkdir()
        for name in ("bin", "sbin", "lib", "lib64"):
            (folder / name).symlink_to(f"usr/{name}")
        (folder / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
        (folder / "etc/shadow").write_text("root:!:1::::::\n")
        (folder / "etc/group").write_text("root:x:0:\nusers:x:100:\naudio:x:29:\n")
        for name in _STUBS:
            path = folder / "stubs" / name
            path.write_text(f'#!/bin/sh\necho "{name} $*" >>/told\n')
            path.chmod(0o755)

    def run(self, text: str) -> tuple[int, str]:
        """Run it in there: its status, and what it told its stand-ins (or why it failed)."""
        (self.folder / "script").write_text(text)
        root = shlex.quote(str(self.folder))
        # usr is laid over with a folder in memory: what is written to it is gone afterwards.
        commands = (
            "set -e; mount -t tmpfs none /mnt; mkdir /mnt/up /mnt/work; "
            "mount -t overlay none -o lowerdir=/usr,upperdir=/mnt/up,workdir=/mnt/work "
            f"{root}/usr; "
            f"touch {root}/dev/null; mount --bind /dev/null {root}/dev/null; "
            f"status=0; chroot {root} /usr/bin/env -i PATH=/stubs:/usr/sbin:/usr/bin "
            "/bin/sh /script || status=$?; "
            f"cp -a /mnt/up {root}/written; exit $status"
        )
        done = subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", commands],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
        told = self.folder / "told"
        return done.returncode, (told.read_text() if told.exists() else "") + done.stderr

    def read(self, path: str) -> str:
        return (self.folder / path).read_text()

    def mode(self, path: str) -> int:
        return stat.S_IMODE((self.folder / path).stat().st_mode)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path)


@pytest.mark.parametrize("release", _FAMILIES)
def test_the_new_system_has_what_was_asked(release: str, root: Root) -> None:
    """The report's unit, sudo, network, package sources, and the person's own script."""
    wanted = install(
        release,
        users=(User(UserName("ada"), (KEY,), HASH),),
        repositories=(Repository("extra", "http://mirror.example/extra"),),
        packages=("vim",),
        scripts=Scripts(post='#!/bin/sh\nprintf %s "$0" >/mine'),
    )
    text = script(wanted)
    if release == "leap-16.0":  # the installer makes the first account
        text = text.replace("#!/bin/sh", "#!/bin/sh\nuseradd --create-home ada", 1)
    status, told = root.run(text)
    assert status == 0, told
    for file in firstboot.files(wanted.urls.health):
        place = f"written{file.path[3:]}" if file.path.startswith("usr/") else file.path
        assert root.read(place) == file.text
        assert root.mode(place) == file.mode
    assert f"systemctl enable {firstboot.UNIT}" in told
    assert root.read("etc/sudoers.d/ironwake-ada") == "ada ALL=(ALL) NOPASSWD: ALL\n"
    assert root.mode("etc/sudoers.d/ironwake-ada") == 0o440
    assert root.read("mine") == "/root/ironwake-post"
    assert not (root.folder / "root/ironwake-post").exists()
    if release != "leap-15.6":
        place = "etc/NetworkManager/system-connections/uplink.nmconnection"
        assert "mac-address=52:54:00:77:00:10" in root.read(place)
        assert root.mode(place) == 0o600
    if release == "rocky-9":
        assert "baseurl=http://mirror.example/extra" in root.read("etc/yum.repos.d/extra.repo")
    else:
        if release == "leap-15.6":  # the control file, and what is secret in it, go
            assert "R! /var/adm/autoinstall/cache\n" in root.read("etc/tmpfiles.d/ironwake.conf")
        assert "zypper --non-interactive install --no-recommends -- vim" in told
        assert "stage=installed" in told


@pytest.mark.parametrize("release", _FAMILIES)
def test_a_script_that_fails_fails_the_deployment(release: str, root: Root) -> None:
    """Anaconda is told by the status; SUSE's installers go on, so the script itself reports."""
    status, told = root.run(script(install(release, scripts=Scripts(post="exit 7"))))
    assert status != 0
    assert "stage=installed" not in told
    if release != "rocky-9":
        assert "stage=failed" in told
        assert "ended+with+7" in told


@pytest.mark.parametrize("text", NAUGHTY)
def test_hostile_texts_stay_texts(text: str, root: Root) -> None:
    """A script is what its author wrote, and a name is no command."""
    users = (
        User(UserName("ada")),
        User(UserName("bob"), (KEY,), HASH, full_name=text.replace(":", "").replace(",", "")),
    )
    commands = [*inside.account(users[1]), *inside.run(f"cat >/copy <<'X'\n{text}\nX", "root/s")]
    status, told = root.run("\n".join(("set -e", *commands)))
    assert status == 0, told
    assert root.read("copy") == f"{text}\n"
    line = next(row for row in root.read("etc/passwd").splitlines() if row.startswith("bob:"))
    assert line.split(":")[4] == users[1].full_name


def test_accounts_that_an_installer_does_not_make(root: Root) -> None:
    """Agama makes the first one only; a group that is not there yet is made."""
    wanted = install(
        "leap-16.0",
        users=(
            User(UserName("ada")),
            User(UserName("bob"), (KEY,), HASH, groups=(UserName("audio"), UserName("wheel"))),
        ),
        root=RootPolicy.KEYS,
        root_keys=(KEY,),
        ntp=("ntp.example",),
    )
    text = script(wanted).replace("#!/bin/sh", "#!/bin/sh\nuseradd ada", 1)
    status, told = root.run(text)
    assert status == 0, told
    assert root.read("home/bob/.ssh/authorized_keys") == f"{KEY}\n"
    assert root.mode("home/bob/.ssh/authorized_keys") == 0o600
    assert root.mode("home/bob/.ssh") == 0o700
    assert root.read("root/.ssh/authorized_keys") == f"{KEY}\n"
    assert f"bob:{HASH}:" in root.read("etc/shadow")
    groups = root.read("etc/group")
    assert "audio:x:29:bob\n" in groups
    assert "wheel:x:" in groups
    assert root.read("etc/chrony.d/ironwake.conf") == "server ntp.example iburst\n"
