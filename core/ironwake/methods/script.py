"""Method `script`: the vendor's own installer, with answer files rendered for this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ironwake import families, routes, wire
from ironwake.boot import KernelBoot
from ironwake.deployment import Deployment
from ironwake.errors import BrokenError, InputError
from ironwake.families import start
from ironwake.families.base import Install, Urls
from ironwake.families.start import TREE
from ironwake.mac import Mac
from ironwake.machine import Machine
from ironwake.methods.base import NO_KEYS
from ironwake.parameters import Parameters
from ironwake.report import Grant
from ironwake.site import Policy, Site


def install(
    deployment: Deployment,
    machine: Machine,
    mac: Mac,
    policy: Policy,
    keys: Mapping[str, str] = NO_KEYS,
) -> Install:
    """What the family is told."""
    url, token = policy.site.url, deployment.token
    release = deployment.need_release()
    parameters = _near(deployment.parameters, policy.site, mac)
    parts = policy.shelf.roles(release.medium(machine.architecture))
    return Install(
        release=release,
        machine=machine,
        parameters=parameters,
        disk=deployment.profile.disk,
        layout=deployment.profile.layout,
        site=policy.site,
        mac=mac,
        urls=Urls(
            answers=routes.answers(url, token, ""),
            callbacks=routes.callbacks(url, token),
            reports=routes.reports(url, token),
            health=routes.health(url, deployment.health_token),
            tree=f"{url}/{routes.tree(parts[TREE])}/" if TREE in parts else "",
            packages=policy.site.packages_of(
                release.options.get("packages", ""),
                release.name,
                release.family,
                stated=parameters.mirror,
            ),
            parts={role: f"{url}/{routes.artifact(item)}" for role, item in parts.items()},
        ),
        erase=deployment.erase,
        keys=keys,
        template=deployment.answer,
    )


def _near(parameters: Parameters, site: Site, mac: Mac) -> Parameters:
    """With the mirrors that the package cache stands before by its URLs, and the network as it is
    on the machine that booted from `mac`.
    """
    repositories = tuple(replace(one, url=site.near(one.url)) for one in parameters.repositories)
    try:
        network = parameters.network.at(mac)
    except InputError as error:
        raise wire.inside("network", error) from None
    return replace(
        parameters,
        mirror=site.near(parameters.mirror),
        repositories=repositories,
        network=network,
    )


@dataclass(frozen=True)
class ScriptMethod:
    def check(self, deployment: Deployment, machine: Machine, mac: Mac, policy: Policy) -> None:
        asked = install(deployment, machine, mac, policy)
        families.check(families.of(asked.release), asked)

    def missing(self, deployment: Deployment, machine: Machine, policy: Policy) -> tuple[str, ...]:
        release = deployment.need_release()
        needed = start.of(families.of(release)).needs(release, machine.architecture)
        return policy.shelf.lacking(needed)

    def boot(
        self, deployment: Deployment, machine: Machine, mac: Mac, policy: Policy
    ) -> KernelBoot:
        asked = install(deployment, machine, mac, policy)
        return start.of(families.of(asked.release)).boot(asked, policy.shelf)

    def payload(
        self,
        deployment: Deployment,
        machine: Machine,
        mac: Mac,
        policy: Policy,
        keys: Mapping[str, str] = NO_KEYS,
    ) -> Grant:
        if deployment.template and not deployment.answer:
            raise BrokenError("the template of this deployment was not rendered", "ask again")
        asked = install(deployment, machine, mac, policy, keys)
        family = families.of(asked.release)
        answers = family.answers(asked)
        files = dict(answers.files)
        first = next(name for name in family.files if name in files)
        if asked.template:
            files[first] = asked.template
        binary = tuple(sorted(answers.binary - ({first} if asked.template else set())))
        return Grant("text/plain; charset=utf-8", files[first], files, binary)


METHOD = ScriptMethod()
