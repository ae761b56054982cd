"""The product itself for a bundle: images for containers, or wheels."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ironwake.errors import BrokenError, RefusedError

SERVICES = ("controller", "dhcp", "tftp", "dns", "http", "imager", "packages")
IMAGES = tuple(f"ironwake/{name}" for name in SERVICES)
DOCKER = ("docker",)
PIP = (sys.executable, "-m", "pip")
_PINNED = re.compile(r"^([A-Za-z0-9._-]+==\S+(?: ; [^\\]+)?)", re.MULTILINE)
_PATIENCE = 3600.0  # seconds
_BUILD = "run: docker compose build; or leave --containers out"


def containers(folder: Path, docker: Sequence[str] = DOCKER) -> Path:
    """All images of compose.yaml in one archive, as the engine gives them.

    :raises RefusedError: there is no engine, or an image was not built
    """
    there = [name for name in IMAGES if _run((*docker, "image", "inspect", name), check=False)]
    if missing := [name for name in IMAGES if name not in there]:
        raise RefusedError(f"there is no image {', '.join(missing)} here", _BUILD)
    target = folder / "images.tar"
    _run((*docker, "image", "save", "--output", str(target), *IMAGES))
    return target


def load(archive: Path, docker: Sequence[str] = DOCKER) -> bool:
    """Give them to the engine of this host; False where there is none."""
    if shutil.which(docker[0]) is None:
        return False
    _run((*docker, "image", "load", "--quiet", "--input", str(archive)))
    return True


def wheels(folder: Path, project: Path, pip: Sequence[str] = PIP) -> tuple[Path, ...]:
    """The product and all that it needs, in the versions of constraints.txt, for this Python.

    :param project: a checkout
    :raises RefusedError: it is none
    """
    pins = project / "constraints.txt"
    if not pins.is_file() or not (project / "pyproject.toml").is_file():
        raise RefusedError(
            f"{project} is no checkout of the product, and wheels are made from one",
            "name one with --project, or give --containers",
        )
    plain = folder / "pins.txt"  # pip takes no hashes beside a folder
    plain.write_text("".join(f"{pin.strip()}\n" for pin in _PINNED.findall(pins.read_text())))
    target = folder / "wheels"
    _run(
        (
            *pip,
            "wheel",
            "--quiet",
            "--wheel-dir",
            str(target),
            "--constraint",
            str(plain),
            f"{project}[all]",
        )
    )
    return tuple(sorted(target.glob("*.whl")))


def _run(command: Sequence[str], check: bool = True) -> bool:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_PATIENCE
        )
    except FileNotFoundError:
        raise RefusedError(f"{command[0]} is not on this host", "leave that out") from None
    if check and done.returncode:
        last = " / ".join(done.stderr.strip().splitlines()[-3:])
        raise BrokenError(
            f"{command[0]} {command[1]} failed: {last}", "mend that, and run it again"
        )
    return done.returncode == 0
