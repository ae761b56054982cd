"""Method `rescue`: the deploy ramdisk, with SSH and a shell; nothing is written."""

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
from ironwake.order import Rescue
from ironwake.report import Grant
from ironwake.site import Policy


@dataclass(frozen=True)
class RescueMethod:
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
        return ramdisk.boot(f"{machine.name} is to be rescued", deployment, machine, mac, policy)

    def payload(
        self,
        deployment: Deployment,
        machine: Machine,
        mac: Mac,
        policy: Policy,
        keys: Mapping[str, str] = NO_KEYS,
    ) -> Grant:
        user = deployment.profile.user
        own = user.ssh_keys if user else ()
        rescue = Rescue(tuple(dict.fromkeys((*own, *policy.site.ssh_keys))))
        order = ramdisk.order(deployment, machine, mac, policy, 0, keys, rescue=rescue)
        return Grant("application/json", wire.encode(order).decode())


METHOD = RescueMethod()
