"""Windows: its own set-up, in Windows PE, which wimboot starts with this machine's files in it.

Windows takes passwords plain, or as base64 of them, which is no secret: whoever reads the answer
file has them. It goes out once, with the claim, and the first logon removes it from the disk.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from ironwake import routes
from ironwake.boot import Form, KernelBoot, Named
from ironwake.disk import AUTO, DiskMatch, Kind
from ironwake.errors import InputError
from ironwake.families import start
from ironwake.families.base import Answers, Format, Install
from ironwake.families.windows import first_logon, network, told, unattend, users, winpe, words
from ironwake.firmware import Architecture
from ironwake.release import Release
from ironwake.report import Callback
from ironwake.site import Shelf
from ironwake.sizes import MIB, octets

WIMBOOT: Final = "wimboot"  # the manifest of it, with the role `kernel`
WINPE: Final = "winpe"  # the manifest of what is the user's own, with any of these roles
WIM, CURL, DRIVERS = "boot.wim", "curl.exe", "drivers"
_FOUND: Final = {"Path": r"I:\drivers"}  # those that fit the machine; the program puts them there
_OURS: Final = "Ironwake"  # how our commands are described
_STAGING: Final = "12GiB"  # for the image and the drivers, while Windows is set up

_NO_PACKAGES = "Windows has no packages that its set-up installs; use scripts.post"
_REFUSES: Mapping[str, str] = MappingProxyType(
    {
        "packages": _NO_PACKAGES,
        "package_groups": _NO_PACKAGES,
        "repositories": _NO_PACKAGES,
        "proxy": _NO_PACKAGES,
        "mirror": _NO_PACKAGES,
        "kernel_arguments": "Windows' kernel has none",
        "firmware": "drivers come by the medium winpe",
        "security": "Windows has neither SELinux nor AppArmor",
        "root": "Windows has administrators: give users",
        "root_keys": "Windows has administrators: give users",
        "root_password_hash": "Windows takes no hashed password",
    }
)


@dataclass(frozen=True)
class Windows:
    name: str = "windows"
    files: tuple[str, ...] = (winpe.ANSWERS, winpe.ORDER)
    formats: Mapping[str, Format] = field(
        default_factory=lambda: {winpe.ANSWERS: Format.UNATTEND, winpe.ORDER: Format.JSON}
    )
    roles: tuple[str, ...] = (start.TREE,)
    refuses: Mapping[str, str] = field(default_factory=lambda: _REFUSES)
    unseen: str = "Windows PE sees nothing of a disk but its partitions"

    def needs(self, release: Release, architecture: Architecture) -> Mapping[str, tuple[str, ...]]:
        return {WIMBOOT: (start.KERNEL_ITSELF,), release.medium(architecture): self.roles}

    def boot(self, install: Install, shelf: Shelf) -> KernelBoot:
        curl, wim, drivers = (shelf.find(WINPE, role) for role in (CURL, WIM, DRIVERS))
        fetched = f"{install.site.url}/{routes.artifact(drivers)}" if drivers else ""
        own = winpe.texts(install.urls.answers, fetched)
        tree = install.urls.tree.removeprefix(f"{install.site.url}/")
        return KernelBoot(
            start.title(install),
            shelf.need(WIMBOOT, start.KERNEL_ITSELF),
            (
                *(Named(name, routes.boot_script(install.mac, name)) for name in own),
                *((Named(CURL, curl),) if curl else ()),
                # The BIOS' boot data do for UEFI as well: wimboot corrects the names in them.
                Named("BCD", f"{tree}boot/bcd"),
                Named("boot.sdi", f"{tree}boot/boot.sdi"),
                Named(WIM, wim or f"{tree}sources/boot.wim"),
            ),
            self.arguments(install),
            Form.WIMBOOT,
            own,
        )

    def check(self, install: Install) -> None:
        self.answers(install)

    def arguments(self, install: Install) -> tuple[str, ...]:  # noqa: ARG002 (a `Family`)
        return ()

    def answers(self, install: Install) -> Answers:
        fragment = install.parameters.fragments.get(self.name, "")
        asked, settings = told.read(fragment, install.release.options)
        passes = _laid_over(_passes(install, asked), settings)
        xml = unattend.text(passes, install.machine.architecture)
        return Answers({winpe.ANSWERS: xml, winpe.ORDER: winpe.order(_order(install, asked))})

    def parse(self, name: str, text: str) -> object:
        if name == winpe.ORDER:
            try:
                return json.loads(text)
            except ValueError as error:
                raise InputError(f"this is not JSON: {error}") from None
        return _joined(unattend.parse(text))

    def heard(self, content_type: str, body: bytes) -> Callback | None:  # noqa: ARG002 (a `Family`)
        return None


def _joined(passes: dict[str, Any]) -> dict[str, Any]:
    """With what the first logon is told in place of the commands that say it piece by piece."""
    shell = passes.get("oobeSystem", {}).get("Shell-Setup", {})
    rows = shell.get("FirstLogonCommands", {}).get("SynchronousCommand", [])
    ours = [row["CommandLine"] for row in rows if row["Description"] == _OURS]
    if ours:
        others = [row for row in rows if row["Description"] != _OURS]
        shell["FirstLogonCommands"] = {
            "SynchronousCommand": others,
            "told": first_logon.parse(ours),
        }
    return passes


def _passes(install: Install, asked: told.Told) -> dict[str, Any]:
    parameters = install.parameters
    accounts = users.components(install, is_server=_is_server(install.release))
    language = {
        "InputLocale": words.keyboard(parameters.keyboard),
        "SystemLocale": words.locale(parameters.locale),
        "UILanguage": asked.ui_language,
        "UserLocale": words.locale(parameters.locale),
    }
    first = {"SetupUILanguage": {"UILanguage": asked.ui_language}, **language}
    return {
        "windowsPE": {
            "International-Core-WinPE": first,
            "Setup": _setup(asked),
            "PnpCustomizationsWinPE": {"DriverPaths": {"PathAndCredentials": (_FOUND,)}},
        },
        "specialize": {
            "Shell-Setup": {
                "ComputerName": words.computer_name(install.hostname),
                "TimeZone": words.zone(parameters.timezone),
                **_of("RegisteredOrganization", asked.organization),
                **_of("ProductKey", asked.product_key),
            },
            **network.components(install),
        },
        "oobeSystem": {
            "International-Core": language,
            "Shell-Setup": {
                "OOBE": _welcome(install.release),
                "TimeZone": words.zone(parameters.timezone),
                **accounts,
                "FirstLogonCommands": {"SynchronousCommand": _first_logon(install)},
            },
        },
    }


def _of(name: str, value: str) -> dict[str, str]:
    return {name: value} if value else {}


def _setup(asked: told.Told) -> dict[str, Any]:
    if not (asked.image or asked.index or asked.product_key):
        raise InputError(
            "the medium has several editions, and none is named",
            "give image, index or product_key",
            told.WHERE,
        )
    key, value = ("NAME", asked.image) if not asked.index else ("INDEX", str(asked.index))
    chosen = {"InstallFrom": {"MetaData": [{"Key": f"/IMAGE/{key}", "Value": value}]}}
    checks = ("TPM", "SecureBoot", "RAM", "CPU", "Storage") if asked.bypass_checks else ()
    bypass = [
        rf"reg.exe add HKLM\SYSTEM\Setup\LabConfig /v Bypass{name}Check /t REG_DWORD /d 1 /f"
        for name in checks
    ]
    return {
        "Diagnostics": {"OptIn": "false"},
        # The program in Windows PE makes the partitions: only it knows the disk's number.
        "DiskConfiguration": {
            "Disk": [
                {
                    "DiskID": winpe.DISK,
                    "WillWipeDisk": "false",
                    "ModifyPartitions": {
                        "ModifyPartition": [
                            {
                                "Order": "1",
                                "PartitionID": winpe.PARTITION,
                                "Format": "NTFS",
                                "Label": "Windows",
                                "Letter": "C",
                            }
                        ]
                    },
                }
            ]
        },
        "ImageInstall": {
            "OSImage": {
                **(chosen if value else {}),
                "InstallTo": {"DiskID": winpe.DISK, "PartitionID": winpe.PARTITION},
            }
        },
        **(_run(bypass) if bypass else {}),
        "UserData": {
            "AcceptEula": "true",
            **_of("Organization", asked.organization),
            "ProductKey": {**_of("Key", asked.product_key), "WillShowUI": "OnError"},
        },
    }


def _run(commands: list[str]) -> dict[str, Any]:
    return {
        "RunSynchronous": {
            "RunSynchronousCommand": [
                {"Order": str(number), "Path": command}
                for number, command in enumerate(commands, 1)
            ]
        }
    }


def _is_server(release: Release) -> bool:
    return release.options.get("kind") == "server"


def _welcome(release: Release) -> dict[str, str]:
    own = "HideLocalAccountScreen" if _is_server(release) else "HideOnlineAccountScreens"
    names = ("HideEULAPage", own, "HideOEMRegistrationScreen", "HideWirelessSetupInOOBE")
    return {**dict.fromkeys(names, "true"), "ProtectYourPC": "3"}


def _first_logon(install: Install) -> list[dict[str, str]]:
    parameters = install.parameters
    data = {
        "callbacks": install.urls.callbacks,
        "health": install.urls.health,
        "domain": str(install.domain),
        "ntp": " ".join(parameters.ntp),
        "keys": [key for user in parameters.users if user.admin for key in user.ssh_keys],
        "post": parameters.scripts.post,
        "disable": _is_server(install.release),
    }
    return [
        {
            "Order": str(number),
            "CommandLine": command,
            "Description": _OURS,
            "RequiresUserInput": "false",
        }
        for number, command in enumerate(first_logon.commands(data), 1)
    ]


def _order(install: Install, asked: told.Told) -> dict[str, Any]:
    """What the program in Windows PE is told; see `ironwake.families.windows.winpe`."""
    if install.layout:
        raise InputError(
            "Windows has partitions of its own: ESP, MSR and itself", "leave layout out", "layout"
        )
    if not install.parameters.scripts.pre.isascii():
        raise InputError("a batch file is ASCII here", "write it so", "scripts.pre")
    staging = 0 if asked.share else octets(_STAGING)
    disk = _disk(install.disk.match)
    images = (f"{install.urls.tree}sources/install.{kind}" for kind in ("wim", "esd"))
    share = asked.share
    return {
        "disk": {**disk, "room": install.release.least_disk + staging},
        "erase": list(install.erase),
        "staging": staging // MIB,
        "images": list(images),
        "share": {"path": share.path, "user": share.user, "password": share.password}
        if share
        else None,
        "pre": install.parameters.scripts.pre,
        "callbacks": install.urls.callbacks,
    }


def _disk(match: DiskMatch) -> dict[str, Any]:
    criteria = match.criteria
    found = {"serial": "", "pick": "", "nvme": False, "least": 0, "most": 0}
    if match == AUTO:
        return found
    if criteria:
        if criteria.kind not in (None, Kind.NVME):
            raise _no_disk(f"Windows PE does not know which disk is an {criteria.kind}")
        return found | {
            "pick": str(criteria.pick or ""),
            "nvme": criteria.kind is Kind.NVME,
            "least": criteria.least,
            "most": criteria.most,
        }
    if match.startswith(("/dev/", "wwn:")):
        raise _no_disk(f"Windows PE does not know {match!r:.60}")
    return found | {"serial": match.removeprefix("serial:")}


def _no_disk(what: str) -> InputError:
    return InputError(what, "name the disk by its serial number, or as in: smallest", "disk.match")


def _laid_over(below: Any, above: Any) -> Any:
    """Raw settings over ours: mappings are joined, lists added to, all else is theirs."""
    if isinstance(below, Mapping) and isinstance(above, Mapping):
        joined = dict(below)
        for name, value in above.items():
            joined[name] = _laid_over(joined[name], value) if name in joined else value
        return joined
    if isinstance(below, list) and isinstance(above, list):
        return [*below, *above]
    return above


FAMILY = Windows()
