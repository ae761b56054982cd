"""Method `archive`: the agent, in the deploy ramdisk, unpacks a root file system onto the disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ironwake import routes
from ironwake.boot import KernelBoot
from ironwake.deployment import Deployment
from ironwake.layout.packages import needed as needed_packages
from ironwake.mac import Mac
from ironwake.machine import Machine
from ironwake.methods import ramdisk
from ironwake.methods.base import NO_KEYS
from ironwake.methods.origin import origin
from ironwake.order import Archive
from ironwake.report import Grant
from ironwake.site import Policy

ARCHIVE, LAYOUT_PACKAGES = "archive", "layout-packages"


@dataclass(frozen=True)
class ArchiveMethod:
    def check(
        self,
        deployment: Deployment,
        machine: Machine,  # noqa: ARG002 (an `InstallMethod`)
        mac: Mac,
        policy: Policy,  # noqa: ARG002 (an `InstallMethod`)
    ) -> None:
        ramdisk.check(deployment, mac)

    def missing(self, deployment: Deployment, machine: Machine, policy: Policy) -> tuple[str, ...]:
        source = origin(deployment.release, deployment.profile.image, policy).manifest(
            machine.architecture
        )
        roles = (ARCHIVE, *_layout_roles(deployment))
        needed = {ramdisk.name(machine, policy): ramdisk.ROLES, source: roles}
        return policy.shelf.lacking(needed)

    def boot(
        self, deployment: Deployment, machine: Machine, mac: Mac, policy: Policy
    ) -> KernelBoot:
        source = origin(deployment.release, deployment.profile.image, policy)
        title = f"{machine.name} becomes {source.title}"
        return ramdisk.boot(title, deployment, machine, mac, policy)

    def payload(
        self,
        deployment: Deployment,
        machine: Machine,
        mac: Mac,
        policy: Policy,
        keys: Mapping[str, str] = NO_KEYS,
    ) -> Grant:
        source = origin(deployment.release, deployment.profile.image, policy)
        manifest = source.manifest(machine.architecture)
        unpacked = int(policy.shelf.facts.get(manifest, {}).get("unpacked_bytes", "0"))
        packages = [_fetched(policy, manifest, role) for role in _layout_roles(deployment)]
        return ramdisk.grant(
            _fetched(policy, manifest, ARCHIVE, unpacked),
            deployment,
            machine,
            mac,
            policy,
            keys,
            least_disk=source.least_disk,
            layout_packages=packages[0] if packages else None,
        )


def _layout_roles(deployment: Deployment) -> tuple[str, ...]:
    """Our own media have a repository for layouts; an image has in it what it needs."""
    profile = deployment.profile
    if profile.release and profile.layout and needed_packages(profile.layout):
        return (LAYOUT_PACKAGES,)
    return ()


def _fetched(policy: Policy, manifest: str, role: str, unpacked: int = 0) -> Archive:
    item = policy.shelf.need(manifest, role)
    url = f"{policy.site.url}/{routes.artifact(item)}"
    return Archive(url, item.sha256, item.size, unpacked)


METHOD = ArchiveMethod()
