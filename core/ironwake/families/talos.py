"""Talos: one kernel and one initrd that install themselves as the machine configuration says.

A cluster's secrets are its owner's: what `talosctl gen config` makes is the fragment, and what is
this machine's alone comes from its parameters. Talos runs nothing before it writes, so nobody can
look at the disk: only one that the deployment may erase, by the very name that chooses it, is
named. Nor does it report anything; a static pod of ours does, once its kubelet runs.

Options of a row: `installer` (the installer's container image), `reporter` (one with sh and wget).
Source: talos.dev, configuration v1alpha1, and the kernel's arguments for a boot by PXE.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ironwake import nocloud
from ironwake.disk import DiskMatch
from ironwake.errors import InputError, RefusedError
from ironwake.families import fragment
from ironwake.families.base import Answers, Format, Install
from ironwake.mac import Mac
from ironwake.parameters.network import BOOT, Device, Kind, Network
from ironwake.report import Callback

CONFIG: Final = "machine.yaml"
_NOBODY: Final = "nobody logs in: it has an API"
_WHOLE: Final = "its image is whole: use extensions in its installer's image"
_REFUSES: Final[Mapping[str, str]] = {
    "users": _NOBODY,
    "root": _NOBODY,
    "locale": "it has none",
    "keyboard": _NOBODY,
    "timezone": "its clock is UTC's",
    "packages": _WHOLE,
    "package_groups": _WHOLE,
    "repositories": _WHOLE,
    "firmware": _WHOLE,
    "proxy": "write machine.env into the fragment",
    "mirror": "write machine.registries into the fragment",
    "scripts": "it runs none",
    "security": "it decides that itself",
}
# What its kernel's protection project asks for, and what disks by NVMe need.
_KERNEL: Final = (
    "talos.platform=metal",
    "init_on_alloc=1",
    "slab_nomerge",
    "pti=on",
    "consoleblank=0",
    "nvme_core.io_timeout=4294967295",
    "printk.devkmsg=on",
)
_NEEDED: Final = ("type", "token", "ca")  # of `machine`, besides `cluster`


@dataclass(frozen=True)
class Talos:
    name: str = "talos"
    files: tuple[str, ...] = (CONFIG,)
    formats: Mapping[str, Format] = field(default_factory=lambda: {CONFIG: Format.YAML})
    roles: tuple[str, ...] = ()
    refuses: Mapping[str, str] = field(default_factory=lambda: _REFUSES)
    unseen: str = "Talos writes without a look at what is on its disk"

    def check(self, install: Install) -> None:
        if install.layout:
            raise InputError(
                "Talos divides its disk by itself", "leave out layout, and name the disk", "layout"
            )
        self.answers(install)
        machine = fragment.read(install.parameters.fragments, self.name, {})["machine"]
        devices = [str(one.get("device")) for one in _disks(machine)]
        fragment.check_named(devices, install.erase, "fragments.talos.machine.disks")

    def arguments(self, install: Install) -> tuple[str, ...]:
        match = install.disk.match
        if match not in install.erase:
            raise RefusedError(
                f"Talos writes without a look at what is on disk {match}",
                f"if all of that may go, deploy again with --erase {match}",
            )
        return (
            *_KERNEL,
            f"talos.config={install.urls.answers}{CONFIG}",
            *install.machine.architecture.consoles,
        )

    def answers(self, install: Install) -> Answers:
        theirs = fragment.read(install.parameters.fragments, self.name, {})
        machine = theirs.get("machine")
        if "cluster" not in theirs or not isinstance(machine, dict):
            raise InputError(
                "a machine of Talos belongs to a cluster, and this one has none",
                "make it with talosctl gen config, and write machine and cluster here",
                "fragments.talos",
            )
        for name in _NEEDED:
            if name not in machine:
                raise InputError(
                    f"the fragment has no machine.{name}",
                    "copy what talosctl gen config has made",
                    "fragments.talos",
                )
        place, where = machine.get("install", {}), "fragments.talos.machine.install"
        if not isinstance(place, dict):
            raise InputError("this is no mapping", "write it as Talos has it", where)
        if {"disk", "diskSelector", "wipe"} & place.keys():
            raise InputError("the disk is disk.match's", "leave it out", where)
        ours = {"version": "v1alpha1", "machine": _machine(install)}
        return Answers({CONFIG: nocloud.text(fragment.joined(ours, theirs))})

    def parse(self, name: str, text: str) -> object:
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise InputError(f"{name} is no JSON", "", name) from None

    def heard(self, content_type: str, body: bytes) -> Callback | None:  # noqa: ARG002 (a `Family`)
        """It says nothing by itself; our pod does."""
        return None


def _disks(machine: dict[str, Any]) -> list[dict[str, Any]]:
    """Those that it divides besides its own."""
    found = machine.get("disks") or []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise InputError("disks are a list of mappings", "", "fragments.talos.machine.disks")
    return found


def _machine(install: Install) -> dict[str, Any]:
    parameters, options = install.parameters, install.release.options
    place: dict[str, Any] = {**_disk(install.disk.match), "wipe": False}
    if image := options.get("installer"):
        place["image"] = image
    if parameters.kernel_arguments:
        place["extraKernelArgs"] = [str(word) for word in parameters.kernel_arguments]
    found: dict[str, Any] = {
        "install": place,
        "network": {"hostname": f"{install.hostname}.{install.domain}", **_network(install)},
    }
    if parameters.ntp:
        found["time"] = {"servers": list(parameters.ntp)}
    if image := options.get("reporter"):
        found["pods"] = [_pod(image, install)]
    return found


def _disk(match: DiskMatch) -> dict[str, Any]:
    key, _, value = match.partition(":")
    if match == "auto" or match.criteria or key == "wwn":
        raise InputError(
            "Talos writes without a look at what is on a disk: it is told one by name",
            "give a serial number, or a path below /dev/disk/by-path",
            "disk.match",
        )
    if match.startswith("/dev/"):
        return {"disk": str(match)}
    return {"diskSelector": {"serial": value if key == "serial" and value else str(match)}}


def _network(install: Install) -> dict[str, Any]:
    network = install.parameters.network
    found: dict[str, Any] = {"interfaces": _Interfaces(network, install.mac).whole()}
    if network.name_servers:
        found["nameservers"] = list(network.name_servers)
    if network.search:
        found["searchDomains"] = [str(one) for one in network.search]
    return found


class _Interfaces:
    """Talos has a VLAN inside of what it stands on; cards are known by their MAC addresses."""

    def __init__(self, network: Network, boot: Mac) -> None:
        self._devices = network.devices or (Device("boot0", dhcp=True),)
        self._boot = boot
        self._found: dict[str, dict[str, Any]] = {}  # by name, or by a card's MAC

    def whole(self) -> list[dict[str, Any]]:
        for device in self._devices:
            if device.kind is Kind.VLAN:
                below = self._below(device.of[0])
                entry = {"vlanId": device.vlan, **_addresses(device)}
                below.setdefault("vlans", []).append(entry)
            else:
                self._below(device.name if device.kind is not Kind.CARD else device.of[0]).update(
                    {**self._made(device), **_addresses(device)}
                )
        return list(self._found.values())

    def _below(self, name: str) -> dict[str, Any]:
        """The entry of a device, or of a card."""
        known = {one.name: one for one in self._devices}
        if name in known and known[name].kind is Kind.VLAN:
            raise InputError("Talos has no VLAN inside of another", "leave one out", "network")
        if name in known and known[name].kind is Kind.CARD:
            name = known[name].of[0]
        if name in known:
            return self._found.setdefault(name, {"interface": name})
        mac = self._mac(name)
        return self._found.setdefault(mac, {"deviceSelector": {"hardwareAddr": mac}})

    def _made(self, device: Device) -> dict[str, Any]:
        cards = {one.name: one.of[0] for one in self._devices if one.kind is Kind.CARD}
        names = {one.name for one in self._devices} - cards.keys()
        if device.kind is Kind.BOND:
            below = [self._mac(cards.get(one, one)) for one in device.of if one not in names]
            if len(below) < len(device.of):
                raise InputError("Talos bonds cards only", "name cards in of", "network")
            selectors = [{"hardwareAddr": one} for one in below]
            return {"bond": {"mode": str(device.mode), "deviceSelectors": selectors}}
        if device.kind is Kind.BRIDGE:
            if not names.issuperset(device.of):
                raise InputError(
                    "Talos knows the cards of a bridge by names that only its kernel gives",
                    "put a bond of one card between them",
                    "network",
                )
            return {"bridge": {"interfaces": list(device.of), "stp": {"enabled": False}}}
        return {}

    def _mac(self, word: str) -> str:
        return str(self._boot if word == BOOT else Mac(word))


def _addresses(device: Device) -> dict[str, Any]:
    found: dict[str, Any] = {"dhcp": device.dhcp}
    if device.addresses:
        found["addresses"] = list(device.addresses)
    if device.gateway:
        every = "::/0" if ":" in device.gateway else "0.0.0.0/0"
        found["routes"] = [{"network": every, "gateway": device.gateway}]
    if device.mtu:
        found["mtu"] = device.mtu
    return found


def _pod(image: str, install: Install) -> dict[str, Any]:
    """Reports that the system is installed, and well: its kubelet starts it, at each start."""
    callbacks = install.urls.callbacks
    script = "".join(
        f"wget -q -O /dev/null --post-data= {shlex.quote(f'{callbacks}?stage={rest}')}\n"
        for rest in ("installing&step=kubelet&id=kubelet", "installed&id=installed")
    )
    system = json.dumps({"hostname": install.hostname, "system": install.release.title})
    # Of a later start, nobody wants to hear.
    script += (
        "said=$(wget -q -O /dev/null --header='Content-Type: application/json'"
        f" --post-data={shlex.quote(system)} {shlex.quote(install.urls.health)} 2>&1) && exit\n"
        'case $said in *" 404 "*|*" 410 "*) exit 0;; esac\nexit 1\n'
    )
    container = {"name": "report", "image": image, "command": ["sh", "-c", script]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "ironwake-report", "namespace": "kube-system"},
        "spec": {"hostNetwork": True, "restartPolicy": "OnFailure", "containers": [container]},
    }


FAMILY = Talos()
