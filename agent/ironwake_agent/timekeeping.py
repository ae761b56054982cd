"""Whom the new system asks for the time: told to the service that it has for it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ironwake.errors import BrokenError
from ironwake.firstboot import File
from ironwake_agent.inside import inside
from ironwake_agent.target import exists, link, write

_UNITS: Final = "etc/systemd/system"
_VENDOR: Final = "usr/lib/systemd/system"
_TIMESYNCD: Final = "systemd-timesyncd.service"
# What names servers, in chrony.conf(5) and ntp.conf(5) alike.
_SERVERS: Final = re.compile(r"^[ \t]*(?:pool|server|peer)[ \t].*$", re.MULTILINE)
_MARK: Final = "# another was stated when this machine was deployed: "


@dataclass(frozen=True)
class _Daemon:
    """:ivar more: other files that it reads servers from, as patterns"""

    unit: str
    config: str
    more: tuple[str, ...] = ()


# As the distributions call them: Debian, Red Hat and SUSE, then those with ntp.org's own.
_DAEMONS: Final = (
    _Daemon(
        "chrony.service",
        "etc/chrony/chrony.conf",
        ("etc/chrony/conf.d/*.conf", "etc/chrony/sources.d/*.sources"),
    ),
    _Daemon("chronyd.service", "etc/chrony.conf", ("etc/chrony.d/*.conf",)),
    _Daemon("ntpsec.service", "etc/ntpsec/ntp.conf"),
    _Daemon("ntpd.service", "etc/ntp.conf"),
    _Daemon("ntp.service", "etc/ntp.conf"),
)


def configure(root: Path, servers: Sequence[str]) -> None:
    """Have these servers asked, and no others; without any, all stays as it is.

    :raises BrokenError: the system has no service that could
    """
    if not servers:
        return
    for daemon in _DAEMONS:
        if _has(root, daemon.unit) and exists(root, daemon.config):
            _tell(root, daemon, servers)
            _enable(root, daemon.unit, "multi-user.target")
            return
    if not _has(root, _TIMESYNCD):
        raise BrokenError(
            f"the new system has no time service that could ask {servers[0]}",
            "add chrony, or systemd-timesyncd, to parameters.packages or to the image;"
            " or leave parameters.ntp out",
        )
    text = f"[Time]\nNTP={' '.join(servers)}\n"
    write(root, File("etc/systemd/timesyncd.conf.d/ironwake.conf", 0o644, text))
    _enable(root, _TIMESYNCD, "sysinit.target")
    link(root, f"{_UNITS}/dbus-org.freedesktop.timesync1.service", f"/{_VENDOR}/{_TIMESYNCD}")


def _has(root: Path, unit: str) -> bool:
    """Whether it could start: it is there, and nobody has masked it."""
    own = inside(root, f"{_UNITS}/{unit}")
    masked = own.is_symlink() and str(own.readlink()) == "/dev/null"
    return exists(root, f"{_VENDOR}/{unit}") and not masked


def _enable(root: Path, unit: str, by: str) -> None:
    link(root, f"{_UNITS}/{by}.wants/{unit}", f"/{_VENDOR}/{unit}")


def _tell(root: Path, daemon: _Daemon, servers: Sequence[str]) -> None:
    for pattern in daemon.more:
        folder, _, names = pattern.rpartition("/")
        for path in sorted(inside(root, folder, follow=True).glob(names)):
            place = f"{folder}/{path.name}"
            if inside(root, place, follow=True).is_file():
                _change(root, place, "")
    _change(root, daemon.config, "".join(f"server {one} iburst\n" for one in servers))


def _change(root: Path, name: str, added: str) -> None:
    path = inside(root, name, follow=True)
    before = path.read_text(errors="surrogateescape")
    without = _SERVERS.sub(lambda line: f"{_MARK}{line[0].strip()}", before)
    if added or without != before:
        text = f"{without.rstrip()}\n{added}" if added else without
        path.write_text(text, errors="surrogateescape")
