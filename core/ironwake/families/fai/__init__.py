"""FAI: Debian's Fully Automatic Installation, its whole root in memory, fetched by HTTP.

What it shall do comes as a configuration space, a tar.gz made for the machine, under the token: its
fetch is the claim. FAI tells of its work by hooks of ours and to its monitor (`fai.reports`).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from ironwake.errors import InputError
from ironwake.families.base import Answers, Format, Install
from ironwake.families.fai import reports, space, tarball
from ironwake.firmware import Architecture
from ironwake.parameters.refusal import check_debians, check_plain
from ironwake.report import Callback

# FAI makes a class of the file's name up to its first dot: no other one may be called so.
SPACE: Final = "config.tar.gz"
_TEXT: Final = "config.txt"  # the same, for a person
_CARD: Final = "bootnet"
_REFUSES: Final[Mapping[str, str]] = MappingProxyType(
    {"template": "a configuration space is many files: give yours in fragments.fai"}
)


@dataclass(frozen=True)
class Fai:
    name: str = "fai"
    files: tuple[str, ...] = (_TEXT, SPACE)
    formats: Mapping[str, Format] = field(
        default_factory=lambda: {_TEXT: Format.TEXT, SPACE: Format.TAR}
    )
    roles: tuple[str, ...] = ("squashfs",)
    refuses: Mapping[str, str] = field(default_factory=lambda: _REFUSES)

    def check(self, install: Install) -> None:
        check_plain("FAI", install.parameters)
        if install.machine.architecture is not Architecture.AMD64:
            raise InputError("FAI's medium is for amd64", "use method: archive", "release")
        check_debians(install.parameters)
        space.files(install)

    def arguments(self, install: Install) -> tuple[str, ...]:
        site, mac = install.site, install.mac
        # What has the form NAME=value becomes a variable of FAI's, whose shell runs it as a word:
        # a person's kernel arguments are for the installed system alone.
        return (
            # By MAC address: of several cards, only this one is sure to have a network.
            f"ifname={_CARD}:{mac}",
            f"ip={_CARD}:dhcp",
            "rd.neednet=1",
            f"root=live:{install.urls.parts['squashfs']}",
            "rd.live.image",
            f"BOOTIF={mac.bootif}",
            f"FAI_CONFIG_SRC={install.urls.answers}{SPACE}",
            "FAI_ACTION=install",
            # menu: without the pause in which a person could stop it.
            "FAI_FLAGS=verbose,menu,reboot",
            f"hostname={install.hostname}",
            f"monserver={site.address}",
            f"FAI_MONITOR_PORT={site.monitor_port}",
            # The monitor knows by it whose installation speaks.
            f"FAI_SENDID={_token(install)}",
            *install.machine.architecture.consoles,
        )

    def answers(self, install: Install) -> Answers:
        files = space.files(install)
        packed = base64.b64encode(tarball.pack(files)).decode()
        texts = "".join(f"==> {one.path} ({one.mode:04o})\n{one.text}\n" for one in files)
        return Answers({_TEXT: texts, SPACE: packed}, frozenset((SPACE,)))

    def parse(self, name: str, text: str) -> object:
        if name == _TEXT:
            return text
        try:
            packed = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise InputError("this is no base64", "make it anew", name) from None
        found = tarball.unpack(packed)
        return {path: (file.mode, file.text) for path, file in found.items()}

    def heard(self, content_type: str, body: bytes) -> Callback | None:  # noqa: ARG002 (a `Family`)
        return reports.heard(body)


def _token(install: Install) -> str:
    """The deployment's, as it stands in the addresses that are made for it."""
    return install.urls.callbacks.rsplit("/", 2)[1]


FAMILY = Fai()
