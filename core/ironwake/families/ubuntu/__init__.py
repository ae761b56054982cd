"""Ubuntu: its server installer (Subiquity, since 20.04), answered by autoinstall.

casper, in the initrd, fetches the whole ISO into memory (`url=`, which must end in .iso). Then
cloud-init asks for its seed, whose user-data has the answers below `autoinstall`. Subiquity runs
the early commands before it looks at disks, and reads /autoinstall.yaml anew after them: there the
guard puts the disks that it has chosen. Options of a row: `datasource`, cloud-init's word for the
seed.

Source: the autoinstall reference (canonical-subiquity), curtin's storage and reporting chapters.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ironwake import nocloud
from ironwake.errors import InputError
from ironwake.families import fragment, guard, inside, storage
from ironwake.families.base import Answers, Format, Install
from ironwake.families.ubuntu import curtin
from ironwake.firstboot import File
from ironwake.layout.model import Layout
from ironwake.layout.usual import usual
from ironwake.parameters.model import Parameters, Security
from ironwake.parameters.network import Network
from ironwake.parameters.refusal import check_debians
from ironwake.report import Callback, Stage

_SHELL: Final = "/run/ironwake-script"  # of the installer's own system
_PRE: Final = "root/ironwake-pre"  # /run is mounted without execution
_LATE: Final = "root/ironwake-late"  # of the new one
_FORMATS: Final = {
    nocloud.USER_DATA: Format.AUTOINSTALL,
    nocloud.META_DATA: Format.META_DATA,
    nocloud.VENDOR_DATA: Format.CLOUD_CONFIG,
    nocloud.NETWORK_CONFIG: Format.NETWORK_CONFIG,
}
# Subiquity keeps its answers and curtin its configuration in the new system at the end;
# the first boot removes them.
FORGOTTEN: Final = """\
r! /var/log/installer/autoinstall-user-data
R! /var/log/installer/curtin-install
r! /var/log/installer/subiquity-curtin-install.conf
"""
_OURS: Final = {
    "version": "it is settled",
    "storage": "the disk guard knows the layout's disks only: give a layout",
    "interactive-sections": "nobody is there to answer",
}


@dataclass(frozen=True)
class Ubuntu:
    name: str = "ubuntu"
    files: tuple[str, ...] = nocloud.FILES
    formats: Mapping[str, Format] = field(default_factory=lambda: _FORMATS)
    roles: tuple[str, ...] = ("iso",)
    refuses: Mapping[str, str] = field(default_factory=dict)

    def check(self, install: Install) -> None:
        check_debians(install.parameters)
        self.answers(install)

    def arguments(self, install: Install) -> tuple[str, ...]:
        return (
            "ip=dhcp",
            # The card that booted; without it casper takes the first one that answers.
            f"BOOTIF={install.mac.bootif}",
            f"url={install.urls.parts.get('iso', '')}",
            # Else cloud-init takes url= for its own, and loads the ISO a second time into memory.
            "cloud-config-url=/dev/null",
            "autoinstall",
            nocloud.argument(
                install.urls.answers, install.release.options.get("datasource", nocloud.OLD_NAME)
            ),
            *install.machine.architecture.consoles,
            "---",
        )

    def answers(self, install: Install) -> Answers:
        user_data = {"autoinstall": _autoinstall(install)}
        network = nocloud.network_config(Network(), install.mac)
        hostname = str(install.hostname)
        return Answers(nocloud.seed(f"installer-of-{hostname}", hostname, user_data, network))

    def parse(self, name: str, text: str) -> object:
        return nocloud.parse(name, text)

    def heard(self, content_type: str, body: bytes) -> Callback | None:
        return heard(body) or nocloud.heard(content_type, body, Stage.INSTALLING)


def _autoinstall(install: Install) -> dict[str, Any]:
    parameters = install.parameters
    layout = install.layout or usual(install.disk.match)
    added = fragment.read(parameters.fragments, "ubuntu", _OURS)
    fragment.refuse(added.get("user-data"), fragment.DISKS, "fragments.ubuntu.user-data")
    for name in ("early-commands", "late-commands", "error-commands"):  # else in the place of ours
        if not isinstance(added.get(name, []), list):
            raise InputError("commands are a list", "", f"fragments.ubuntu.{name}")
    theirs = added.pop("late-commands", [])
    packages = [*parameters.packages, *(f"{group}^" for group in parameters.package_groups)]
    ours: dict[str, Any] = {
        "version": 1,
        "early-commands": [_command(_early(install, layout))],
        "locale": parameters.locale,
        "keyboard": {"layout": parameters.keyboard},
        "refresh-installer": {"update": False},
        # The installer's own; what the system gets, stands in the late commands: a bond or a VLAN
        # may cut the way that it was booted by.
        "network": nocloud.network_config(Network(), install.mac),
        "apt": _apt(install),
        "storage": curtin.actions(layout, install.keys),
        "ssh": {"install-server": True, "allow-pw": False},
        "snaps": [],
        "packages": packages,
        "user-data": nocloud.system(parameters, str(install.hostname), str(install.domain)),
        "reporting": {"ironwake": {"type": "webhook", "endpoint": install.urls.reports}},
        "error-commands": [_failed(install)],
    }
    if parameters.proxy:
        ours["proxy"] = parameters.proxy
    found: dict[str, Any] = fragment.joined(ours, added)
    return found | {"late-commands": [*theirs, _command(_late(install, parameters))]}


def _command(script: str) -> str:
    """One command, which does not stand in the log and on the screen with all its words."""
    return f"echo {_packed(script)} | base64 -d >{_SHELL} && sh {_SHELL}"


def _packed(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _early(install: Install, layout: Layout) -> str:
    """The guard, then the person's own script."""
    callbacks = install.urls.callbacks
    disks = guard.wanted(layout, install.disk.match, install.release.least_disk)
    failed = f"{callbacks}?stage=failed&step=disk&id=guard&message="
    begun = guard.report(f"{callbacks}?stage=installing&step=installer&percent=1&id=early")
    lines = [
        f"{begun} || true",
        guard.script(disks, install.erase, failed),
        storage.firmware(layout),
        "set -e",
        curtin.known(layout, "/autoinstall.yaml"),
        *inside.run(install.parameters.scripts.pre, _PRE),
    ]
    return "\n".join(lines) + "\n"


def _failed(install: Install) -> str:
    last = "the installer has stopped; its log is /var/log/installer on that machine"
    url = f"{install.urls.callbacks}?stage=failed&step=installer&id=error&message="
    return f"{guard.report(url + last.replace(' ', '+'))} || true"


def _apt(install: Install) -> dict[str, Any]:
    parameters = install.parameters
    mirror = install.urls.packages
    # Without a mirror that answers, what is on the ISO is installed, if nothing else is wanted.
    needs = bool(mirror or parameters.packages or parameters.package_groups)
    found: dict[str, Any] = {"geoip": False, "fallback": "abort" if needs else "offline-install"}
    if mirror:
        every = [{"arches": ["default"], "uri": mirror}]
        found |= {"primary": every, "security": every}
    sources = {}
    for one in parameters.repositories:
        line = " ".join(("deb", one.url, one.suite, *one.components))
        sources[f"{one.name}.list"] = {"source": line} | ({"key": one.key} if one.key else {})
    return found | ({"sources": sources} if sources else {})


def _late(install: Install, parameters: Parameters) -> str:
    """Sets up the new system from inside, and reports the end."""
    lines = [
        "set -e",
        *inside.put(_files(install, parameters)),
        *inside.health(install.urls.health),
        *(["update-grub"] if _words(parameters) else []),
        *inside.run(parameters.scripts.post, "root/ironwake-post"),
    ]
    if parameters.network != Network():
        lines.insert(1, "rm -f /etc/netplan/*.yaml")
    script = _packed("\n".join(lines) + "\n")
    done = guard.report(f"{install.urls.callbacks}?stage=installed&id=late")
    # Nobody else says that this machine shall not be installed a second time.
    again = "tries=$((tries + 1))\n[ $tries -lt 30 ]\nsleep 10"
    return (
        f"set -e\necho {script} | base64 -d >/target/{_LATE}\n"
        f"curtin in-target --target=/target -- sh /{_LATE}\nrm /target/{_LATE}\n"
        f"tries=0\nuntil {done}; do\n{again}\ndone\n"
    )


def _files(install: Install, parameters: Parameters) -> Iterator[File]:
    yield File("etc/hostname", 0o644, f"{install.hostname}\n")
    yield File("etc/tmpfiles.d/ironwake.conf", 0o644, FORGOTTEN)
    words = " ".join(_words(parameters))
    if words:
        text = f'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX {words}"\n'
        yield File("etc/default/grub.d/99-ironwake.cfg", 0o644, text)
    if parameters.network != Network():
        network = {"network": nocloud.network_config(parameters.network, install.mac)}
        yield File("etc/netplan/50-ironwake.yaml", 0o600, nocloud.text(network))


def _words(parameters: Parameters) -> tuple[str, ...]:
    words = {Security.DISABLED: ("apparmor=0",), Security.ENFORCING: ("apparmor=1",)}
    return (*words.get(parameters.security, ()), *parameters.kernel_arguments)


# Parts of events' names in the order of an installation, and how much is done when they begin.
_STAGES: Final = (
    ("subiquity/Early", "early commands", 1.0),
    ("/configure_apt", "apt", 8.0),
    ("cmd-install/stage-partitioning", "partitioning", 12.0),
    ("cmd-install/stage-extract", "extracting", 20.0),
    ("cmd-install/stage-curthooks", "configuring", 55.0),
    ("/postinstall", "packages", 75.0),
    ("/run_unattended_upgrades", "updates", 85.0),
    ("subiquity/Late", "late commands", 95.0),
)
# What fails elsewhere (a probe, the look for a newer installer) is tried otherwise, or does not
# matter; if it does, the error commands say so.
_FATAL: Final = ("subiquity/Early/run", "subiquity/Install/install", "subiquity/Late/run")
_LONGEST = 4096  # characters of an event's name


def heard(body: bytes) -> Callback | None:
    """What an event of curtin's webhook says; None for what is no news, or no event.

    Its description is left out: of a command it is the command itself, tokens and all.
    """
    try:
        event = json.loads(body)
        name, kind = event["name"], event["event_type"]
    except (ValueError, RecursionError, TypeError, KeyError):
        return None
    if not isinstance(name, str) or not isinstance(kind, str) or len(name) > _LONGEST:
        return None
    known = [stage for stage in _STAGES if stage[0] in name]
    step, percent = known[-1][1:] if known else (name.rpartition("/")[2][:60], None)
    if kind == "finish" and event.get("result") == "FAIL" and name.startswith(_FATAL):
        said = f"the installer failed: {step} ({name:.200})"
        return Callback(Stage.FAILED, id="curtin-failed", step=step, message=said)
    if kind != "start" or not known:
        return None
    return Callback(Stage.INSTALLING, id=f"curtin-{step}", step=step, percent=percent)


FAMILY = Ubuntu()
