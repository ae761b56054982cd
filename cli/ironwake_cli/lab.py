"""`ironwake lab …`: virtual racks on this host, to try everything without hardware."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from ironwake.errors import InputError
from ironwake_cli.output import JSON, as_json, say, table

if TYPE_CHECKING:
    from ironwake_lab import MachineSpec

RACK = typer.Argument(..., metavar="RACK", help="the rack's name", show_default=False)
MACHINE = typer.Argument(..., metavar="MACHINE", help="the machine's name", show_default=False)

_MAC = "52:54:00:77:00:{:02x}"  # QEMU's own prefix


def up(
    rack: str = typer.Argument("rack", metavar="RACK", help="its name"),
    machines: int = typer.Option(1, "--machines", min=0, max=200, help="how many machines"),
    firmware: str = typer.Option(
        "uefi",
        "--firmware",
        help="of all machines: uefi, uefi-secureboot, uefi-ipxe, bios, arm64 or arm64-secureboot",
    ),
    memory: int = typer.Option(1024, "--memory", help="memory of each machine, in MiB"),
    disk: int = typer.Option(4, "--disk", help="disk of each machine, in GiB"),
    json: bool = JSON,
) -> None:
    """Raise a rack: a network without uplink, a foreign DHCP server, machines that are off.

    Example:

        ironwake lab up demo --machines 2
    """
    from dataclasses import asdict

    from ironwake_lab import RackSpec, commands

    specs = tuple(_machine(number, firmware, memory, disk) for number in range(1, machines + 1))
    raised = commands.up(RackSpec(rack, specs))
    if json:
        as_json({**asdict(raised.spec), "namespace": raised.namespace})
        return
    say(f"rack {rack} is up in the network namespace {raised.namespace}")
    for machine in specs:
        say(f"{machine.name}  {machine.mac}  {machine.firmware}")
    say(f"run something beside its machines with: ironwake lab exec {rack} COMMAND")


def _machine(number: int, firmware: str, memory: int, disk: int) -> MachineSpec:
    from ironwake_lab import MachineSpec

    return MachineSpec(
        f"node{number}",
        _MAC.format(15 + number),
        firmware=firmware,
        memory_mb=memory,
        disk_bytes=disk << 30,
    )


def down(rack: str = typer.Argument("rack", metavar="RACK", help="its name")) -> None:
    """Take a rack down and remove all that belongs to it, its disks too.

    Example:

        ironwake lab down demo
    """
    from ironwake_lab import commands

    commands.down(rack)
    say(f"rack {rack} is down")


def listing(json: bool = JSON) -> None:
    """List all machines of all racks that are up.

    Example:

        ironwake lab list
    """
    from dataclasses import asdict

    from ironwake_lab import commands

    rows = commands.listing()
    if json:
        as_json([asdict(row) for row in rows])
        return
    heads = ("RACK", "MACHINE", "MAC", "FIRMWARE", "STATE")
    for line in table(heads, [(r.rack, r.machine, r.mac, r.firmware, r.state) for r in rows]):
        say(line)


def power(
    rack: str = RACK,
    machine: str = MACHINE,
    action: str = typer.Argument("status", help="on, off, reset, shutdown or status"),
    json: bool = JSON,
) -> None:
    """Use a machine's power panel.

    Example:

        ironwake lab power demo node1 on
    """
    from ironwake_lab import commands

    state = commands.power(rack, machine, action)
    if json:
        as_json({"rack": rack, "machine": machine, "state": state})
    else:
        say(f"{machine} is {state}")


def console(rack: str = RACK, machine: str = MACHINE) -> None:
    """Sit down at a machine's serial line; Ctrl-] leaves it.

    Example:

        ironwake lab console demo node1
    """
    from ironwake_lab import commands

    commands.console(rack, machine)


def execute(context: typer.Context, rack: str = RACK) -> None:
    """Run a command inside the rack's network; the exit code is the command's own.

    Example:

        ironwake lab exec demo ip address
    """
    from ironwake_lab import commands

    if not context.args:
        raise InputError("no command is given", f"as in: ironwake lab exec {rack} ip address")
    raise typer.Exit(commands.exec_in(rack, context.args))
