"""The kernel layer: makes a machine's system of one that has only run in containers.

Debian's packages for kernel, initrd, boot loaders, network and SSH, the same that a root archive
of ours has. They are chosen and fetched out here, by the signatures of the distribution; the
system's own dpkg installs them, in a sandbox without a network.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from ironwake.errors import BrokenError, RefusedError
from ironwake.firmware import Architecture
from ironwake.rootfs.facts import Release
from ironwake_imager import debian, emulation, mounting
from ironwake_imager.roots import sandbox
from ironwake_runtime.apt import AptRoot
from ironwake_runtime.builds import Workshop

_TAR = (
    *("tar", "--extract", "--zstd", "--preserve-permissions", "--same-owner", "--numeric-owner"),
    *("--xattrs", "--xattrs-include=*", "--acls", "--delay-directory-restore"),
    "--warning=no-timestamp",
)
# What images for containers have so that nothing starts, and nothing is kept.
_OF_CONTAINERS = (
    *(".dockerenv", "run/.containerenv", "usr/sbin/policy-rc.d"),
    *("etc/apt/apt.conf.d/docker-*", "etc/dpkg/dpkg.cfg.d/docker-*"),
)
_INSTALL = f"""
set -eu
apt-get -q -y --no-install-recommends --allow-downgrades \\
    -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts=/dev/null \\
    -o APT::Sandbox::User=root -o Dpkg::Options::=--force-confold \\
    -o Dpkg::Options::=--force-unsafe-io -o Dpkg::Use-Pty=0 \\
    install {sandbox.SHARED}/debs/*.deb
exec sh {sandbox.SHARED}/files/customize / "$@"
"""


def check(release: Release, architecture: Architecture | None) -> debian.Medium:
    """What is to be installed; RefusedError where we have no kernel for such a system."""
    for medium in debian.MEDIA.values():
        fits = release.family == "debian" and medium.release == release.version
        if fits and medium.architecture is architecture and medium.flavour == "generic":
            break
    else:
        what = " ".join((release.family or "an unknown system", release.version)).strip()
        raise RefusedError(
            f"it has no kernel, and there is none to add: it is {what}"
            f" for {architecture or 'an unknown processor'}",
            "a kernel is added to Debian 12 and 13; install one in the image, or --kernel never",
        )
    if not emulation.runs(medium.architecture):
        raise RefusedError(
            f"this host does not run {medium.architecture} programs",
            f"import it on a host of {medium.architecture}, or install a kernel in the image",
        )
    if not mounting.is_allowed():
        step = "import it on a host, as root, and bring it here in a bundle"
        raise mounting.refused("adding a kernel", f"{step}; or install a kernel in the image")
    return medium


def unpack(archive: Path, root: Path) -> None:
    """Unpack an archive of our own writing into an empty folder."""
    root.mkdir(mode=0o755)
    command = [*_TAR, f"--directory={root}", f"--file={archive}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["it says nothing"]
        raise BrokenError(f"tar could not unpack the system: {last[0]}")


def add(root: Path, medium: debian.Medium, status: str, shop: Workshop, work: Path) -> None:
    """Install what is missing.

    :param status: the system's /var/lib/dpkg/status
    :raises BrokenError: apt or the system's own programs failed, with their words
    """
    shared = work / "shared"
    apt = AptRoot(
        work / "apt",
        medium.suite,
        shop.mirror,
        medium.architecture,
        installed=status,
    )
    shop.progress("kernel", 0.0, "asking the mirror for package versions")
    apt.update()
    versions = apt.resolve(medium.packages)
    shop.progress("kernel", 0.1, f"fetching {len(versions)} packages")
    debs = shared / "debs"
    debs.mkdir(parents=True)
    for deb in apt.download(versions, shop.debs):
        shutil.copyfile(deb, debs / deb.name)
    shutil.copytree(debian.FILES, shared / "files")
    shop.progress("kernel", 0.3, f"installing {len(versions)} packages")
    patterns = (*debian.IDENTITY, *_OF_CONTAINERS)
    sandbox.run(root, shared, "sh", "-c", _INSTALL, "sh", *patterns)
    shop.progress("kernel", 1.0, "installed")
