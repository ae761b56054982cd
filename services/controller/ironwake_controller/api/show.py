"""What is in the store, as the public API shows it."""

from __future__ import annotations

from dataclasses import asdict

from ironwake import wire
from ironwake_controller.api.deployment_shapes import (
    ClaimShape,
    DeploymentShape,
    EventShape,
    StuckShape,
)
from ironwake_controller.api.machine_shapes import LearnedShape, MachineShape
from ironwake_controller.store.deployments import Record
from ironwake_controller.store.events import Event
from ironwake_controller.store.machines import Enrolled

ENROLLED = "enrolled"  # a machine that never had a deployment


def machine(there: Enrolled, latest: Record | None, address: str) -> MachineShape:
    own = there.machine
    return MachineShape(
        name=str(own.name),
        macs=[str(mac) for mac in own.macs],
        uuid=str(own.uuid),
        serial=own.serial,
        architecture=str(own.architecture),
        labels=dict(own.labels),
        reservations=dict(own.reservations),
        locked=own.locked,
        state=state(latest),
        address=address,
        firmware=there.firmware,
        last_seen=there.last_seen or None,
        deployment=deployment(latest) if latest else None,
        facts=there.facts,
        loader=str(own.loader or ""),
        local_boot=str(own.local_boot or ""),
        personalities=[str(one) for one in own.personalities],
        learned=LearnedShape.model_validate(wire.dump(there.memory)),
    )


def state(latest: Record | None) -> str:
    """A machine's: that of its latest deployment."""
    return str(latest.state) if latest else ENROLLED


def deployment(record: Record) -> DeploymentShape:
    own, claimed = record.deployment, record.claimed
    return DeploymentShape(
        id=own.id,
        machine=own.machine,
        profile=own.profile_name,
        revision=own.revision,
        release=own.profile.system,
        state=str(own.state),
        over=record.ended_already,
        step=record.step,
        percent=record.percent,
        message=record.message,
        stuck=StuckShape(**record.stuck) if record.stuck else None,
        held=record.held,
        erase=list(own.erase),
        created=record.created,
        expires=record.expires,
        ended=record.ended or None,
        claim=(
            ClaimShape(client=claimed.claim.client, boot=claimed.claim.boot, at=claimed.at)
            if claimed
            else None
        ),
    )


def event(line: Event) -> EventShape:
    """The same names: what is there is what is shown."""
    return EventShape(**{**asdict(line), "detail": line.detail or {}})
