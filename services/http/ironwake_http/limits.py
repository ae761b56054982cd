"""What one client, and all of them together, may use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Sizes in bytes, times in seconds.

    `idle`: until a request's headers are complete, from the connection or the last reply on; GRUB
    counts its source ports from the same number at every boot, so it must be short. `stall`: for
    each stretch of a transfer, see `stretch`.
    """

    connections: int = 2048
    per_address: int = 64
    idle: float = 5.0
    body: float = 20.0
    stall: float = 90.0
    # GRUB opens the ramdisk, then lets the kernel be checked and started, and only then reads: with
    # not a byte acknowledged for 5 s on a busy emulated machine, and for longer on a busier one.
    grub_stall: float = 30.0
    # A script may start the disk while GRUB still holds its connection: the machine is then gone
    # without a word, and its next boot, within seconds, comes from the same port.
    grub_script_stall: int = 4
    line: int = 4096
    headers: int = 64
    callback: int = 64 << 10
    log: int = 1 << 20
    piece: int = 32 << 20  # of what a machine sends of itself, in one request
    linger: float = 2.0  # reading what is left of a body that was refused
    # Bytes that a client takes within a stall, or it stands still. They say how slow one may be:
    # these, some 12 KB/s.
    stretch: int = 1 << 20
    grub_stretch: int = 256 << 10
