"""What the rack needs of its host: root and a few Debian packages; says plainly what lacks."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from ironwake.errors import BrokenError, RefusedError
from ironwake_lab.firmware import FIRMWARE
from ironwake_lab.spec import RackSpec

_PACKAGES = {"ip": "iproute2", "nsenter": "util-linux", "dnsmasq": "dnsmasq-base", "swtpm": "swtpm"}


def need_root() -> None:
    """RefusedError unless this process may create namespaces."""
    if os.geteuid() != 0:
        raise RefusedError(
            "a virtual rack needs root (it creates network namespaces)", "run it with sudo"
        )


def need_for(spec: RackSpec) -> None:
    """RefusedError unless everything that this rack uses is installed."""
    need_root()
    tools = ["ip", "nsenter"] + ["dnsmasq"] * (spec.router is not None)
    tools += ["swtpm"] * any(machine.tpm for machine in spec.machines)
    wanted = {tool: _PACKAGES[tool] for tool in tools}
    rows = [FIRMWARE[kind] for kind in sorted({machine.firmware for machine in spec.machines})]
    wanted |= {row.qemu: row.qemu_package for row in rows}
    lacking = [one for one in wanted.items() if not shutil.which(one[0], path=_path())]
    for row in rows:
        lacking += [(str(path), row.package) for path in row.files if not path.exists()]
    if lacking:
        names = ", ".join(name for name, _ in lacking)
        packages = " ".join(sorted({package for _, package in lacking}))
        raise RefusedError(f"missing on this host: {names}", f"run: apt-get install {packages}")


def _path() -> str:
    # dnsmasq and ip live in sbin, which `su` and some cron-like callers leave out of PATH.
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def call(argv: Sequence[str | Path], cwd: Path | None = None) -> str:
    """Run one tool to its end and return what it printed; BrokenError with its own last words."""
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words,
            cwd=cwd,
            env={**os.environ, "PATH": _path(), "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except FileNotFoundError:
        package = _PACKAGES.get(words[0], words[0])
        raise RefusedError(
            f"{words[0]} is not installed", f"run: apt-get install {package}"
        ) from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise BrokenError(f"`{' '.join(words[:6])}` failed: {said}")
    return done.stdout


def call_each(commands: Iterable[Sequence[str | Path]]) -> None:
    """`call` one after the other."""
    for argv in commands:
        call(argv)
