"""`wol`: Wake-on-LAN, which every machine has that was given no other driver.

It can only wake, and nobody answers a magic packet: whether it worked is seen in the machine's
first DHCP packet. The sending itself, again and again, is `ironwake_controller.wake`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ironwake.errors import InputError
from ironwake_controller.power.driver import Operation, Outcome, Target, check_can
from ironwake_controller.wake.packets import check_target

# Six bytes in hexadecimal, as ethtool(8) takes them for `sopass`.
_SECUREON = re.compile(r"[0-9A-Fa-f]{2}([:-]?)[0-9A-Fa-f]{2}(?:\1[0-9A-Fa-f]{2}){4}")
_INTERFACE = re.compile(r"[A-Za-z0-9_.:@-]{0,15}")  # IFNAMSIZ is 16, with its zero
_MOST = 16  # targets


@dataclass(frozen=True)
class Settings:
    """`targets` are addresses or names that the packets go to besides its own network's broadcast.

    `interface` is the one that they leave by, where that is not the one of all machines; `secureon`
    the password that the network card wants behind the packet, six bytes.
    """

    targets: tuple[str, ...] = ()
    interface: str = ""
    secureon: str = ""

    def __post_init__(self) -> None:
        if len(self.targets) > _MOST:
            raise InputError(
                f"{len(self.targets)} targets are too many", f"give at most {_MOST}", "targets"
            )
        for target in self.targets:
            check_target(target, "targets")
        if not _INTERFACE.fullmatch(self.interface):
            raise InputError(
                f"{self.interface!r:.40} is no network interface", "see: ip address", "interface"
            )
        if self.secureon and not _SECUREON.fullmatch(self.secureon):
            raise InputError(  # without the value: it is a secret
                "this is no SecureOn password",
                "write six bytes in hexadecimal, such as 01:23:45:67:89:ab",
                "secureon",
            )
        plain = re.sub("[:-]", "", self.secureon).lower()
        object.__setattr__(self, "secureon", plain)


class WakeOnLan:
    """Wakes, and can do nothing else."""

    name = "wol"
    settings = Settings
    secrets = frozenset({"secureon"})
    remote = False

    def can(self, settings: Settings) -> frozenset[Operation]:  # noqa: ARG002 (a `Driver`)
        return frozenset({Operation.ON})

    def carry_out(self, operation: Operation, settings: Settings, target: Target) -> Outcome:
        check_can(self, settings, operation, target.name)
        target.wake()
        return Outcome(f"{target.name} is being woken: a magic packet is answered by nobody")
