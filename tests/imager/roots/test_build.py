"""Roots of one's own packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from ironwake.errors import InputError, UnknownError
from ironwake.progress import silent
from ironwake_imager.debian import Extra
from ironwake_imager.roots.build import build
from ironwake_runtime.aptsources import Mirror
from ironwake_runtime.artifacts import ArtifactStore
from ironwake_runtime.builds import Workshop
from tests.imager.roots.bringing import contents


@pytest.fixture
def nowhere(tmp_path: Path) -> Workshop:
    """A workshop whose mirror nobody may ask."""
    return Workshop(ArtifactStore(tmp_path), tmp_path, Mirror("file:/nonexistent"), silent)


def test_wrong_wishes_are_said_before_anything_is_fetched(
    nowhere: Workshop, tmp_path: Path
) -> None:
    """A name that is no medium, a package's name that is an option, a hook that cannot run."""
    with pytest.raises(UnknownError, match=r"there is no 'debian-1'; known are: debian-12"):
        build("debian-1", Extra(), tmp_path, nowhere)
    for name in ("--version", "a,b", "A", "nginx=1", ""):
        with pytest.raises(InputError, match="no name of a package"):
            build("debian-12", Extra((name,)), tmp_path, nowhere)
    hook = tmp_path / "hook"
    hook.touch()
    for path in (hook, tmp_path, tmp_path / "no"):
        with pytest.raises(InputError, match="is no program"):
            build("debian-12", Extra((), (path,)), tmp_path, nowhere)


@pytest.mark.root
@pytest.mark.deep
def test_packages_and_hooks_are_in_the_root(shop: Workshop, tmp_path: Path) -> None:
    """One more package, a hook's file, a list of all packages; no identity, a kernel."""
    hook = tmp_path / "my hook"
    hook.write_text('#!/bin/sh\nset -eu\necho mine >"$1/etc/mine"\n')
    hook.chmod(0o755)
    work = tmp_path / "work"
    work.mkdir()
    root = build("debian-12-cloud", Extra(("zip",), (hook,)), work, shop)
    found = contents(root.files["archive"])
    assert found["etc/mine"][1] == b"mine\n"
    assert found["usr/bin/zip"][1].startswith(b"\x7fELF")
    assert found["etc/machine-id"][1] == b""
    assert "\nzip " in root.files["packages"].read_text()
    assert str(root.facts["kernel"]).endswith("-cloud-amd64")
    assert root.facts["boot_modes"] == "bios,uefi"
    assert (root.facts["family"], root.facts["release"]) == ("debian", "12")
