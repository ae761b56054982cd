"""Method `script`: the vendor's own installer, with an answer file rendered for this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ironwake import release as releases
from ironwake import routes
from ironwake.boot import KernelBoot
from ironwake.deployment import Deployment
from ironwake.families import FAMILIES
from ironwake.families.base import Family, Install
from ironwake.mac import Mac
from ironwake.machine import Machine
from ironwake.methods.base import NO_KEYS
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
        answers=routes.answers(policy.site.url, deployment.token, family.answer_file),
        callbacks=routes.callbacks(policy.site.url, deployment.token),
        health=routes.health(policy.site.url, deployment.health_token),
        erase=deployment.erase,
    )


@dataclass(frozen=True)
class ScriptMethod:
    def missing(self, deployment: Deployment, machine: Machine, policy: Policy) -> tuple[str, ...]:
        media = releases.find(deployment.profile.release).medium(machine.architecture)
        roles = ("installer-kernel", "installer-initrd")
        return () if all(policy.shelf.find(media, role) for role in roles) else (media,)

    def boot(
        self, deployment: Deployment, machine: Machine, mac: Mac, policy: Policy
    ) -> KernelBoot:
        release = releases.find(deployment.profile.release)
        medium = release.medium(machine.architecture)
        install = _install(deployment, machine, policy)
        return KernelBoot(
            f"Ironwake: {machine.name} becomes {release.title}, by its own installer",
            policy.shelf.need(medium, "installer-kernel"),
            policy.shelf.need(medium, "installer-initrd"),
            _family(deployment).kernel_arguments(install, mac),
        )

    def payload(
        self,
        deployment: Deployment,
        machine: Machine,
        mac: Mac,  # noqa: ARG002 (an `InstallMethod`: the installer has it by the kernel's words)
        policy: Policy,
        keys: Mapping[str, str] = NO_KEYS,  # noqa: ARG002 (a layout is the agent's work)
    ) -> Grant:
        answers = _family(deployment).answers(_install(deployment, machine, policy))
        return Grant("text/plain; charset=utf-8", answers)


METHOD = ScriptMethod()
