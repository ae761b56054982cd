"""What all methods share that work from the deploy ramdisk: its kernel, and the agent's order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from ironwake import routes, wire
from ironwake.artifact import ramdisk_name
from ironwake.boot import KernelBoot, initial
from ironwake.deployment import Deployment
from ironwake.errors import InputError
from ironwake.layout.usual import usual
from ironwake.mac import Mac
from ironwake.machine import Machine
from ironwake.methods.base import NO_KEYS
from ironwake.order import Archive, Capture, DiskImage, Order, Rescue, Wipe
from ironwake.parameters import Parameters
from ironwake.parameters.model import RootPolicy
from ironwake.parameters.network import Network
from ironwake.parameters.refusal import check_debians, check_plain, check_refused
from ironwake.release import Release
from ironwake.report import Grant
from ironwake.site import Policy

TOOLS: Final = "tools"
ROLES: Final = ("kernel", "initrd", TOOLS)

# What the agent has no hand for: refused where it is stated, never silently left out.
REFUSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "template": "there is no answer file",
    }
)


def name(machine: Machine, policy: Policy) -> str:
    """The manifest of the ramdisk for this machine."""
    return ramdisk_name(policy.site.ramdisk, machine.architecture)


def check(deployment: Deployment, mac: Mac) -> None:
    """InputError for the first parameter that the agent cannot give to what it installs."""
    parameters = deployment.parameters
    who = f"method {deployment.profile.method}"
    check_refused(who, REFUSES, parameters)
    check_plain(who, parameters)
    _network(parameters, mac)
    if deployment.release:  # of an image nobody knows it out here: the agent looks
        _check_debian(who, deployment.release, parameters)


def _network(parameters: Parameters, mac: Mac) -> Network:
    """As it is on the machine that booted from `mac`."""
    try:
        return parameters.network.at(mac)
    except InputError as error:
        raise wire.inside("network", error) from None


def _check_debian(who: str, release: Release, parameters: Parameters) -> None:
    """What our own media are."""
    if release.family in parameters.fragments:
        raise InputError(
            f"{who} takes no fragments: there is no answer file",
            "leave it out, or use method script",
            f"fragments.{release.family}",
        )
    check_debians(parameters)


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
            # Named by the script that names the ramdisk: of the same build, and trusted no more.
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
    if isinstance(way, Archive | DiskImage):
        order = _stated(order, deployment)
    return Grant("application/json", wire.encode(order).decode())


def _stated(order: Order, deployment: Deployment) -> Order:
    """With what only a system that is installed is told."""
    parameters = deployment.parameters
    is_stated = "root" in deployment.origins or parameters.root is not RootPolicy.LOCKED
    return replace(
        order,
        ntp=parameters.ntp,
        root=parameters.root if is_stated else None,
        root_keys=parameters.root_keys,
        root_password_hash=parameters.root_password_hash,
        network=_network(parameters, order.mac),
        repositories=parameters.repositories,
        proxy=parameters.proxy,
        mirror=parameters.mirror,
        scripts=parameters.scripts,
        security=parameters.security,
        package_groups=parameters.package_groups,
        firmware=parameters.firmware,
    )


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
