"""What all methods share that work from the deploy ramdisk: its kernel, and the agent's order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ironwake import routes
from ironwake.artifact import ramdisk_name
from ironwake.boot import KernelBoot
from ironwake.deployment import Deployment
from ironwake.layout.usual import usual
from ironwake.mac import Mac
from ironwake.machine import Machine
from ironwake.order import Archive, Capture, DiskImage, Order, Rescue, Wipe
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


def order(
    deployment: Deployment,
    machine: Machine,
    mac: Mac,
    policy: Policy,
    least_disk: int,
    keys: Mapping[str, str],
    *,
    archive: Archive | None = None,
    layout_packages: Archive | None = None,
    image: DiskImage | None = None,
    wipe: Wipe | None = None,
    rescue: Rescue | None = None,
    capture: Capture | None = None,
) -> Order:
    """What the agent is told: exactly one of archive, image, wipe, rescue, capture is given."""
    profile = deployment.profile
    return Order(
        deployment=deployment.id,
        machine=machine.name,
        domain=policy.site.domain,
        mac=mac,
        layout=profile.layout or usual(profile.disk.match),
        erase=deployment.erase,
        least_disk=least_disk,
        callbacks=routes.callbacks(policy.site.url, deployment.token),
        health=routes.health(policy.site.url, deployment.health_token),
        archive=archive,
        layout_packages=layout_packages,
        image=image,
        wipe=wipe,
        rescue=rescue,
        capture=capture,
        timezone=profile.parameters.timezone,
        locale=profile.parameters.locale,
        keyboard=profile.parameters.keyboard,
        user=profile.user,
        packages=profile.parameters.packages,
        kernel_arguments=profile.parameters.kernel_arguments,
        boot_order=profile.boot_order,
        keys=dict(keys),
        finish=profile.finish,
    )
