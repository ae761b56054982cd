"""What `docker export` gives, made of Debian's packages: no registry is needed."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

from ironwake_runtime.apt import AptRoot

# What a container's engine puts there or leaves empty, and what Debian's images have of their own.
_ENGINE = {
    ".dockerenv": b"",
    "dev/console": b"",
    "etc/hostname": b"",
    "etc/hosts": b"",
    "etc/resolv.conf": b"",
    "usr/sbin/policy-rc.d": b"#!/bin/sh\nexit 101\n",
    "etc/apt/apt.conf.d/docker-no-languages": b'Acquire::Languages "none";\n',
    "etc/dpkg/dpkg.cfg.d/docker-apt-speedup": b"force-unsafe-io\n",
}


def base(apt: AptRoot, target: Path) -> Path:
    """A Debian as small as those in containers, without a kernel, as a tar. Needs root."""
    command = [
        *("mmdebstrap", "--variant=minbase", "--format=tar", f"--keyring={apt.keyring}"),
        "--hook-dir=/usr/share/mmdebstrap/hooks/maybe-merged-usr",
        *("--include=usr-is-merged", '--aptopt=APT::Install-Recommends "false"'),
        *(f"--aptopt={line}" for line in apt.acquire_options()),
        *(apt.suite, str(target), *apt.source_lines()),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return target


def export(base: Path, target: Path) -> Path:
    """The same as `docker export` would give it: names without "./", the engine's files."""
    with tarfile.open(base) as source, tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as to:
        for member in source:
            name = member.name.removeprefix("./")
            if name in (".", *_ENGINE) or member.isdev():
                continue
            data = source.extractfile(member) if member.isreg() else None
            member.name = name
            member.pax_headers = {
                key: value
                for key, value in member.pax_headers.items()
                if key not in ("path", "linkpath")
            }
            if member.islnk():
                member.linkname = member.linkname.removeprefix("./")
            to.addfile(member, data)
        for name, content in _ENGINE.items():
            added = tarfile.TarInfo(name)
            added.size, added.mode = len(content), 0o755
            to.addfile(added, io.BytesIO(content))
    return target
