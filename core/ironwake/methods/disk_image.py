"""Method `disk-image`: the agent writes the image of a whole disk, and makes it this machine's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from ironwake import nocloud, routes
from ironwake.boot import KernelBoot
from ironwake.deployment import Deployment
from ironwake.errors import RefusedError
from ironwake.mac import Mac
from ironwake.machine import Machine
from ironwake.methods import ramdisk
from ironwake.methods.base import NO_KEYS
from ironwake.methods.origin import origin
from ironwake.order import DiskImage
from ironwake.parameters.refusal import check_refused
from ironwake.profile import Profile, Seed
from ironwake.report import Grant
from ironwake.site import Policy

_AS_IT_IS: Final[Mapping[str, str]] = MappingProxyType(
    dict.fromkeys(("ntp", "root", "network", "security"), "the system stays as the image has it")
)
PACK, INDEX = "pack", "index"  # the roles of such an image


@dataclass(frozen=True)
class DiskImageMethod:
    def check(
        self,
        deployment: Deployment,
        machine: Machine,  # noqa: ARG002 (an `InstallMethod`)
        mac: Mac,
        policy: Policy,  # noqa: ARG002 (an `InstallMethod`)
    ) -> None:
        ramdisk.check(deployment, mac)
        seed, parameters = deployment.profile.seed, deployment.parameters
        if seed is Seed.NONE:
            check_refused("seed: none", _AS_IT_IS, parameters)
        if seed is Seed.NOCLOUD:
            nocloud.network_config(parameters.network, mac)

    def missing(self, deployment: Deployment, machine: Machine, policy: Policy) -> tuple[str, ...]:
        needed = {
            ramdisk.name(machine, policy): ramdisk.ROLES,
            deployment.profile.image: (PACK, INDEX),
        }
        return policy.shelf.lacking(needed)

    def boot(
        self, deployment: Deployment, machine: Machine, mac: Mac, policy: Policy
    ) -> KernelBoot:
        title = f"{machine.name} becomes {deployment.profile.image}"
        return ramdisk.boot(title, deployment, machine, mac, policy)

    def payload(
        self,
        deployment: Deployment,
        machine: Machine,
        mac: Mac,
        policy: Policy,
        keys: Mapping[str, str] = NO_KEYS,
    ) -> Grant:
        image = _image(deployment.profile, policy)
        least = max(
            origin(deployment.release, deployment.profile.image, policy).least_disk, image.size
        )
        return ramdisk.grant(image, deployment, machine, mac, policy, keys, least_disk=least)


def _image(profile: Profile, policy: Policy) -> DiskImage:
    shelf, url = policy.shelf, policy.site.url
    pack, index = shelf.need(profile.image, PACK), shelf.need(profile.image, INDEX)
    facts = shelf.facts.get(profile.image, {})
    size = facts.get("logical_bytes", "")
    if not size.isdigit():
        raise RefusedError(f"{profile.image} does not say how large its disk is", "import it again")
    return DiskImage(
        name=profile.image,
        url=f"{url}/{routes.artifact(pack)}",
        packed=pack.size,
        index=f"{url}/{routes.artifact(index)}",
        index_sha256=index.sha256,
        index_size=index.size,
        size=int(size),
        match=profile.disk.match,
        ids=profile.identity,
        seed=profile.seed,
        verify=profile.verify,
        boot_modes=tuple(filter(None, facts.get("boot_modes", "").split(","))),
    )


METHOD = DiskImageMethod()
