"""`/v1/machines/{name}/power`: what switches a machine, and switching it."""

from __future__ import annotations

from enum import StrEnum

from fastapi import APIRouter

from ironwake_controller.api.power_shapes import NewPower, PowerShape, SwitchedShape
from ironwake_controller.house import House
from ironwake_controller.power import drivers
from ironwake_controller.power.driver import Operation
from ironwake_controller.power.switchboard import Switched


class Deed(StrEnum):
    """The operations that change something: those are no GET."""

    ON = Operation.ON.value
    OFF = Operation.OFF.value
    CYCLE = Operation.CYCLE.value
    BOOT_NETWORK = Operation.BOOT_NETWORK.value


def routes(house: House) -> APIRouter:
    """The routes of this noun."""
    router = APIRouter(prefix="/v1/machines/{name}/power", tags=["power"])
    board = house.switchboard

    @router.get("")
    def show(name: str) -> PowerShape:
        """Its power driver and settings; of secrets only that they are set."""
        return _show(board.find(name))

    @router.put("")
    def equip(name: str, body: NewPower) -> PowerShape:
        """Give it this driver and these settings, in place of all that it had, secrets too."""
        return _show(board.equip(name, body.driver, body.settings))

    @router.delete("", status_code=204)
    def strip(name: str) -> None:
        """Forget its driver and its secrets: it is woken by Wake-on-LAN again."""
        board.strip(name)

    @router.get("/status")
    async def status(name: str) -> SwitchedShape:
        """Ask its driver whether it is on."""
        return await _carry_out(house, name, Operation.STATUS)

    @router.post("/{operation}")
    async def switch(name: str, operation: Deed) -> SwitchedShape:
        """Switch it on or off, restart it, or let its next boot be from the network."""
        return await _carry_out(house, name, Operation(operation.value))

    return router


async def _carry_out(house: House, name: str, operation: Operation) -> SwitchedShape:
    machine, outcome = await house.switchboard.carry_out(name, operation)
    return SwitchedShape(
        machine=machine.name,
        driver=machine.equipped.driver.name,
        operation=str(operation),
        message=outcome.message,
        state=str(outcome.state),
    )


def _show(machine: Switched) -> PowerShape:
    driver, settings = machine.equipped.driver, machine.equipped.settings
    able = driver.can(settings)
    return PowerShape(
        machine=machine.name,
        driver=driver.name,
        settings=drivers.shown(driver, settings),
        can=[str(operation) for operation in Operation if operation in able],
    )
