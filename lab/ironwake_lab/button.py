"""The power button: a process that starts a machine when its magic packet passes on the bridge.

`python -m ironwake_lab.button RACK_DIRECTORY PID_FILE`, inside the rack's namespace. It goes to the
background once it listens: when the command returns, no magic packet is missed.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TextIO

from ironwake.errors import IronwakeError
from ironwake.mac import Mac
from ironwake_lab.machine import Machine
from ironwake_lab.wire import open_tap

_SYNC = b"\xff" * 6
_FRAME_BYTES = 65536


def woken(frame: bytes, macs: Iterable[str]) -> list[str]:
    """Those MACs whose magic packet (six times ff, sixteen times the MAC) is in the frame.

    Anywhere in it, as network cards look for it (AMD, Magic Packet Technology, 1995): in a UDP
    datagram to any port, under ethertype 0x0842, behind a VLAN tag.
    """
    if _SYNC not in frame:
        return []
    return [mac for mac in macs if _SYNC + Mac(mac).packed * 16 in frame]


def listen(tap: socket.socket, machines: Sequence[Machine], log: TextIO) -> None:
    """Serve for ever: nothing on the wire ends it, nor a machine that fails.

    Machines that share a MAC wake together.
    """
    while True:
        select.select([tap], [], [])
        try:
            frame = tap.recv(_FRAME_BYTES)
        except BlockingIOError:
            continue
        except OSError as error:
            print(f"{_now()} the bridge: {error}", file=log, flush=True)
            time.sleep(1)  # whatever it is, it may last: do not spin
            continue
        for machine in machines:
            if woken(frame, machine.awake_macs):
                press(machine, log)


def press(machine: Machine, log: TextIO) -> None:
    """Switch one machine on, unless it is; tell the log either way."""
    try:
        outcome = "switched on" if machine.power_on() else "is on already"
    except (IronwakeError, OSError) as error:
        outcome = f"could not be switched on: {error}"
    print(f"{_now()} magic packet: {machine.name} {outcome}", file=log, flush=True)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _to_background(pid_file: Path, log: Path) -> TextIO:
    if pid := os.fork():
        pid_file.write_text(f"{pid}\n", encoding="ascii")
        os._exit(0)
    os.setsid()
    stream = log.open("a", encoding="utf-8")
    with Path(os.devnull).open("r+b") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(stream.fileno(), 1)
    os.dup2(stream.fileno(), 2)
    # The terminal's Ctrl-C is for whoever holds the rack; the rack ends its button itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return stream


def main(directory: str, pid_file: str) -> None:
    """Listen for the rack in this directory. To be run in its namespace."""
    from ironwake_lab.rack import Rack  # the rack starts this module: not at import

    rack = Rack.attach(Path(directory))
    tap = open_tap(rack.namespace, tcp_bytes=0)
    log = _to_background(Path(pid_file), rack.directory / "button.log")
    listen(tap, rack.machines, log)


if __name__ == "__main__":
    main(*sys.argv[1:])
