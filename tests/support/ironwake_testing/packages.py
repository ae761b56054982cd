"""A file out of a Debian package that nobody installs: the host stays as it is."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ironwake_runtime.apt import AptRoot, host_architecture
from ironwake_runtime.aptsources import host_mirror
from ironwake_testing.scene import CACHE


def take(member: str, package: str, suite: str, folder: Path) -> Path:
    """Its place in `folder`, an empty one; the package comes from the host's own mirror.

    :param member: the file's path in the package, without a leading slash
    :param suite: the release, by its codename
    """
    folder.mkdir(parents=True)
    root = AptRoot(folder / "apt", suite, host_mirror(), host_architecture())
    root.update()
    (found,) = root.download(root.resolve([package], dependencies=False), CACHE / "debs")
    unpack = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", found], stdout=subprocess.PIPE)
    with unpack:
        words = ["tar", "--extract", f"--directory={folder}", f"./{member}"]
        subprocess.run(words, stdin=unpack.stdout, check=True)
    assert unpack.returncode == 0, f"{found} can't be read"
    return folder / member
