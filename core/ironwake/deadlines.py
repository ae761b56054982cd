"""How long each stage may take, and what to say when it takes longer.

Seconds are upper bounds seen on slow real hardware (a server's POST alone takes minutes), measured
by a monotonic clock from the moment the state was entered or from the last sign of life in it.
"""

from __future__ import annotations

from dataclasses import dataclass

from ironwake.lifecycle import State


@dataclass(frozen=True)
class Deadline:
    """`seconds` without news in a state, and what a person should read then."""

    seconds: float
    cause: str
    next_step: str


DEADLINES: dict[State, Deadline] = {
    State.ARMED: Deadline(
        600,
        "never woke: no DHCP request of this machine was seen since it was armed",
        "check the cable, that Wake-on-LAN and network boot are enabled in the firmware, and the "
        "MAC address; or press its power button",
    ),
    State.OFFERED: Deadline(
        180,
        "the firmware was offered a boot loader and did not ask for it",
        "look for a firewall on UDP port 69, a router that offers a boot file of its own, and "
        "whether IPv4 network boot is enabled",
    ),
    State.LOADER: Deadline(
        300,
        "the boot loader was asked for, but no kernel",
        "read the machine's screen: a Secure Boot refusal and a loader's prompt both show there; "
        "look for a firewall on the HTTP port",
    ),
    State.KERNEL: Deadline(
        420,
        "the kernel was fetched, but the ramdisk never asked for its order",
        "read the machine's console: too little memory, a network card without a driver, or no "
        "DHCP lease for the running system",
    ),
    State.ANSWERS: Deadline(
        300,
        "the answers were handed out, but the installer never reported",
        "read the machine's console; nothing may have been written yet",
    ),
    State.WORKING: Deadline(
        1200,
        "the machine has reported nothing for too long",
        "read the last events, and the machine's console",
    ),
    State.INSTALLING: Deadline(
        1200,
        "the installer has reported nothing for too long",
        "read the last lines of its log in the events, and the machine's console",
    ),
    State.INSTALLED: Deadline(
        900,
        "installed, but the machine was not seen after its reboot",
        "read the machine's screen: it may wait in its boot menu or for a key",
    ),
    State.FIRST_BOOT: Deadline(
        900,
        "it rebooted, but the installed system never reported its health",
        "read the machine's console; check that the installed system gets an address and reaches "
        "the appliance's HTTP port",
    ),
}
