"""VMware ESXi: its kickstart file, and the boot.cfg of its own loader (mboot).

Its `boot.cfg` names some hundred modules, other ones in each version: it is taken from the medium
(as the fact `boot_cfg` of its manifest), and says for each machine where they and the answers are.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, ip_address
from types import MappingProxyType
from typing import Any, Final

from ironwake import routes
from ironwake.boot import Form, KernelBoot
from ironwake.errors import InputError, RefusedError
from ironwake.families import start
from ironwake.families.base import Answers, Format, Install
from ironwake.families.esxi import scripts
from ironwake.firmware import Architecture
from ironwake.mac import Mac
from ironwake.parameters.model import RootPolicy
from ironwake.parameters.network import BOOT, Device, Kind, Network
from ironwake.release import Release
from ironwake.report import Callback
from ironwake.site import Shelf

KS: Final = "ks.cfg"
BOOT_CFG: Final = "boot.cfg"
FACT: Final = "boot_cfg"

_LINE = re.compile(r"[a-z]+=[^\n\r\0]{0,20000}", re.ASCII)
# They would write to a disk that the guard has not looked at.
_OURS = (
    *("install", "installorupgrade", "upgrade", "clearpart"),
    *("part", "partition", "autopart", "%include", "include"),
)
_CDROM = "cdromBoot"  # the installer would look for its packages on a disc
# XKB's layouts to the installer's names (vSphere, "Installation and Upgrade Script Commands").
KEYBOARDS: dict[str, str] = {
    "be": "Belgian",
    "br": "Brazilian",
    "ch": "Swiss German",
    "cz": "Czechoslovakian",
    "de": "German",
    "dk": "Danish",
    "ee": "Estonian",
    "es": "Spanish",
    "fi": "Finnish",
    "fr": "French",
    "gb": "United Kingdom",
    "gr": "Greek",
    "hr": "Croatian",
    "is": "Icelandic",
    "it": "Italian",
    "jp": "Japanese",
    "latam": "Latin American",
    "no": "Norwegian",
    "pl": "Polish",
    "pt": "Portuguese",
    "ru": "Russian",
    "se": "Swedish",
    "si": "Slovenian",
    "tr": "Turkish",
    "ua": "Ukrainian",
    "us": "US Default",
}

_IN_POST = "the installer has no answer for it; use esxcli in scripts.post"
_REFUSES: Mapping[str, str] = MappingProxyType(
    {
        "locale": "ESXi has one language",
        "timezone": "ESXi's clock is UTC",
        "users": "the installer makes root alone; make others in scripts.post",
        "root_keys": _IN_POST,
        "packages": _IN_POST,
        "package_groups": _IN_POST,
        "repositories": _IN_POST,
        "proxy": _IN_POST,
        "mirror": "all packages are on the medium",
        "kernel_arguments": _IN_POST,
        "firmware": "ESXi has no such packages",
        "security": "ESXi has neither SELinux nor AppArmor",
    }
)


@dataclass(frozen=True)
class Esxi:
    name: str = "esxi"
    files: tuple[str, ...] = (KS,)
    formats: Mapping[str, Format] = field(default_factory=lambda: {KS: Format.TEXT})
    roles: tuple[str, ...] = (start.KERNEL, start.TREE)
    refuses: Mapping[str, str] = field(default_factory=lambda: _REFUSES)

    def needs(self, release: Release, architecture: Architecture) -> Mapping[str, tuple[str, ...]]:
        return {release.medium(architecture): self.roles}

    def boot(self, install: Install, shelf: Shelf) -> KernelBoot:
        medium = start.medium(install)
        found = shelf.facts.get(medium, {}).get(FACT, "")
        if not found:
            raise RefusedError(
                f"{medium} does not say what is in its boot.cfg", "add the medium again"
            )
        return KernelBoot(
            start.title(install),
            shelf.need(medium, start.KERNEL),
            (),
            self.arguments(install),
            Form.PROGRAM,
            {BOOT_CFG: boot_cfg(found, install)},
        )

    def check(self, install: Install) -> None:
        self.answers(install)

    def arguments(self, install: Install) -> tuple[str, ...]:
        return "-c", f"{install.site.url}/{routes.boot_script(install.mac, BOOT_CFG)}"

    def answers(self, install: Install) -> Answers:
        if install.layout:
            raise InputError("ESXi divides its disk by itself", "leave layout out", "layout")
        parts = (*_commands(install), *_fragment(install), *scripts.sections(install))
        return Answers({KS: "\n".join((*parts, ""))})

    def parse(self, name: str, text: str) -> object:  # noqa: ARG002 (a `Family`)
        return parse(text)

    def heard(self, content_type: str, body: bytes) -> Callback | None:  # noqa: ARG002 (a `Family`)
        return None


def boot_cfg(original: str, install: Install) -> str:
    """The medium's boot.cfg for this machine: its files by HTTP, and where the answers are.

    :raises RefusedError: where it is none
    """
    lines = {}
    for line in original.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if not _LINE.fullmatch(line.rstrip()):
            raise RefusedError(f"{line!r:.60} is no line of a boot.cfg", "add the medium again")
        name, _, value = line.rstrip().partition("=")
        lines[name] = value
    if "kernel" not in lines or "modules" not in lines:
        raise RefusedError("this boot.cfg names no kernel and no modules", "add the medium again")
    words = [word for word in lines.get("kernelopt", "").split() if word != _CDROM]
    words += [f"ks={install.urls.answers}{KS}", f"BOOTIF={install.mac.bootif}"]
    own = {"prefix": install.urls.tree.rstrip("/"), "kernelopt": " ".join(words)}
    # A slash before a name would lead past the prefix.
    own |= {
        name: " --- ".join(path.strip().lstrip("/") for path in lines[name].split("---"))
        for name in ("kernel", "modules", "crypto", "acpitables")
        if name in lines
    }
    return "".join(f"{name}={value}\n" for name, value in (lines | own).items())


def _commands(install: Install) -> Iterator[str]:
    parameters = install.parameters
    if parameters.root is not RootPolicy.PASSWORD:
        raise InputError(
            "ESXi's installer wants a password for root",
            "give root: password, and root_password_hash",
            "root",
        )
    if not parameters.root_password_hash.startswith(("$5$", "$6$")):
        raise InputError(
            "ESXi knows no password of this kind",
            "make one with: mkpasswd -m sha-512",
            "root_password_hash",
        )
    if parameters.keyboard not in KEYBOARDS:
        raise InputError(
            f"ESXi has no keyboard {parameters.keyboard}",
            f"take one of: {', '.join(KEYBOARDS)}",
            "keyboard",
        )
    yield "vmaccepteula"
    yield f"rootpw --iscrypted {parameters.root_password_hash}"
    yield f"keyboard {shlex.quote(KEYBOARDS[parameters.keyboard])}"
    yield _network(install)
    yield f"%include {scripts.DISK_FILE}"
    yield "reboot"


def _network(install: Install) -> str:
    told = install.parameters.network
    _check_told(told)
    if not told.devices:
        return _line({"bootproto": "dhcp", "device": str(install.mac)})
    card, vlan = _card_and_vlan(told.devices)
    mac = install.mac if card.of[0] == BOOT else Mac(card.of[0])
    top = vlan or card
    words = {"bootproto": "dhcp", "device": str(mac)}
    if vlan:
        words["vlanid"] = str(vlan.vlan)
    if not top.dhcp:
        address = _address(top)
        words |= {
            "bootproto": "static",
            "ip": str(address.ip),
            "netmask": str(address.netmask),
            **({"gateway": top.gateway} if top.gateway else {}),
        }
    servers = [one for one in told.name_servers if ip_address(one).version == 4]
    if servers and not top.dhcp:
        words["nameserver"] = ",".join(servers)
    return _line(words)


def _check_told(told: Network) -> None:
    """InputError for what the one line has no words for."""
    if told.search:
        raise InputError(
            "ESXi's installer takes no search domains", "set them in scripts.post", "network.search"
        )
    if any(device.mtu for device in told.devices):
        raise InputError("ESXi's installer sets no MTU", "use scripts.post", "network.devices")


def _card_and_vlan(devices: tuple[Device, ...]) -> tuple[Device, Device | None]:
    """What the installer can do: one card, and one VLAN on it."""
    kinds = [device.kind for device in devices]
    if kinds == [Kind.CARD]:
        return devices[0], None
    if kinds == [Kind.VLAN] and devices[0].of[0] == BOOT:
        return Device("card"), devices[0]
    if kinds == [Kind.CARD, Kind.VLAN] and devices[1].of == (devices[0].name,):
        if devices[0].addresses or devices[0].dhcp:
            raise InputError(
                "ESXi's installer sets up one network", "make others in scripts.post", "network"
            )
        return devices[0], devices[1]
    raise InputError(
        "ESXi's installer knows one card, and one VLAN on it",
        "make the rest in scripts.post",
        "network.devices",
    )


def _address(device: Device) -> IPv4Interface:
    if len(device.addresses) != 1 or ":" in device.addresses[0] + device.gateway:
        raise InputError(
            "ESXi's installer takes one IPv4 address, or DHCP",
            "set up others in scripts.post",
            "network.devices",
        )
    return IPv4Interface(device.addresses[0])


def _line(words: Mapping[str, str]) -> str:
    return " ".join(("network", *(f"--{name}={value}" for name, value in words.items())))


def _fragment(install: Install) -> Iterator[str]:
    """Raw lines of the user's own: `serialnum --esx=…`, sections."""
    text = install.parameters.fragments.get("esxi", "")
    if "\0" in text or "\r" in text:
        raise InputError("this has NULs or carriage returns", "remove them", "fragments.esxi")
    for line in text.splitlines():
        word = (line.split() or [""])[0]
        if word in _OURS:
            raise InputError(
                f"{word} is not a fragment's to say: the disk is looked at first",
                "use disk.match, and --erase; or a template",
                "fragments.esxi",
            )
        yield line


def parse(text: str) -> dict[str, Any]:
    """Commands as lists of words, and sections as (head, body) in their order."""
    commands: list[list[str]] = []
    sections: list[tuple[str, str]] = []
    for line in text.split("\n"):
        if line.startswith("%") and not line.startswith("%include"):
            sections.append((line, ""))
        elif sections:
            head, body = sections[-1]
            sections[-1] = (head, f"{body}{line}\n")
        elif line.strip():
            try:
                commands.append(shlex.split(line, comments=True))
            except ValueError as error:
                raise InputError(f"{line!r:.60} is no command: {error}", "close quotes") from None
    if ["vmaccepteula"] not in commands:
        raise InputError("this is no kickstart of ESXi", "begin with vmaccepteula")
    return {"commands": commands, "sections": sections}


FAMILY = Esxi()
