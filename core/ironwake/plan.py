"""The one decision, asked at every hop: what does this machine get now, and why?

`resolve` is pure and total. DHCP, TFTP, the boot script, the answer file and the dry run all call
it; they can't drift apart, because there is nothing else. The rules, in order:

1. An unknown machine, or a locked one: silence.
2. No deployment, or one that has ended or was claimed already: the local disk.
3. A deployment that is armed and not yet claimed: its loader chain, as often as it is asked for.

The claim itself is not decided here: it needs the store's compare-and-swap. This decides everything
before it, and everything after it is rule 2.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from ironwake import loaders, wire
from ironwake import release as releases
from ironwake.boot import KernelBoot
from ironwake.deployment import Deployment
from ironwake.firmware import Firmware
from ironwake.lifecycle import BOOTABLE, ENDS
from ironwake.loaders.base import Loader
from ironwake.mac import Mac
from ironwake.machine import Machine
from ironwake.methods import METHODS
from ironwake.site import Policy

LOADERS = "loaders"  # the manifest of what firmware itself loads


@dataclass(frozen=True)
class Silence:
    """Nothing leaves on the wire. Where an answer is unavoidable (a script), it says `reason`."""

    reason: str


@dataclass(frozen=True)
class LocalBoot:
    """The machine shall boot its disk. DHCP is silent: no loader is started for that."""

    reason: str


@dataclass(frozen=True)
class BootPlan:
    """What the machine gets.

    `loader` names the loader, `first_file` what DHCP names (a TFTP path, or a URL), `script` the
    loader's script in full, `kernel` what that script starts. `digest` identifies the whole.
    """

    reason: str
    loader: str
    first_file: str
    script_name: str
    script: str
    kernel: KernelBoot

    @property
    def digest(self) -> str:
        """SHA-256 of what is sent, hexadecimal: stands in the events.

        Not of the reason, which names the state: the same bytes are the same plan all along.
        """
        sent = (self.loader, self.first_file, self.script_name, self.script)
        return hashlib.sha256(wire.encode(sent)).hexdigest()


Decision = BootPlan | LocalBoot | Silence


@dataclass(frozen=True)
class BootRequest:
    """Who asks: the card, and the firmware where it can be told."""

    mac: Mac
    firmware: Firmware


def resolve(
    request: BootRequest, machine: Machine | None, deployment: Deployment | None, policy: Policy
) -> Decision:
    """What the machine gets now; every answer carries its reason, and none raises."""
    if machine is None:
        return Silence(f"no machine with {request.mac} is enrolled")
    if machine.locked:
        return Silence(f"{machine.name} is locked")
    if deployment is None:
        return LocalBoot(f"{machine.name} has no deployment")
    if deployment.state in ENDS:
        return LocalBoot(f"the last deployment of {machine.name} is over: {deployment.state}")
    if deployment.state not in BOOTABLE:
        return LocalBoot(f"{machine.name} took its answers already and is {deployment.state}")
    if deployment.held:
        # Without the words of it: a machine said some of them, and a reason stands in a script.
        return Silence(f"the deployment of {machine.name} is held back: see its alarm")
    release = releases.find(deployment.profile.release)
    if machine.architecture not in release.architectures:
        return Silence(f"{release.name} is not made for {machine.architecture}")
    loader = loaders.for_firmware(request.firmware)
    if loader is None:
        return Silence(f"there is no boot loader for {request.firmware.name}")
    method = METHODS[deployment.profile.method]
    missing = method.missing(deployment, policy)
    role = loader.role(request.firmware)
    if role and policy.shelf.find(LOADERS, role) is None:
        missing = (LOADERS, *missing)
    if missing:
        return Silence(f"media are missing; run: ironwake media add {' '.join(missing)}")
    kernel = method.boot(deployment, machine, request.mac, policy)
    return BootPlan(
        reason=f"{machine.name} is {deployment.state} for {deployment.profile_name}",
        loader=loader.name,
        first_file=loader.first_file(request.firmware, request.mac, policy.site),
        script_name=loader.script_name,
        script=loader.boot_script(kernel, policy.site),
        kernel=kernel,
    )


def script(
    loader: Loader,
    request: BootRequest,
    machine: Machine | None,
    deployment: Deployment | None,
    policy: Policy,
) -> str:
    """The script that this machine's `loader` gets: always a valid one, whatever the decision.

    A loader that is asking is running already, so silence is no longer possible; GRUB would run
    the body of a 404 as a script.
    """
    decision = resolve(request, machine, deployment, policy)
    if isinstance(decision, BootPlan):
        return loader.boot_script(decision.kernel, policy.site)
    return loader.local_script(decision.reason)
