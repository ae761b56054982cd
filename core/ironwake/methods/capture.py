"""Method `capture`: the agent reads a disk, or a root, for a new image; nothing is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ironwake import routes, wire
from ironwake.boot import KernelBoot
from ironwake.deployment import Deployment
from ironwake.mac import Mac
from ironwake.machine import Machine
from ironwake.methods import ramdisk
from ironwake.methods.base import NO_KEYS
from ironwake.order import Capture
from ironwake.report import Grant
from ironwake.site import Policy


@dataclass(frozen=True)
class CaptureMethod:
    def missing(
        self,
        deployment: Deployment,  # noqa: ARG002 (an `InstallMethod`)
        machine: Machine,
        policy: Policy,
    ) -> tuple[str, ...]:
        return policy.shelf.lacking({ramdisk.name(machine, policy): ramdisk.ROLES})

    def boot(
        self, deployment: Deployment, machine: Machine, mac: Mac, policy: Policy
    ) -> KernelBoot:
        title = f"an image is made of {machine.name}"
        return ramdisk.boot(title, deployment, machine, mac, policy)

    def payload(
        self,
        deployment: Deployment,
        machine: Machine,
        mac: Mac,
        policy: Policy,
        keys: Mapping[str, str] = NO_KEYS,
    ) -> Grant:
        asked = deployment.profile.capture
        assert asked is not None  # noqa: S101 - a profile of this method has it
        url = routes.capture(policy.site.url, deployment.token)
        capture = Capture(url, asked.disk, asked.root)
        order = ramdisk.order(deployment, machine, mac, policy, 0, keys, capture=capture)
        return Grant("application/json", wire.encode(order).decode())


METHOD = CaptureMethod()
