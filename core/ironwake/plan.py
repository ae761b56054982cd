"""The one decision, asked at every hop: what does this machine get now, and why?

`resolve` is pure and total. DHCP, TFTP, the boot script, the answer file and the dry run all call
it; they can't drift apart, because there is nothing else. The rules, in order:

1. An unknown machine, a locked one, or another one with the same card: silence.
2. No deployment, or one that has ended or was claimed already: the local disk, by the machine's
   rung of the ladder (`ironwake.localboot`).
3. A deployment that is armed and not yet claimed: its loader chain, as often as it is asked for.

The claim itself is not decided here: it needs the store's compare-and-swap. This decides everything
before it, and everything after it is rule 2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from ironwake import families, loaders, wire
from ironwake.boot import Form, KernelBoot
from ironwake.deployment import Deployment
from ironwake.errors import IronwakeError
from ironwake.firmware import Firmware, Transport
from ironwake.lifecycle import BOOTABLE, ENDS
from ironwake.loaders.base import Loader
from ironwake.localboot import LoaderName, Rung
from ironwake.mac import Mac
from ironwake.machine import Machine, MachineUuid
from ironwake.memory import Memory
from ironwake.methods import METHODS
from ironwake.methods.origin import origin
from ironwake.personality import Personality, order
from ironwake.quirks import Quirk
from ironwake.site import ForeignServer, Policy, Site, how_to_get
from ironwake.sizes import size_text

LOADERS = "loaders"  # the manifest of what firmware itself loads


@dataclass(frozen=True)
class Silence:
    """Nothing leaves on the wire. Where an answer is unavoidable (a script), it says `reason`."""

    reason: str


@dataclass(frozen=True)
class Led:
    """A loader that DHCP names: `first_file` is a TFTP path or a URL, `script` the loader's own.

    `personalities`: the shapes in which it is offered, one after the other while none is taken.
    """

    loader: LoaderName
    first_file: str
    script_name: str
    script: str
    personalities: tuple[Personality, ...]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of what is sent, hexadecimal: stands in the events.

        Not of the reason, which names the state: the same bytes are the same plan all along.
        """
        sent = (self.loader, self.first_file, self.script_name, self.script)
        return hashlib.sha256(wire.encode(sent)).hexdigest()


@dataclass(frozen=True)
class LocalBoot:
    """The machine shall boot its disk, by this rung; `led` is None where DHCP stays silent."""

    reason: str
    rung: Rung = Rung.SILENCE
    led: Led | None = None


@dataclass(frozen=True)
class BootPlan:
    """What the machine gets: the loader that is named, and the kernel that its script starts.

    `warnings`: what on this network may keep it from working, in words for a person.
    """

    reason: str
    led: Led
    kernel: KernelBoot
    warnings: tuple[str, ...] = ()


Decision = BootPlan | LocalBoot | Silence


def leads_to_disk(decision: Decision) -> bool:
    """Whether a loader is started only to reach the local disk."""
    return isinstance(decision, LocalBoot) and decision.rung.loader is not None


@dataclass(frozen=True)
class BootRequest:
    """Who asks: the card, the firmware, and the SMBIOS UUID where it was told ("" where not)."""

    mac: Mac
    firmware: Firmware
    uuid: str = ""


@dataclass(frozen=True)
class Subject:
    """Of whom it is decided: an enrolled machine, its latest deployment, and what was learned."""

    machine: Machine
    deployment: Deployment | None = None
    memory: Memory = field(default_factory=Memory)

    def is_another(self, uuid: str) -> bool:
        """Whether a machine with this UUID is not the one that is meant."""
        own = self.deployment.uuid if self.deployment else ""
        known = (self.machine.uuid or self.memory.uuid, own)
        return bool(uuid) and any(one and not MachineUuid(one).is_same(uuid) for one in known)


def resolve(request: BootRequest, subject: Subject | None, policy: Policy) -> Decision:
    """What the machine gets now; every answer carries its reason, and none raises."""
    if subject is None:
        return Silence(f"no machine with {request.mac} is enrolled")
    machine, deployment = subject.machine, subject.deployment
    if machine.locked:
        return Silence(f"{machine.name} is locked")
    if subject.is_another(request.uuid):
        return Silence(
            f"this is not {machine.name}: it has the UUID {request.uuid}; "
            f"if it is, run: ironwake machine confirm {machine.name}"
        )
    if deployment is None:
        return _local(f"{machine.name} has no deployment", request, subject, policy)
    if deployment.state in ENDS:
        reason = f"the last deployment of {machine.name} is over: {deployment.state}"
        return _local(reason, request, subject, policy)
    if deployment.state not in BOOTABLE:
        reason = f"{machine.name} took its answers already and is {deployment.state}"
        return _local(reason, request, subject, policy)
    return _boot(request, subject, deployment, policy)


def _boot(
    request: BootRequest, subject: Subject, deployment: Deployment, policy: Policy
) -> BootPlan | Silence:
    machine = subject.machine
    if deployment.held:
        # Without the words of it: a machine said some of them, and a reason stands in a script.
        return Silence(f"the deployment of {machine.name} is held back: see its alarm")
    source = origin(deployment.release, deployment.profile.image, policy)
    if request.firmware.architecture is not machine.architecture:
        return Silence(
            f"{machine.name} was enrolled as {machine.architecture}, and its firmware is "
            f"{request.firmware.name}"
        )
    if source.architectures and machine.architecture not in source.architectures:
        return Silence(f"{deployment.profile.system} is not made for {machine.architecture}")
    if short := _short_of_memory(deployment, subject.memory):
        return Silence(f"{machine.name} {short}")
    method = METHODS[deployment.profile.method]
    try:
        missing = method.missing(deployment, machine, policy)
        kernel = None if missing else method.boot(deployment, machine, request.mac, policy)
    except IronwakeError as error:  # the site has changed since it was armed
        return Silence(f"{machine.name} cannot be started: {error}")
    form = kernel.form if kernel else Form.LINUX
    loader = _loader(request, subject, policy, form)
    if loader is None:
        return Silence(_no_loader(request.firmware, form))
    if not _has(loader, request.firmware, policy):
        missing = (LOADERS, *missing)
    if kernel is None or missing:
        return Silence(f"media are missing; {how_to_get(*missing)}")
    return BootPlan(
        reason=f"{machine.name} is {deployment.state} for {deployment.profile_name}",
        led=_lead(loader, loader.boot_script(kernel, policy.site), request, subject, policy),
        kernel=kernel,
        warnings=(
            *_unseen(deployment),
            *_warnings(loader, form, request, subject, policy),
        ),
    )


# Of what is built in, the kernel keeps some, and so does the firmware: up to an eighth.
_BUILT_IN = 8 / 7


def _short_of_memory(deployment: Deployment, memory: Memory) -> str:
    """Words where the release's installer needs more than the machine has; "" where it does not.

    Below that, installers end without a word, or in a kernel's panic.
    """
    release = deployment.release
    if release is None or not deployment.profile.method.is_vendors or not memory.ram:
        return ""
    if memory.ram * _BUILT_IN >= release.least_memory:
        return ""
    return (
        f"has {size_text(memory.ram)} of memory, and the installer of {release.title} needs "
        f"{size_text(release.least_memory)}; take another machine, or give it more memory"
    )


def _local(reason: str, request: BootRequest, subject: Subject, policy: Policy) -> LocalBoot:
    quirk = _quirk(request, subject, policy, "local_boot")
    pinned = subject.machine.local_boot or (quirk.local_boot if quirk else None)
    rung = pinned or subject.memory.local_boot
    if rung.loader is None:
        return LocalBoot(reason, rung)
    loader = loaders.BY_NAME[rung.loader]
    if not loader.serves(request.firmware) or not _has(loader, request.firmware, policy):
        return LocalBoot(f"{reason}; {rung} needs {loader.name}, which is not there", rung)
    script = loader.local_script(reason, rung)
    return LocalBoot(reason, rung, _lead(loader, script, request, subject, policy))


def _lead(
    loader: Loader, script: str, request: BootRequest, subject: Subject, policy: Policy
) -> Led:
    firmware = request.firmware
    quirk = _quirk(request, subject, policy, "personalities")
    pinned = subject.machine.personalities or (quirk.personalities if quirk else ())
    return Led(
        loader=loader.name,
        first_file=loader.first_file(firmware, request.mac, policy.site),
        script_name=loader.script_name,
        script=script,
        personalities=order(firmware, pinned, subject.memory.personality.get(firmware.name)),
    )


def _loader(request: BootRequest, subject: Subject, policy: Policy, form: Form) -> Loader | None:
    """The pinned loader where it serves this firmware, else the one that will work here.

    None of those that cannot start this form.
    """
    quirk = _quirk(request, subject, policy, "loader")
    name = subject.machine.loader or (quirk.loader if quirk else None)
    if form.needs_uefi and not request.firmware.uefi:
        return None
    if name is not None and _can(loaders.BY_NAME[name], request.firmware, form):
        return loaders.BY_NAME[name]
    usual = next((row for row in loaders.LOADERS if _can(row, request.firmware, form)), None)
    if usual is None or _spoiler(usual, request.firmware, policy) is None:
        return usual
    # iPXE asks by itself, and believes us before that server; but it is not signed.
    ipxe = loaders.BY_NAME[LoaderName.IPXE]
    if subject.memory.secure_boot == "off" and _has(ipxe, request.firmware, policy):
        return ipxe
    return usual


def _can(loader: Loader, firmware: Firmware, form: Form) -> bool:
    return loader.serves(firmware) and loader.starts(form)


def _no_loader(firmware: Firmware, form: Form) -> str:
    if form.needs_uefi and not firmware.uefi:
        return f"this system is started by UEFI firmware only, and this is {firmware.name}"
    what = "" if form is Form.LINUX else f" that can start {form}"
    return f"there is no boot loader for {firmware.name}{what}"


def _spoiler(loader: Loader | None, firmware: Firmware, policy: Policy) -> ForeignServer | None:
    """The foreign server whose boot file shim would believe instead of ours, if there is one.

    shim (16.1, netboot.c) takes the DHCP server's own file before a proxy's, and asks that server
    for its second stage. HTTP Boot knows only our URL.
    """
    is_shim = loader is loaders.grub.LOADER
    if not is_shim or firmware.transport is not Transport.TFTP or not policy.site.proxy:
        return None
    return next((one for one in policy.foreign if one.gives_address and one.in_field), None)


def _warnings(
    loader: Loader, form: Form, request: BootRequest, subject: Subject, policy: Policy
) -> Iterator[str]:
    firmware = request.firmware
    if form is not Form.LINUX and firmware.uefi and not firmware.ipxe:
        seen = ", where it was on when an agent looked" * (subject.memory.secure_boot == "on")
        yield (
            f"this is started by {loader.name}, which is not signed: Secure Boot must be off on "
            f"{subject.machine.name}{seen}; switch it off in the firmware's set-up"
        )
    usual = loaders.for_firmware(firmware)
    spoiler = _spoiler(usual, firmware, policy)
    if spoiler is None or form is not Form.LINUX:
        return
    named = f"the DHCP server {spoiler.address} names a boot file of its own ({spoiler.boot_file})"
    if loader is usual:
        yield (
            f"{named}: shim will ask that server for its second stage, and fail; remove the boot "
            "file there, or let the machine boot by UEFI HTTP Boot, which does not depend on it"
        )
    else:
        yield (
            f"{named}: {loader.name} goes out instead of shim, which would ask that server for its "
            "second stage; remove the boot file there, or leave Secure Boot off on this machine"
        )


def _unseen(deployment: Deployment) -> Iterator[str]:
    """Where the installer will refuse every disk, for none is named that it may write."""
    if deployment.erase or not deployment.release or not deployment.profile.method.is_vendors:
        return
    if why := families.unseen(families.of(deployment.release)):
        yield f"{why}, or it will refuse to write, and say which disks are there"


def _quirk(request: BootRequest, subject: Subject, policy: Policy, what: str) -> Quirk | None:
    """The site's first row that fits and says something about `what`."""
    machine = subject.machine
    for row in policy.quirks:
        if getattr(row, what) and row.fits(request.mac, request.firmware, machine.labels):
            return row
    return None


def _has(loader: Loader, firmware: Firmware, policy: Policy) -> bool:
    """Whether the loader's own file is there, where it needs one."""
    role = loader.role(firmware)
    return not role or policy.shelf.find(LOADERS, role) is not None


def script(loader: Loader, decision: Decision, site: Site) -> str:
    """The script that a machine's `loader` gets: always a valid one, whatever the decision.

    A loader that is asking is running already, so silence is no longer possible; GRUB would run
    the body of a 404 as a script.
    """
    if isinstance(decision, BootPlan):
        if loader.starts(decision.kernel.form):
            return loader.boot_script(decision.kernel, site)
        reason = f"{loader.name} cannot start {decision.kernel.form}"
        return loader.local_script(reason, Rung.SILENCE)
    rung = decision.rung if isinstance(decision, LocalBoot) else Rung.SILENCE
    return loader.local_script(decision.reason, rung)
