"""`/v1/plan`: the dry run. What a card gets now and why, from the view that the services have."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from ironwake import loaders, plan
from ironwake.boot import KernelBoot
from ironwake.errors import IronwakeError
from ironwake.firmware import BY_NAME, Firmware, find
from ironwake.lifecycle import BOOTABLE
from ironwake.mac import Mac
from ironwake.report import Grant
from ironwake.site import Stored
from ironwake.view import usual_firmware
from ironwake_controller.api.plan_answer import masked
from ironwake_controller.api.plan_shapes import PlanShape
from ironwake_controller.house import House
from ironwake_controller.store import deployments, leases, machines
from ironwake_runtime import clock


def routes(house: House) -> APIRouter:
    """The route of this noun."""
    router = APIRouter(prefix="/v1/plan", tags=["plan"])

    @router.get("")
    def show(
        mac: Annotated[str, Query(description="in any notation")],
        firmware: Annotated[
            str, Query(description=f"as it was last seen, or one of: {', '.join(BY_NAME)}")
        ] = "",
    ) -> PlanShape:
        """What would be sent to this card, byte for byte, and why."""
        card = Mac(mac)
        shown = _shape(card, _firmware(house, card, firmware), house)
        return shown if house.policy().site.proxy else _with_addresses(shown, house, card)

    return router


def _with_addresses(shown: PlanShape, house: House, card: Mac) -> PlanShape:
    with house.store.read() as connection:
        there = machines.by_mac(connection, card)
        last = leases.newest(connection, card, clock.now(house.store.clock))
    return shown.model_copy(
        update={
            "reserved": there.machine.reservations.get(str(card)) if there else None,
            "last_address": str(last.address) if last else None,
        }
    )


def _firmware(house: House, card: Mac, asked: str) -> Firmware:
    if asked:
        return find(asked)
    with house.store.read() as connection:
        there = machines.by_mac(connection, card)
    usual = usual_firmware(there.machine if there else None)
    return BY_NAME.get(there.firmware, usual) if there else usual


def _shape(card: Mac, firmware: Firmware, house: House) -> PlanShape:
    index = house.views.index()
    decision = index.resolve(card, firmware)
    boot = decision if isinstance(decision, plan.BootPlan) else None
    led = None if isinstance(decision, plan.Silence) else decision.led
    loader = loaders.BY_NAME[led.loader] if led else loaders.for_firmware(firmware)
    entry = index.by_mac(card)
    payload = _payload(house, card) if boot else None
    return PlanShape(
        mac=str(card),
        machine=str(entry.machine.name) if entry else None,
        firmware=firmware.name,
        kind=_kind(decision),
        reason=decision.reason,
        loader=loader.name if loader else None,
        first_file=led.first_file if led else None,
        script_name=loader.script_name if loader else None,
        script=led.script if led else index.script(card, loader) if loader else None,
        kernel=boot.kernel.kernel.sha256 if boot else None,
        initrd=_initrd(boot.kernel) if boot else None,
        arguments=list(boot.kernel.arguments) if boot else [],
        payload_type=payload.media_type if payload else None,
        payload=payload.text if payload else None,
        digest=led.digest if led else None,
        personalities=[str(one) for one in led.personalities] if led else [],
        rung=str(decision.rung) if isinstance(decision, plan.LocalBoot) else None,
        warnings=list(boot.warnings) if boot else [],
    )


def _initrd(boot: KernelBoot) -> str | None:
    """The first that is an artifact: of others, the script tells."""
    items = (one.file for one in boot.initrds)
    return next((item.sha256 for item in items if isinstance(item, Stored)), None)


def _kind(decision: plan.Decision) -> str:
    match decision:
        case plan.BootPlan():
            return "boot"
        case plan.LocalBoot():
            return "local"
    return "silence"


def _payload(house: House, card: Mac) -> Grant | None:
    """What the claim would give, without its secrets; from the store, for the view has less."""
    with house.store.read() as connection:
        there = machines.by_mac(connection, card)
        record = deployments.live_of(connection, there.id) if there else None
    if there is None or record is None or record.state not in BOOTABLE:
        return None
    try:
        return masked(record.deployment, there.machine, card, house.policy())
    except IronwakeError:
        return None
