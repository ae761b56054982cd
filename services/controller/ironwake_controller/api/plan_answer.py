"""`/v1/plan/answer`: the dry run of what a machine is told, with whose each parameter is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Annotated, Any

from fastapi import APIRouter, Query

from ironwake import wire
from ironwake.deployment import Deployment
from ironwake.errors import InputError, RefusedError, UnknownError
from ironwake.mac import Mac
from ironwake.machine import Machine
from ironwake.methods import METHODS
from ironwake.parameters import Parameters
from ironwake.parameters.model import SECRET_WORD
from ironwake.parameters.scope import MAPS
from ironwake.report import Grant
from ironwake.site import Policy
from ironwake_controller import briefing
from ironwake_controller.api.plan_shapes import AnswerShape, ParameterShape
from ironwake_controller.briefing import Meant
from ironwake_controller.house import House
from ironwake_controller.store import deployments, machines

_ORDER = "order"  # what our own agent is told


def routes(house: House) -> APIRouter:
    """The route of this noun."""
    router = APIRouter(prefix="/v1/plan/answer", tags=["plan"])

    @router.get("")
    def show(
        mac: Annotated[str, Query(description="in any notation")],
        profile: Annotated[str, Query(description="default: that of its last deployment")] = "",
    ) -> AnswerShape:
        """The answer files that this machine would get, and the origin of each parameter.

        The word SECRET stands in the place of each secret, of scripts and of variables; fragments
        are left out.
        """
        with house.store.read() as connection:
            there = machines.by_mac(connection, Mac(mac))
            if there is None:
                raise UnknownError(f"no machine with {mac} is enrolled", "ironwake enroll", "mac")
            latest = deployments.latest(connection, there.id)
        if profile:
            chosen, revision = house.profiles.get(profile)
            meant = Meant(profile, revision, chosen, house.profiles.release(chosen))
            deployment = house.briefing.draft(there.machine, meant)
        elif latest is not None:
            deployment = latest.deployment
        else:
            raise RefusedError(
                f"{there.machine.name} was never deployed", "name a profile", "profile"
            )
        policy = house.policy()
        briefing.check(deployment, there.machine, policy)
        grant = _shown(deployment, there.machine, Mac(mac), policy)
        return AnswerShape(
            machine=str(there.machine.name),
            profile=deployment.profile_name,
            files=grant.files or {_ORDER: grant.text},
            binary=list(grant.binary),
            parameters=list(_parameters(deployment)),
        )

    return router


def _shown(deployment: Deployment, machine: Machine, mac: Mac, policy: Policy) -> Grant:
    """RefusedError where an answer file, which has been checked, is nothing without a fragment."""
    try:
        return masked(deployment, machine, mac, policy)
    except InputError as error:
        if not deployment.parameters.fragments:
            raise
        raise RefusedError(
            f"these answers are made of {error.where}, which may have secrets and is not shown",
            "look into the profile; it has been checked, and is right",
            error.where,
        ) from None


def masked(deployment: Deployment, machine: Machine, mac: Mac, policy: Policy) -> Grant:
    """What the claim would give, made from what may be shown: no secret is ever in it."""
    layout = deployment.profile.layout
    keys = dict.fromkeys(layout.sealed if layout else (), SECRET_WORD)
    made = briefing.rendered(deployment.masked, machine, mac, policy, keys)
    return METHODS[deployment.profile.method].payload(made, machine, mac, policy, keys)


def _parameters(deployment: Deployment) -> Iterator[ParameterShape]:
    shown = wire.dump(deployment.parameters.masked)
    for one in fields(Parameters):
        if one.name not in MAPS:
            origin = deployment.origins.get(one.name, "")
            yield ParameterShape(name=one.name, value=shown[one.name], origin=origin)
            continue
        own: dict[str, Any] = getattr(deployment.parameters, one.name)
        for key, text in own.items():
            name = f"{one.name}.{key}"
            value = f"{SECRET_WORD}, {len(text)} characters"
            yield ParameterShape(name=name, value=value, origin=deployment.origins.get(name, ""))
