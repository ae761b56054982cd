"""`ipmi`: a BMC that speaks IPMI 2.0 over LAN, by way of `pyghmi`.

Its password check (RAKP) hands a digest of the password to whoever asks (CVE-2013-4786), and there
is no TLS: for a network of its own, where nobody else is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ironwake.errors import BrokenError, InputError, IronwakeError, RefusedError
from ironwake_controller.power.driver import Operation, Outcome, PowerState, Target, check_can
from ironwake_controller.wake.packets import check_target

_PORT = 623
_LONGEST_PASSWORD = 20  # bytes, IPMI 2.0 §22.30
# Chassis Control (IPMI 2.0 §28.3): power cycle is optional, hard reset is not.
_CHASSIS, _CONTROL, _POWER_CYCLE, _HARD_RESET = 0, 2, 2, 3


@dataclass(frozen=True)
class Settings:
    """`address` is a host or host:port; `uefi` asks for UEFI's network boot, not the BIOS's."""

    address: str
    user: str = ""
    password: str = ""
    uefi: bool = True

    def __post_init__(self) -> None:
        host, port = self.endpoint
        check_target(host, "address")
        if not 0 < port < 65536:
            raise InputError(f"{port} is no UDP port", "leave it out for 623", "address")
        if len(self.password.encode()) > _LONGEST_PASSWORD:
            raise InputError(
                f"IPMI has no password longer than {_LONGEST_PASSWORD} bytes", where="password"
            )

    @property
    def endpoint(self) -> tuple[str, int]:
        """Host and port."""
        host, colon, port = self.address.partition(":")
        return host, int(port) if colon and port.isdecimal() else (-1 if colon else _PORT)


class Ipmi:
    """Knows all operations."""

    name = "ipmi"
    settings = Settings
    secrets = frozenset({"password"})
    remote = True

    def can(self, settings: Settings) -> frozenset[Operation]:  # noqa: ARG002 (a `Driver`)
        return frozenset(Operation)

    def carry_out(self, operation: Operation, settings: Settings, target: Target) -> Outcome:
        check_can(self, settings, operation, target.name)
        with _session(settings) as bmc:
            state = PowerState(bmc.get_power()["powerstate"])
            match operation:
                case Operation.STATUS:
                    return Outcome(f"its BMC says that it is {state}", state)
                case Operation.ON | Operation.OFF:
                    return _switch(bmc, state, operation)
                case Operation.CYCLE:
                    return _cycle(bmc, state)
                case Operation.BOOT_NETWORK:
                    bmc.set_bootdev("network", persist=False, uefiboot=settings.uefi)
                    return Outcome("its next boot is from the network", state)


def _switch(bmc: Any, state: PowerState, operation: Operation) -> Outcome:
    if state == operation.value:
        return Outcome(f"it is {state} already", state)
    bmc.set_power(operation.value)
    return Outcome(f"its BMC was told to switch it {operation}", state)


def _cycle(bmc: Any, state: PowerState) -> Outcome:
    if state is PowerState.OFF:
        return _switch(bmc, state, Operation.ON)
    if "error" in bmc.raw_command(netfn=_CHASSIS, command=_CONTROL, data=[_POWER_CYCLE]):
        bmc.xraw_command(netfn=_CHASSIS, command=_CONTROL, data=[_HARD_RESET])
    return Outcome("its BMC was told to restart it", state)


@contextlib.contextmanager
def _session(settings: Settings) -> Iterator[Any]:
    from pyghmi.exceptions import IpmiException, PyghmiException
    from pyghmi.ipmi.command import Command

    host, port = settings.endpoint
    place = f"the BMC at {settings.address}"
    try:
        bmc = Command(host, settings.user, settings.password, port)
        try:
            yield bmc
        finally:
            bmc.ipmi_session.logout()
            # Else whoever asks next is given this session, which has ended (pyghmi 1.6).
            type(bmc.ipmi_session).initting_sessions.clear()
    except IpmiException as error:
        raise _told(place, str(error)) from None
    except PyghmiException as error:
        raise BrokenError(f"{place}: {str(error)[:300]}", "see the BMC's own log") from None
    except OSError as error:
        raise BrokenError(
            f"{place} can't be reached: {error.strerror or error}", "see its address"
        ) from None


def _told(place: str, words: str) -> IronwakeError:
    """An error by pyghmi's own words, for it has no other way to tell."""
    small = words.lower()
    if any(word in small for word in ("password", "unauthorized", "privilege", "invalid role")):
        return RefusedError(
            f"{place} refuses this user and password: {words[:200]}",
            "see that the account may use IPMI over LAN as administrator, and set it again",
            "password",
        )
    if "timeout" in small or "failed to initialize" in small or "no answer" in small:
        return BrokenError(
            f"{place} does not answer",
            "see that it has power and a cable, its address, and that IPMI over LAN is enabled",
        )
    return BrokenError(f"{place}: {words[:300] or 'no reason told'}", "see the BMC's own log")
