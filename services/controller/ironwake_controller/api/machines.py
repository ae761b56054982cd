"""`/v1/machines`: enrol, look, change, lock, wake, deploy."""

from __future__ import annotations

import itertools
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from sqlalchemy import Connection

from ironwake import wire
from ironwake.disk import DiskMatch
from ironwake.errors import InputError
from ironwake.lifecycle import State
from ironwake.machine import Machine, labels_of
from ironwake.profile import Capture
from ironwake_controller import enrolment, wishes
from ironwake_controller.api import show
from ironwake_controller.api.deployment_shapes import CaptureWanted, DeploymentShape, Wanted
from ironwake_controller.api.machine_shapes import (
    Confirmed,
    MachineChange,
    MachinePage,
    MachineShape,
    NewMachine,
)
from ironwake_controller.house import House
from ironwake_controller.store import addresses, deployments, machines
from ironwake_controller.wishes import Asked

Limit = Annotated[int, Query(ge=1, le=1000, description="items on a page")]


def routes(house: House) -> APIRouter:
    """The routes of this noun."""
    router = APIRouter(prefix="/v1/machines", tags=["machines"])
    _collection(house, router)
    _item(house, router)
    _deeds(house, router)
    return router


def _collection(house: House, router: APIRouter) -> None:
    @router.post("", status_code=201, responses={200: {"description": "There already, the same"}})
    def enrol(body: NewMachine, response: Response) -> MachineShape:
        """Enrol a machine. The same again changes nothing; only the given fields are compared."""
        machine = wire.load(Machine, _plain(body.model_dump()))
        name, new = enrolment.enrol(
            house.store, machine, body.model_fields_set, house.policy().site
        )
        response.status_code = 201 if new else 200
        response.headers["location"] = f"/v1/machines/{name}"
        return _show(house, name)

    @router.get("", response_model=MachinePage)
    def listing(
        label: Annotated[list[str], Query(description="key=value; all must fit")] = [],  # noqa: B006 (FastAPI copies it)
        state: Annotated[str, Query(description="of its latest deployment, or enrolled")] = "",
        name: Annotated[str, Query(description="part of the name")] = "",
        after: Annotated[str, Query(description="the `next` of the page before")] = "",
        limit: Limit = 200,
    ) -> Response:
        """Machines by name."""
        wanted = labels_of(label)
        _check_state(state)
        with house.store.read() as connection:
            states = deployments.states(connection) if state else {}
            fitting = (
                row.id
                for row in machines.listed(connection, after, labels=bool(wanted))
                if name in row.name
                and wanted.items() <= machines.labels_in(row.labels).items()
                and state in ("", states.get(row.id, show.ENROLLED))
            )
            # One more than is shown tells whether there is a next page.
            page = list(itertools.islice(fitting, limit + 1))
            shown = page[:limit]
            newest = deployments.latest_of(connection, shown)
            known = addresses.by_machine(connection, shown)
            items = [
                show.machine(there, newest.get(there.id), known.get(there.id, ""))
                for there in machines.some(connection, shown)
            ]
        found = MachinePage(items=items, next=items[-1].name if len(page) > limit else None)
        # Written here: FastAPI would check every one of a thousand machines again before.
        return Response(found.model_dump_json(), media_type="application/json")


def _item(house: House, router: APIRouter) -> None:
    @router.get("/{name}")
    def get(name: str) -> MachineShape:
        """One machine, by its name or by any of its MAC addresses."""
        return _show(house, name)

    @router.patch("/{name}")
    def change(name: str, body: MachineChange) -> MachineShape:
        """Change what is given."""
        values = body.model_dump(exclude_unset=True)
        for field, value in values.items():
            if value is None:
                raise InputError(f"{field} can't be null", "leave it out, or give a value", field)
        site = house.policy().site
        return _show(house, enrolment.change(house.store, name, _plain(values), site))

    @router.delete("/{name}", status_code=204)
    def remove(name: str) -> None:
        """Forget a machine; its history stays."""
        enrolment.remove(house.store, name)


def _deeds(house: House, router: APIRouter) -> None:
    @router.post(
        "/{name}/deploy", status_code=201, responses={200: {"description": "Lives already"}}
    )
    def deploy(name: str, body: Wanted, response: Response) -> DeploymentShape:
        """Arm the machine for a profile, once, and switch it on."""
        if body.cycle and not body.wake:
            raise InputError("cycle without wake restarts nothing", "leave one out", "cycle")
        if body.cycle:
            house.switchboard.check_cycle(name)
        minutes = house.settings.arm_minutes if body.minutes is None else body.minutes
        erase = tuple(body.erase)
        asked = Asked(
            body.profile,
            body.method,
            body.finish,
            erase,
            body.wake,
            minutes,
            body.keys,
            _capture(body.capture),
        )
        record, new = house.arming.arm(name, wishes.wish(asked, house.profiles))
        response.status_code = 201 if new else 200
        response.headers["location"] = f"/v1/deployments/{record.id}"
        if new and record.wake:
            house.switchboard.start(record, body.cycle)
        return show.deployment(record)

    @router.post("/{name}/wake", status_code=202)
    def wake(name: str) -> MachineShape:
        """Send Wake-on-LAN packets until the machine is seen, or for some minutes."""
        house.switchboard.wake(name)
        return _show(house, name)

    @router.post("/{name}/lock")
    def lock(name: str) -> MachineShape:
        """It is offered nothing from now on, and can't be deployed."""
        return _show(house, enrolment.lock(house.store, name, True))

    @router.post("/{name}/confirm")
    def confirm(name: str, body: Confirmed | None = None) -> MachineShape:
        """The UUID that was seen last is this machine's: its board was changed."""
        uuid = body.uuid if body else ""
        return _show(house, enrolment.confirm(house.store, name, uuid))

    @router.post("/{name}/unlock")
    def unlock(name: str) -> MachineShape:
        """It may be deployed again."""
        return _show(house, enrolment.lock(house.store, name, False))


def _show(house: House, name: str) -> MachineShape:
    with house.store.read() as connection:
        return of(connection, name)


def of(connection: Connection, name: str) -> MachineShape:
    """The machine of this name or card."""
    there = enrolment.find(connection, name)
    known = addresses.by_machine(connection, [there.id])
    return show.machine(there, deployments.latest(connection, there.id), known.get(there.id, ""))


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Fields as the core names them: what is not pinned is none."""
    pins = {field: values[field] or None for field in ("loader", "local_boot") if field in values}
    return values | pins


def _capture(wanted: CaptureWanted | None) -> Capture | None:
    return Capture(wanted.name, DiskMatch(wanted.disk), wanted.root) if wanted else None


def _check_state(state: str) -> None:
    known = ["enrolled", *State]
    if state and state not in known:
        raise InputError(
            f"there is no state {state!r:.40}", f"known are: {', '.join(known)}", "state"
        )
