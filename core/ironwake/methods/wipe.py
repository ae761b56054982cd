"""Method `wipe`: the agent empties the disks that are named, and nothing is installed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ironwake import wire
from ironwake.boot import KernelBoot
from ironwake.deployment import Deployment
from ironwake.mac import Mac
from ironwake.machine import Machine
from ironwake.methods import ramdisk
from ironwake.methods.base import NO_KEYS
from ironwake.order import Wipe
from ironwake.report import Grant
from ironwake.site import Policy


@dataclass(frozen=True)
class WipeMethod:
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
        return ramdisk.boot(f"disks of {machine.name} are wiped", deployment, machine, mac, policy)

    def payload(
        self,
        deployment: Deployment,
        machine: Machine,
        mac: Mac,
        policy: Policy,
        keys: Mapping[str, str] = NO_KEYS,
    ) -> Grant:
        wipe = Wipe(deployment.erase)
        order = ramdisk.order(deployment, machine, mac, policy, 0, keys, wipe=wipe)
        return Grant("application/json", wire.encode(order).decode())


METHOD = WipeMethod()
