"""What a machine is told: its parameters of all scopes, and its answer files.

Asked when it is armed, when it claims, and by a person who wants to see it before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace

from ironwake import template
from ironwake.deployment import Deployment
from ironwake.errors import InputError
from ironwake.lifecycle import State
from ironwake.mac import Mac
from ironwake.machine import Machine
from ironwake.methods import METHODS, script
from ironwake.methods.base import NO_KEYS
from ironwake.parameters import Parameters, scope
from ironwake.profile import Profile
from ironwake.release import Release
from ironwake.site import Policy
from ironwake_controller.scopes import Scopes
from ironwake_runtime import templates

_PARAMETERS = frozenset(one.name for one in fields(Parameters))


@dataclass(frozen=True)
class Meant:
    """A profile by its name, the release that it is made of, and the disks that may be erased."""

    name: str
    revision: str
    profile: Profile
    release: Release | None
    erase: tuple[str, ...] = ()


class Briefing:
    """`read` gives a template's text by its name; `plain_passwords`: whether the site takes any."""

    def __init__(
        self, scopes: Scopes, read: Callable[[str], str], plain_passwords: bool = False
    ) -> None:
        self._scopes = scopes
        self._read = read
        self._plain_passwords = plain_passwords

    def draft(self, machine: Machine, meant: Meant) -> Deployment:
        """A deployment without id and tokens, with all that the scopes say.

        :raises InputError: a file has a mistake, or what they say does not go together
        """
        scopes = self._scopes.of(machine, meant.name, meant.profile.parameters)
        try:
            settled = scope.settle(scopes)
            named = settled.parameters.template
            text = self._read(named) if named else ""
        except InputError as error:
            raise _in_parameters(error) from None
        if not self._plain_passwords:
            _check_plain(settled.parameters)
        return Deployment(
            id="",
            machine=machine.name,
            profile_name=meant.name,
            revision=meant.revision,
            profile=replace(meant.profile, parameters={}),
            state=State.REQUESTED,
            token="",
            health_token="",
            erase=meant.erase,
            release=meant.release,
            parameters=settled.parameters,
            origins=settled.origins,
            template=text,
        )


def _check_plain(parameters: Parameters) -> None:
    for number, user in enumerate(parameters.users):
        if user.password:
            raise InputError(
                f"{user.name} has a plain password",
                "give password_hash, or set IRONWAKE_PLAIN_PASSWORDS=true where the system takes no"
                " other",
                f"parameters.users[{number}].password",
            )


def check(deployment: Deployment, machine: Machine, policy: Policy) -> None:
    """InputError, naming the parameter and whose it is, where its installer cannot be told it."""
    method = METHODS[deployment.profile.method]
    try:
        method.check(deployment, machine, machine.macs[0], policy)
    except InputError as error:
        raise told(error, deployment) from None


def _in_parameters(error: InputError) -> InputError:
    return InputError(error.what, error.next_step, f"parameters.{error.where}")


def told(error: InputError, deployment: Deployment) -> InputError:
    """The same, with the parameter as a profile's field, and who states it."""
    name = error.where.partition("[")[0].partition(".")[0]
    if name not in _PARAMETERS:
        return error
    origin = deployment.origins.get(error.where, deployment.origins.get(name, ""))
    said = f" (stated by the {origin})" if origin else ""
    return InputError(f"{error.what}{said}", error.next_step, f"parameters.{error.where}")


def rendered(
    deployment: Deployment,
    machine: Machine,
    mac: Mac,
    policy: Policy,
    keys: Mapping[str, str] = NO_KEYS,
) -> Deployment:
    """With its own answer file, where it has a template; InputError where that is wrong."""
    if not deployment.template:
        return deployment
    install = script.install(deployment, machine, mac, policy, keys)
    try:
        answer = templates.render(deployment.template, template.data(install))
    except InputError as error:
        name = deployment.parameters.template
        raise InputError(f"{name}: {error.what}", error.next_step, "parameters.template") from None
    return replace(deployment, answer=answer)
