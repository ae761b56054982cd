"""Method `script`: the vendor's own installer, with an answer file rendered for this machine."""

from __future__ import annotations

from dataclasses import dataclass

from ironwake import release as releases
from ironwake import routes
from ironwake.boot import KernelBoot
from ironwake.deployment import Deployment
from ironwake.errors import RefusedError
from ironwake.families import FAMILIES
from ironwake.families.base import Family, Install
from ironwake.mac import Mac
from ironwake.machine import Machine
from ironwake.report import Grant
from ironwake.site import Policy


def _family(deployment: Deployment) -> Family:
    return FAMILIES[releases.find(deployment.profile.release).family]


def _install(deployment: Deployment, machine: Machine, policy: Policy) -> Install:
    family = _family(deployment)
    return Install(
        release=releases.find(deployment.profile.release),
        machine=machine,
        profile=deployment.profile,
        site=policy.site,
        answers=routes.answers(policy.site, deployment.token, family.answer_file),
        callbacks=routes.callbacks(policy.site, deployment.token),
        health=routes.health(policy.site, deployment.health_token),
        erase=deployment.erase,
    )


@dataclass(frozen=True)
class ScriptMethod:
    def missing(self, deployment: Deployment, policy: Policy) -> tuple[str, ...]:
        media = releases.find(deployment.profile.release).media
        roles = ("installer-kernel", "installer-initrd")
        return () if all(policy.shelf.find(media, role) for role in roles) else (media,)

    def boot(
        self, deployment: Deployment, machine: Machine, mac: Mac, policy: Policy
    ) -> KernelBoot:
        release = releases.find(deployment.profile.release)
        kernel = policy.shelf.find(release.media, "installer-kernel")
        initrd = policy.shelf.find(release.media, "installer-initrd")
        if kernel is None or initrd is None:
            raise RefusedError(
                f"the installer of {release.title} is not there",
                f"run: ironwake media add {release.media}",
            )
        install = _install(deployment, machine, policy)
        return KernelBoot(
            f"Ironwake: {machine.name} becomes {release.title}, by its own installer",
            kernel,
            initrd,
            _family(deployment).kernel_arguments(install, mac),
        )

    def payload(self, deployment: Deployment, machine: Machine, policy: Policy) -> Grant:
        answers = _family(deployment).answers(_install(deployment, machine, policy))
        return Grant("text/plain; charset=utf-8", answers)


METHOD = ScriptMethod()
