"""What all methods share that work from the deploy ramdisk: its kernel, and the agent's order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from ironwake import routes, wire
from ironwake.artifact import ramdisk_name
from ironwake.boot import KernelBoot, initial
from ironwake.deployment import Deployment
from ironwake.layout.usual import usual
from ironwake.mac import Mac
from ironwake.machine import Machine
from ironwake.methods.base import NO_KEYS
from ironwake.order import Archive, Capture, DiskImage, Order, Rescue, Wipe
from ironwake.parameters.refusal import check_plain, check_refused
from ironwake.report import Grant
from ironwake.site import Policy

TOOLS: Final = "tools"
ROLES: Final = ("kernel", "initrd", TOOLS)

_NOT_YET = "our agent does not set it"
# What the agent has no hand for: refused where it is stated, never silently left out.
REFUSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ntp": _NOT_YET,
        "root": "root is locked, and the users have sudo",
        "network": "the card that booted asks DHCP",
        "package_groups": "name the packages",
        "repositories": "the system has its own",
        "proxy": _NOT_YET,
        "mirror": "the system has its own package sources",
        "scripts": _NOT_YET,
        "firmware": "name the packages",
        "security": _NOT_YET,
        "fragments": "there is no answer file",
        "template": "there is no answer file",
    }
)


def name(machine: Machine, policy: Policy) -> str:
    """The manifest of the ramdisk for this machine."""
    return ramdisk_name(policy.site.ramdisk, machine.architecture)


def check(deployment: Deployment) -> None:
    """InputError for the first parameter that the agent cannot give to what it installs."""
    parameters = deployment.parameters
    check_refused(f"method {deployment.profile.method}", REFUSES, parameters)
    check_plain(f"method {deployment.profile.method}", parameters)


def boot(
    title: str, deployment: Deployment, machine: Machine, mac: Mac, policy: Policy
) -> KernelBoot:
    """The kernel that starts the agent; `title` says for what."""
    ramdisk = name(machine, policy)
    tools = policy.shelf.need(ramdisk, TOOLS)
    return KernelBoot(
        f"Ironwake: {title}",
        policy.shelf.need(ramdisk, "kernel"),
        initial(policy.shelf.need(ramdisk, "initrd")),
        (
            f"ironwake.url={policy.site.url}",
            f"ironwake.token={deployment.token}",
            # named where the ramdisk is, for it is the same kernel's, and as well to be trusted
            f"{routes.TOOLS_WORD}={routes.artifact(tools)},{tools.size}",
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
    profile, parameters = deployment.profile, deployment.parameters
    order = Order(
        deployment=deployment.id,
        machine=parameters.hostname or machine.name,
        domain=parameters.domain or policy.site.domain,
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
        timezone=parameters.timezone,
        locale=parameters.locale,
        keyboard=parameters.keyboard,
        users=parameters.users,
        packages=parameters.packages,
        kernel_arguments=parameters.kernel_arguments,
        boot_order=profile.boot_order,
        keys=dict(keys),
        finish=profile.finish,
        layout_packages=layout_packages,
        mirrors=policy.site.packages if policy.site.cache else (),
        cache=policy.site.cache,
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

    def check(self, deployment: Deployment, machine: Machine, mac: Mac, policy: Policy) -> None:
        """It installs nothing, so there is nothing to tell."""

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
