"""A signed Debian repository of a test's own: two packages, one of which needs the other."""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ironwake_testing.gnupg import gnupg

SUITE = "bookworm"
_RELEASE = """\
Origin: Debian
Suite: oldstable
Codename: {suite}
Date: Sun, 01 Nov 2026 00:00:00 UTC
Valid-Until: Sun, 08 Nov 2036 00:00:00 UTC
Acquire-By-Hash: yes
Architectures: amd64
Components: main
SHA256:
 {digest} {size} main/binary-amd64/Packages.gz
 {plain} {plain_size} main/binary-amd64/Packages
"""
# What a system has already.
STATUS = """\
Package: base-files
Status: install ok installed
Version: 12
Architecture: amd64
Maintainer: nobody
Description: there
"""


@dataclass(frozen=True)
class Repository:
    """`files`: path below the mirror's URL → bytes."""

    files: dict[str, bytes]
    keyring: Path


def make(folder: Path) -> Repository:
    """Build it, with a key that is thrown away."""
    keyring = folder / "keyring.gpg"
    files = {}
    lists = ""
    for name, depends in (("near+by", "libclose, base-files"), ("libclose", "base-files")):
        deb = _package(folder, name, depends)
        path = f"pool/main/{name[0]}/{name}/{deb.name}"
        files[path] = deb.read_bytes()
        control = run(["dpkg-deb", "-f", str(deb)]).strip()
        digest = hashlib.sha256(files[path]).hexdigest()
        lists += f"{control}\nFilename: {path}\nSize: {len(files[path])}\nSHA256: {digest}\n\n"
    packed = gzip.compress(lists.encode(), mtime=0)
    release = _RELEASE.format(
        suite=SUITE,
        digest=hashlib.sha256(packed).hexdigest(),
        size=len(packed),
        plain=hashlib.sha256(lists.encode()).hexdigest(),
        plain_size=len(lists.encode()),
    )
    with gnupg(folder / "gnupg") as keys:
        keys.add("mirror")
        keyring.write_bytes(keys.export("mirror"))
        listed = keys.signed("mirror", "--clearsign", release.encode())
    files[f"dists/{SUITE}/InRelease"] = listed
    files[f"dists/{SUITE}/main/binary-amd64/Packages.gz"] = packed
    return Repository(files, keyring)


def _package(folder: Path, name: str, depends: str) -> Path:
    tree = folder / name
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: 1:1.0+b1\nArchitecture: amd64\nMaintainer: nobody\n"
        f"Depends: {depends}\nDescription: close by\n"
    )
    (tree / "usr").mkdir()
    (tree / "usr" / name).write_bytes(os.urandom(1000))
    deb = folder / f"{name}_1.0+b1_amd64.deb"
    run(["dpkg-deb", "--root-owner-group", "-b", str(tree), str(deb)])
    return deb


def run(words: list[str]) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout
