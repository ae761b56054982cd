"""Fedora CoreOS and Flatcar: systems that come as a whole image, and are set up by Ignition.

The live system of the medium starts from the network with an Ignition configuration of ours
(install.ign): its one unit looks at the disks, writes the image, and gives it the configuration of
the installed system (system.ign), which is in it. `coreos.inst.install_dev` would spare us the
unit, but nobody would have looked at the disk.

Options of a row: `kind` (`fedora-coreos`, `flatcar`), `ignition` (the specification's version).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ironwake import firstboot, keyfile, networkd
from ironwake.boot import KernelBoot
from ironwake.errors import InputError
from ironwake.families import fragment, guard, inside, start
from ironwake.families.base import Answers, Format, Install
from ironwake.families.coreos import devices, ignition
from ironwake.families.coreos.ignition import Config, Unit
from ironwake.firmware import Architecture
from ironwake.firstboot import File
from ironwake.parameters import Parameters
from ironwake.parameters.model import Security
from ironwake.parameters.network import Network
from ironwake.parameters.refusal import check_plain, check_refused
from ironwake.release import Release
from ironwake.report import Callback
from ironwake.site import Shelf

SYSTEM, INSTALL = "system.ign", "install.ign"
_VERSION: Final = "3.3.0"
_WHOLE: Final = "its image is whole: run containers"
_INSTALL_UNIT: Final = "ironwake-install.service"
_POST_UNIT: Final = "ironwake-post.service"
_TARGET: Final = "etc/ironwake/system.ign"  # of the live system


@dataclass(frozen=True)
class Kind:
    """What differs between the two. `programs`: where files may stand that are run."""

    role: str
    programs: str
    arguments: tuple[str, ...]
    writer: str


_KINDS: Final[Mapping[str, Kind]] = {
    "fedora-coreos": Kind(
        "rootfs",
        "usr/local/bin",
        ("ignition.firstboot", "ignition.platform.id=metal", "rd.neednet=1", "ip=dhcp"),
        # The live system has the image in it.
        'coreos-installer install --offline --ignition-file /{target} "$disk_image"',
    ),
    "flatcar": Kind(
        "image",
        "opt/bin",
        ("flatcar.first_boot=1",),
        'flatcar-install -f /tmp/image.bin.bz2 -i /{target} -d "$disk_image"',
    ),
}


@dataclass(frozen=True)
class CoreOS:
    name: str = "coreos"
    files: tuple[str, ...] = (SYSTEM, INSTALL)
    formats: Mapping[str, Format] = field(
        default_factory=lambda: dict.fromkeys((SYSTEM, INSTALL), Format.IGNITION)
    )
    roles: tuple[str, ...] = ()  # see `needs`
    refuses: Mapping[str, str] = field(
        default_factory=lambda: {
            "locale": "its image has C.UTF-8 alone",
            "packages": _WHOLE,
            "package_groups": _WHOLE,
            "repositories": _WHOLE,
            "firmware": _WHOLE,
            "mirror": "it installs no packages",
            "proxy": "it installs no packages",
        }
    )

    def needs(self, release: Release, architecture: Architecture) -> Mapping[str, tuple[str, ...]]:
        return {release.medium(architecture): (start.KERNEL, start.INITRD, _kind(release).role)}

    def boot(self, install: Install, shelf: Shelf) -> KernelBoot:
        return start.Linux(self).boot(install, shelf)

    def check(self, install: Install) -> None:
        check_plain(install.release.title, install.parameters)
        if install.layout:
            raise InputError(
                "the image has its partitions already",
                "leave out layout, and say which disk in disk.match",
                "layout",
            )
        if _is_flatcar(install):
            check_refused("Flatcar", _NOT_FLATCARS, install.parameters)
        self.answers(install)
        written = devices.others(self._added(install).get("storage", {}))
        fragment.check_named(written, install.erase, "fragments.coreos.storage")

    def arguments(self, install: Install) -> tuple[str, ...]:
        kind, parts = _kind(install.release), install.urls.parts
        rootfs = parts.get("rootfs", "")
        return (
            *kind.arguments,
            f"BOOTIF={install.mac.bootif}",
            f"ignition.config.url={install.urls.answers}{INSTALL}",
            *([f"coreos.live.rootfs_url={rootfs}"] if kind.role == "rootfs" else []),
            *install.machine.architecture.consoles,
        )

    def answers(self, install: Install) -> Answers:
        version = install.release.options.get("ignition", _VERSION)
        added = self._added(install)
        system = ignition.text(fragment.joined(ignition.data(_system(install), version), added))
        live = ignition.text(ignition.data(_live(install, system), version))
        return Answers({SYSTEM: system, INSTALL: live})

    def _added(self, install: Install) -> dict[str, Any]:
        ours = {"ignition": "its version is the release's"}
        return fragment.read(install.parameters.fragments, self.name, ours)

    def parse(self, name: str, text: str) -> object:  # noqa: ARG002 (a `Family`: both are alike)
        return ignition.parse(text)

    def heard(self, content_type: str, body: bytes) -> Callback | None:  # noqa: ARG002 (a `Family`)
        """The installer says nothing by itself; the unit of ours does."""
        return None


def _is_flatcar(install: Install) -> bool:
    return install.release.options.get("kind") == "flatcar"


def _kind(release: Release) -> Kind:
    return _KINDS[release.options.get("kind", "fedora-coreos")]


_NOT_FLATCARS: Final[Mapping[str, str]] = {
    "keyboard": "it has no keyboard layouts",
    "security": "it has no policy that is enforced",
}


def _system(install: Install) -> Config:
    """The installed system."""
    parameters, programs = install.parameters, _kind(install.release).programs
    zone = {"/etc/localtime": f"../usr/share/zoneinfo/{parameters.timezone}"}
    unit, files = _health(install.urls.health, programs)
    units = [Unit(firstboot.UNIT, unit)]
    if parameters.scripts.post:
        files = (*files, File(f"{programs}/ironwake-post", 0o700, _shell(parameters.scripts.post)))
        units.append(Unit(_POST_UNIT, _POST.format(f"/{programs}/ironwake-post", firstboot.UNIT)))
    return Config(
        files=(*files, *_settings(install)),
        units=tuple(units),
        users=ignition.users(parameters),
        links={} if parameters.timezone == Parameters().timezone else zone,
        arguments=_words(parameters),
    )


def _health(url: str, programs: str) -> tuple[str, tuple[File, ...]]:
    """The report's unit, and its other files, where they may stand: /usr cannot be written."""
    usual = "usr/lib/ironwake"
    moved: list[File] = []
    unit = ""
    for file in firstboot.files(url):
        text = file.text.replace(f"/{usual}/", f"/{programs}/ironwake-")
        if file.path.endswith(firstboot.UNIT):
            unit = text
        elif not file.path.endswith("/boot-entry"):  # their firmware finds \\EFI\\BOOT
            path = file.path.replace(f"{usual}/", f"{programs}/ironwake-")
            moved.append(File(path, file.mode, text))
    return unit, tuple(moved)


def _settings(install: Install) -> Iterator[File]:
    parameters, is_flatcar = install.parameters, _is_flatcar(install)
    name = str(install.hostname)
    yield File("etc/hostname", 0o644, f"{name}\n")
    yield File("etc/hosts", 0o644, f"{_LOCALHOST}127.0.1.1 {name}.{install.domain} {name}\n")
    if parameters.keyboard != Parameters().keyboard:
        yield File("etc/vconsole.conf", 0o644, f"KEYMAP={parameters.keyboard}\n")
    if parameters.network != Network():
        way = networkd.files if is_flatcar else keyfile.files
        yield from way(parameters.network, install.mac)
    if parameters.ntp and is_flatcar:
        text = f"[Time]\nNTP={' '.join(parameters.ntp)}\n"
        yield File("etc/systemd/timesyncd.conf.d/ironwake.conf", 0o644, text)
    elif parameters.ntp:
        servers = "".join(f"server {one} iburst\n" for one in parameters.ntp)
        yield File("etc/chrony.conf", 0o644, f"{servers}{_CHRONY}")


_LOCALHOST: Final = "127.0.0.1 localhost\n::1 localhost\n"
_CHRONY: Final = "driftfile /var/lib/chrony/drift\nmakestep 1.0 3\nrtcsync\n"


def _words(parameters: Parameters) -> tuple[str, ...]:
    words = {Security.PERMISSIVE: ("enforcing=0",), Security.DISABLED: ("selinux=0",)}
    return (*words.get(parameters.security, ()), *parameters.kernel_arguments)


# At its first boot: these systems cannot be entered before.
_POST: Final = """\
[Unit]
Description=The profile's own script, once
Wants=network-online.target
After=network-online.target
Before={1}
ConditionPathExists={0}

[Service]
Type=oneshot
ExecStart={0}
ExecStartPost=/bin/rm -f {0}

[Install]
RequiredBy={1}
"""

_UNIT: Final = """\
[Unit]
Description=Installs this machine as its deployment says
Wants=network-online.target
After=network-online.target systemd-udev-settle.service

[Service]
Type=oneshot
ExecStart=/{0}/ironwake-install
StandardOutput=journal+console

[Install]
WantedBy=multi-user.target
"""


def _shell(script: str) -> str:
    return script if script.startswith("#!") else f"#!/bin/sh\nset -e\n{script}"


def _live(install: Install, system: str) -> Config:
    """The live system that writes the other one."""
    programs = _kind(install.release).programs
    return Config(
        files=(
            File(_TARGET, 0o600, system),
            File(f"{programs}/ironwake-install", 0o700, _installer(install)),
        ),
        units=(Unit(_INSTALL_UNIT, _UNIT.format(programs)),),
    )


def _installer(install: Install) -> str:
    callbacks = install.urls.callbacks
    wanted = (guard.Wanted("image", install.disk.match, install.release.least_disk),)
    failed = f"{callbacks}?stage=failed&step="
    lines: Iterable[str] = (
        "#!/bin/bash",
        f"{_tell(callbacks, 'installer', 1)} || true",
        guard.script(wanted, install.erase, f"{failed}disk&id=guard&message="),
        f"trap {_quoted(guard.report(f'{failed}writing&id=error&message={_STOPPED}'))} ERR",
        "set -eE -o pipefail",
        *inside.run(install.parameters.scripts.pre, "run/ironwake-pre"),
        f"{_tell(callbacks, 'writing', 10)} || true",
        *_write(install),
        f"for try in $(seq 30); do {guard.report(f'{callbacks}?stage=installed&id=late')} && break;"
        ' [ "$try" -lt 30 ]; sleep 10; done',
        "systemctl --no-block reboot",
    )
    return "\n".join(lines) + "\n"


_STOPPED: Final = "the+installer+has+stopped;+see+journalctl+-u+ironwake-install+on+that+machine"


def _tell(callbacks: str, step: str, percent: int) -> str:
    url = f"{callbacks}?stage=installing&step={step}&percent={percent}&id={step}"
    return guard.report(url)


def _quoted(command: str) -> str:
    return "'" + command.replace("'", "'\\''") + "'"


def _write(install: Install) -> Iterator[str]:
    if _is_flatcar(install):
        url = install.urls.parts.get("image", "")
        yield f"curl -fsS --retry 9 -o /tmp/image.bin.bz2 '{url}'"
    yield _kind(install.release).writer.format(target=_TARGET)


FAMILY = CoreOS()
