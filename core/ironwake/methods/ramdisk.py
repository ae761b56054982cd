"""What all methods share that work from the deploy ramdisk: its kernel, and the agent's order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from ironwake import routes, wire
from ironwake.artifact import ramdisk_name
from ironwake.boot import KernelBoot
from ironwake.deployment import Deployment
from ironwake.layout.usual import usual
from ironwake.mac import Mac
from ironwake.machine import Machine
from ironwake.methods.base import NO_KEYS
from ironwake.order import Archive, Capture, DiskImage, Order, Rescue, Wipe
from ironwake.report import Grant
from ironwake.site import Policy

ROLES: Final = ("kernel", "initrd")


def name(machine: Machine, policy: Policy) -> str:
    """The manifest of the ramdisk for this machine."""
    return ramdisk_name(policy.site.ramdisk, machine.architecture)


def boot(
    title: str, deployment: Deployment, machine: Machine, mac: Mac, policy: Policy
) -> KernelBoot:
    """The kernel that starts the agent; `title` says for what."""
    ramdisk = name(machine, policy)
    return KernelBoot(
        f"Ironwake: {title}",
        policy.shelf.need(ramdisk, "kernel"),
        policy.shelf.need(ramdisk, "initrd"),
        (
            f"ironwake.url={policy.site.url}",
            f"ironwake.token={deployment.token}",
            f"BOOTIF={mac.bootif}",
            *machine.architecture.consoles,
            "quiet",
        ),
    )


def grant(
    way: Archive | DiskImage | Wipe | Rescue | Capture,
    deployment: Deployment,
    machine: Machine,
    mac: Mac,
    policy: Policy,
    keys: Mapping[str, str],
    *,
    least_disk: int = 0,
    layout_packages: Archive | None = None,
) -> Grant:
    """The agent's order: the one thing that it is for, and what holds for all of them."""
    profile = deployment.profile
    order = Order(
        deployment=deployment.id,
        machine=machine.name,
        domain=policy.site.domain,
        mac=mac,
        layout=profile.layout or usual(profile.disk.match),
        erase=deployment.erase,
        least_disk=least_disk,
        callbacks=routes.callbacks(policy.site.url, deployment.token),
        health=routes.health(policy.site.url, deployment.health_token),
        archive=way if isinstance(way, Archive) else None,
        image=way if isinstance(way, DiskImage) else None,
        wipe=way if isinstance(way, Wipe) else None,
        rescue=way if isinstance(way, Rescue) else None,
        capture=way if isinstance(way, Capture) else None,
        timezone=profile.parameters.timezone,
        locale=profile.parameters.locale,
        keyboard=profile.parameters.keyboard,
        user=profile.user,
        packages=profile.parameters.packages,
        kernel_arguments=profile.parameters.kernel_arguments,
        boot_order=profile.boot_order,
        keys=dict(keys),
        finish=profile.finish,
        layout_packages=layout_packages,
    )
    return Grant("application/json", wire.encode(order).decode())


@dataclass(frozen=True)
class TaskMethod:
    """A method that needs the ramdisk and nothing else, and installs nothing.

    :ivar title: what the machine's screen says, with `{}` for its name
    :ivar task: what the agent has to do
    """

    title: str
    task: Callable[[Deployment, Policy], Wipe | Rescue | Capture]

    def missing(
        self,
        deployment: Deployment,  # noqa: ARG002 (an `InstallMethod`)
        machine: Machine,
        policy: Policy,
    ) -> tuple[str, ...]:
        return policy.shelf.lacking({name(machine, policy): ROLES})

    def boot(
        self, deployment: Deployment, machine: Machine, mac: Mac, policy: Policy
    ) -> KernelBoot:
        return boot(self.title.format(machine.name), deployment, machine, mac, policy)

    def payload(
        self,
        deployment: Deployment,
        machine: Machine,
        mac: Mac,
        policy: Policy,
        keys: Mapping[str, str] = NO_KEYS,
    ) -> Grant:
        return grant(self.task(deployment, policy), deployment, machine, mac, policy, keys)
