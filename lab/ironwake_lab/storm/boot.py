"""From the power button to a running kernel: the loaders, their scripts. Pure."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass

from ironwake_lab.storm import linux, roms
from ironwake_lab.storm.dhcp import BootFile, find
from ironwake_lab.storm.machine import (
    BootFailedError,
    InstallEndedError,
    Life,
    Machine,
    Mark,
)
from ironwake_lab.storm.roms import Kind

_POST = 8.0  # seconds of a firmware's own start, when it begins anew

# What our scripts say, as GRUB and iPXE read them.
_GRUB_SOURCE = re.compile(r"^\s*source \(http,([\d.:]+)\)(\S+)", re.MULTILINE)
_GRUB_PAUSES = re.compile(r"^for pause in ([\d ]+);", re.MULTILINE)
_GRUB_KERNEL = re.compile(r"^linux \(http,([\d.:]+)\)(\S+)(.*)$", re.MULTILINE)
_GRUB_INITRD = re.compile(r"^initrd \(http,([\d.:]+)\)(\S+)", re.MULTILINE)
_IPXE_KERNEL = re.compile(r"^kernel (http://\S+)(.*?)(?: \|\| .*)?$", re.MULTILINE)
_IPXE_INITRD = re.compile(r"^initrd (?:--name \S+ )?(http://\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Kernel:
    """What a script starts."""

    kernel: str
    initrd: str
    arguments: dict[str, str]


def life(machine: Machine) -> Life[None]:
    """All of it: boots, until one of them has led to an installed machine."""
    for _ in range(machine.habits.boots):
        try:
            yield from _boot(machine)
            return
        except BootFailedError as error:
            machine.history.failures.append(str(error))
        except InstallEndedError as error:
            machine.history.end = str(error)
            return
        machine.forget_network()
        yield from machine.think(_POST)
    machine.history.end = f"gave up: {machine.history.failures[-1]}"


def _boot(machine: Machine) -> Life[None]:
    match machine.kind:
        case Kind.UEFI:
            first = yield from find(machine, roms.PXE)
            kernel = yield from _edk2(machine, first)
        case Kind.UEFI_HTTP:
            first = yield from find(machine, roms.HTTP)
            kernel = yield from _edk2_http(machine, first)
        case Kind.BIOS:
            first = yield from find(machine, roms.PLAIN)
            kernel = yield from _plain(machine, first)
        case Kind.IPXE:
            first = yield from find(machine, roms.IPXE)
            kernel = yield from _ipxe(machine, first)
    machine.mark(Mark.KERNEL)
    yield from linux.install(machine, kernel.arguments)


# -- loaders ---------------------------------------------------------------------------------------


def _edk2(machine: Machine, first: BootFile) -> Life[Kernel]:
    probe = yield from machine.tftp(first.server, first.file, roms.PROBE, probe=True)
    if probe.error:
        raise BootFailedError(probe.error)
    yield from _load(machine, first.server, first.file, roms.EDK2)
    machine.mark(Mark.LOADER)
    yield from machine.think(0.3)
    folder = posixpath.dirname(first.file)
    for name in roms.SHIM_LOOKS_FOR:
        yield from machine.tftp(first.server, posixpath.join(folder, name), roms.SHIM)
    yield from _load(machine, first.server, posixpath.join(folder, roms.SHIM_LOADS), roms.SHIM)
    yield from machine.think(2.0)
    for name in roms.GRUB_LOOKS_FOR:
        yield from machine.tftp(first.server, name, roms.GRUB)
    return (yield from _grub(machine, (yield from _load_grub(machine, first.server))))


def _load(machine: Machine, server: bytes, name: str, manners: roms.Manners) -> Life[str]:
    got = yield from machine.tftp(server, name, manners)
    if got.error:
        raise BootFailedError(got.error)
    return got.content.decode("utf-8", "replace")


def _load_grub(machine: Machine, server: bytes) -> Life[str]:
    return (yield from _load(machine, server, "/grub/grub.cfg", roms.GRUB))


def _edk2_http(machine: Machine, first: BootFile) -> Life[Kernel]:
    agent = (("Accept", "*/*"), ("User-Agent", roms.AGENT_EDK2))
    for method in ("HEAD", "GET"):
        got = yield from machine.fetch(method, first.file, agent)
        if not got.is_ok:
            raise BootFailedError(f"{first.file}: HTTP {got.status}")
    machine.mark(Mark.LOADER)
    folder = posixpath.dirname(first.file)
    for name in (*roms.SHIM_LOOKS_FOR, roms.SHIM_LOADS):
        got = yield from machine.fetch("GET", f"{folder}//{name}", agent)
    if not got.is_ok:
        raise BootFailedError(f"{roms.SHIM_LOADS}: HTTP {got.status}")
    yield from machine.think(2.0)
    root = "/".join(first.file.split("/", 3)[:3])
    grub = (("User-Agent", roms.AGENT_GRUB),)
    for name in roms.GRUB_LOOKS_FOR:
        yield from machine.fetch("GET", root + name, grub)
    got = yield from machine.fetch("GET", f"{root}/grub/grub.cfg", grub)
    return (yield from _grub(machine, got.body.decode("utf-8", "replace")))


def _grub(machine: Machine, common: str) -> Life[Kernel]:
    """The common configuration: to the machine's own script, again when that did not come."""
    source, pauses = _GRUB_SOURCE.search(common), _GRUB_PAUSES.search(common)
    if source is None or pauses is None:
        raise BootFailedError("grub.cfg leads nowhere")
    mac = ":".join(f"{octet:02x}" for octet in machine.mac)
    url = f"http://{source[1]}{source[2].replace('${net_default_mac}', mac)}"
    agent = (("User-Agent", roms.AGENT_GRUB),)
    for pause in pauses[1].split():
        script = yield from machine.fetch("GET", url, agent)
        text = script.body.decode("utf-8", "replace")
        kernel, initrd = _GRUB_KERNEL.search(text), _GRUB_INITRD.search(text)
        if script.is_ok and (kernel is None or initrd is None):
            raise BootFailedError(_reason(text))
        if kernel and initrd:
            found = Kernel(
                f"http://{kernel[1]}{kernel[2]}",
                f"http://{initrd[1]}{initrd[2]}",
                _arguments(kernel[3]),
            )
            if (yield from _fetch_both(machine, found, agent)):
                return found
        yield from machine.sleep(float(pause), 0.05)
    raise BootFailedError("GRUB gave up on its script")


def _plain(machine: Machine, first: BootFile) -> Life[Kernel]:
    yield from _load(machine, first.server, first.file, roms.ROM)
    machine.mark(Mark.LOADER)
    yield from machine.think(1.0)
    machine.forget_network()
    return (yield from _ipxe(machine, (yield from find(machine, roms.UNDIONLY))))


def _ipxe(machine: Machine, first: BootFile) -> Life[Kernel]:
    agent = (("Connection", "keep-alive"), ("User-Agent", roms.AGENT_IPXE))
    script = yield from machine.fetch("GET", first.file, agent)
    text = script.body.decode("utf-8", "replace")
    kernel, initrd = _IPXE_KERNEL.search(text), _IPXE_INITRD.search(text)
    if not script.is_ok:
        raise BootFailedError(f"the boot script: HTTP {script.status}")
    machine.mark(Mark.LOADER)
    if kernel is None or initrd is None:
        raise BootFailedError(_reason(text))
    found = Kernel(kernel[1], initrd[1], _arguments(kernel[2]))
    if not (yield from _fetch_both(machine, found, agent)):
        raise BootFailedError("the kernel could not be fetched")
    return found


def _fetch_both(machine: Machine, found: Kernel, agent: tuple[tuple[str, str], ...]) -> Life[bool]:
    for url in (found.kernel, found.initrd):
        got = yield from machine.fetch("GET", url, agent, most=machine.habits.most)
        if not got.is_ok:
            return False
    return True


def _arguments(words: str) -> dict[str, str]:
    return dict(word.split("=", 1) for word in words.split() if "=" in word)


def _reason(script: str) -> str:
    said = re.search(r"Ironwake: (.*?)[\"\n]", script)
    return f"sent to its disk: {said[1] if said else 'a script that starts nothing'}"
