"""Where programs of imported systems run: they see their own system, and nothing of this host."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ironwake.errors import BrokenError
from ironwake_imager.roots import sandbox

pytestmark = pytest.mark.root

PROGRAMS = ("sh", "cat", "ls", "mknod", "chroot", "mount", "touch", "chown", "id")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A system of this host's own programs and what they are linked with."""
    root = tmp_path / "root"
    (root / "usr/bin").mkdir(parents=True)
    (root / "bin").symlink_to("usr/bin")
    for name in PROGRAMS:
        program = shutil.which(name)
        assert program
        shutil.copy(program, root / "usr/bin" / name)
        linked = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
        for library in re.findall(r"(/\S+)", linked.stdout):
            target = root / library.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, target)
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/note").write_text("for you\n")
    return root


def run(root: Path, script: str) -> str:
    return sandbox.run(root, root.parent / "shared", "sh", "-c", script)


def test_it_is_root_of_its_own_system(root: Path) -> None:
    """It may write there and give files away, and has what is shared with it, read-only."""
    told = run(root, f"id -u; cat {sandbox.SHARED}/note; touch /made; chown 5:6 /made")
    assert told.split("\n")[:2] == ["0", "for you"]
    assert ((root / "made").stat().st_uid, (root / "made").stat().st_gid) == (5, 6)
    with pytest.raises(BrokenError, match="Read-only file system"):
        run(root, f"touch {sandbox.SHARED}/mine")


def test_it_sees_nothing_of_this_host(root: Path) -> None:
    """No files, no processes, no network; and nothing of what it mounts is left behind."""
    told = run(root, f"ls /; ls -d /proc/[0-9]*; cat /proc/net/dev; ls {root} || true")
    assert "cannot access" in told
    assert f"/proc/{os.getpid()}\n" not in told
    assert {line.split(":")[0].strip() for line in told.splitlines() if ":" in line} <= {
        "lo",
        "ls",
    }
    assert str(root) not in Path("/proc/self/mounts").read_text()


@pytest.mark.parametrize(
    "script",
    [
        "mknod /disk b 8 0",
        "mount -t tmpfs none /tmp",
        "echo x > /proc/sys/kernel/core_pattern",
        "echo b > /proc/sysrq-trigger",
        "chroot /proc/1/root/.. ls /home",
    ],
)
def test_it_has_no_hold_on_this_host(script: str, root: Path) -> None:
    """No devices, no mounts, no settings of the kernel, no way up: each is an error in there."""
    with pytest.raises(BrokenError, match="sh of this system ended with"):
        run(root, script)


def test_how_it_ends_is_told(root: Path) -> None:
    """Its last words and its code; and a program that is not there."""
    with pytest.raises(BrokenError, match=r"ended with 7: .*no room"):
        run(root, "echo no room; exit 7")
    with pytest.raises(BrokenError, match="No such file"):
        sandbox.run(root, root.parent / "shared", "apt-get")


@pytest.mark.parametrize("name", ["proc", "dev", "run", "tmp"])
def test_a_link_where_we_mount_is_refused(name: str, root: Path) -> None:
    """Or something of this host's would be mounted over."""
    (root / name).symlink_to("/srv")
    with pytest.raises(BrokenError, match=f"/{name} of this system is no folder"):
        run(root, "id")
