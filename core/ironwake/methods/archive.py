"""Method `archive`: the agent, in the deploy ramdisk, unpacks a root file system onto the disk."""

from __future__ import annotations

from dataclasses import dataclass

from ironwake import release as releases
from ironwake import routes, wire
from ironwake.artifact import ramdisk_name
from ironwake.boot import KernelBoot
from ironwake.deployment import Deployment
from ironwake.mac import Mac
from ironwake.machine import Machine
from ironwake.order import Archive, Order
from ironwake.report import Grant
from ironwake.site import Policy


@dataclass(frozen=True)
class ArchiveMethod:
    def missing(self, deployment: Deployment, machine: Machine, policy: Policy) -> tuple[str, ...]:
        release = releases.find(deployment.profile.release)
        needed = {
            ramdisk_name(policy.site.ramdisk, machine.architecture): ("kernel", "initrd"),
            release.medium(machine.architecture): ("archive",),
        }
        return tuple(
            name
            for name, roles in needed.items()
            if not all(policy.shelf.find(name, role) for role in roles)
        )

    def boot(
        self, deployment: Deployment, machine: Machine, mac: Mac, policy: Policy
    ) -> KernelBoot:
        ramdisk = ramdisk_name(policy.site.ramdisk, machine.architecture)
        release = releases.find(deployment.profile.release)
        return KernelBoot(
            f"Ironwake: {machine.name} becomes {release.title}",
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

    def payload(self, deployment: Deployment, machine: Machine, mac: Mac, policy: Policy) -> Grant:
        release = releases.find(deployment.profile.release)
        medium = release.medium(machine.architecture)
        item = policy.shelf.need(medium, "archive")
        unpacked = int(policy.shelf.facts.get(medium, {}).get("unpacked_bytes", "0"))
        profile = deployment.profile
        order = Order(
            deployment=deployment.id,
            machine=machine.name,
            domain=policy.site.domain,
            mac=mac,
            archive=Archive(
                f"{policy.site.url}/{routes.artifact(item)}", item.sha256, item.size, unpacked
            ),
            disk=profile.disk.match,
            erase=deployment.erase,
            least_disk=release.least_disk,
            callbacks=routes.callbacks(policy.site.url, deployment.token),
            health=routes.health(policy.site.url, deployment.health_token),
            timezone=profile.parameters.timezone,
            locale=profile.parameters.locale,
            keyboard=profile.parameters.keyboard,
            user=profile.user,
            packages=profile.parameters.packages,
            kernel_arguments=profile.parameters.kernel_arguments,
            boot_order=profile.boot_order,
        )
        return Grant("application/json", wire.encode(order).decode())


METHOD = ArchiveMethod()
