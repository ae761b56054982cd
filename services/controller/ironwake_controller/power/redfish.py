"""`redfish`: a BMC that speaks Redfish (DMTF DSP0266), by way of `sushy`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ironwake.errors import BrokenError, InputError, IronwakeError, RefusedError
from ironwake_controller.power import tls
from ironwake_controller.power.driver import Operation, Outcome, PowerState, Target, check_can

if TYPE_CHECKING:  # half a second of import, and only the child process needs it
    from sushy.resources.system.system import System

_CONNECT, _READ = 5.0, 15.0  # seconds; a BMC's web server is a slow computer
_SYSTEMS = "/redfish/v1/Systems/"


class NetworkBoot(StrEnum):
    """What `boot-network` asks the firmware for."""

    PXE = "pxe"
    HTTP = "http"


@dataclass(frozen=True)
class Settings:
    """`address` is a host, host:port or https://…; `system` one of several behind it (its Id).

    `ca` is PEM text: the authority that signed the BMC's certificate, if not one that this host
    believes. `verify` false believes every certificate.
    """

    address: str
    user: str = ""
    password: str = ""
    system: str = ""
    boot: NetworkBoot = NetworkBoot.PXE
    ca: str = ""
    verify: bool = True

    def __post_init__(self) -> None:
        url = self.address if "://" in self.address else f"https://{self.address}"
        object.__setattr__(self, "address", check_url(url).rstrip("/"))
        tls.check_ca(self.ca)

    @property
    def path(self) -> str | None:
        """Where the system is; None for the only one."""
        if not self.system or self.system.startswith("/"):
            return self.system or None
        return f"{_SYSTEMS}{self.system}"


def check_url(url: str, where: str = "address") -> str:
    """An http or https URL without a name and password in it, for those are secrets."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or not url.isprintable() or " " in url:
        raise InputError(
            "this is no address of a web server", "write a host, or https://host:port", where
        )
    if parts.username is not None or parts.password is not None:
        raise InputError(
            "an address with a user or password in it is shown to everybody",
            "give them as user and password",
            where,
        )
    return url


class Redfish:
    """Knows all operations."""

    name = "redfish"
    settings = Settings
    secrets = frozenset({"password"})
    remote = True

    def can(self, settings: Settings) -> frozenset[Operation]:  # noqa: ARG002 (a `Driver`)
        return frozenset(Operation)

    def carry_out(self, operation: Operation, settings: Settings, target: Target) -> Outcome:
        check_can(self, settings, operation, target.name)
        with _errors(settings), _system(settings) as system:
            match operation:
                case Operation.STATUS:
                    state = _state(system)
                    return Outcome(f"its BMC says that it is {state}", state)
                case Operation.ON:
                    return _switch(system, "On")
                case Operation.OFF:
                    return _switch(system, "ForceOff")
                case Operation.CYCLE:
                    return _cycle(system)
                case Operation.BOOT_NETWORK:
                    return _boot_once(system, settings.boot)


@contextlib.contextmanager
def _system(settings: Settings) -> Iterator[System]:
    import sushy
    from sushy import auth
    from sushy.connector import Connector

    from ironwake_controller.power import origin

    with tls.for_requests(settings.verify, settings.ca) as verify:
        connector = Connector(
            settings.address,
            verify=verify,
            # One repetition: sushy takes 0 for its default, three calls with two seconds between.
            server_side_retries=1,
            server_side_retries_delay=1,
            default_request_timeout=_READ,
            connect_timeout=_CONNECT,
        )
        # No proxy from the environment, no ~/.netrc: the password goes to the BMC alone.
        connector._session.trust_env = False
        origin.keep_to(connector._session, settings.address)
        # Each call by itself (DSP0266 §13.3.2): sessions are few on a BMC, and stay when we die.
        basic = auth.BasicAuth(settings.user, settings.password)
        try:
            # Registries of messages may be anywhere on the Internet: not for us.
            root = sushy.Sushy(
                settings.address, auth=basic, connector=connector, public_connector=connector
            )
            yield root.get_system(settings.path)
        finally:
            connector.close()


@contextlib.contextmanager
def _errors(settings: Settings) -> Iterator[None]:
    from sushy import exceptions as wrong

    place = f"the BMC at {settings.address}"
    try:
        yield
    except wrong.AccessError:
        raise RefusedError(
            f"{place} refuses this user and password",
            "see that the account is enabled and may use Redfish, and set the password again",
            "password",
        ) from None
    except wrong.ConnectionError as error:
        raise _unreachable(place, str(error)) from None
    except wrong.ResourceNotFoundError:
        raise RefusedError(
            f"{place} does not have the system {settings.system or 'that was asked for'}",
            "name one of those below /redfish/v1/Systems with --system",
            "system",
        ) from None
    except wrong.UnknownDefaultError:
        raise RefusedError(
            f"there is not exactly one system behind {place}",
            "name the one that is meant with --system",
            "system",
        ) from None
    except wrong.HTTPError as error:
        said = str(error.detail or error.code)[:300]
        raise BrokenError(
            f"{place} answered {error.status_code}: {said}", "see the BMC's own log"
        ) from None
    except wrong.SushyError as error:
        raise BrokenError(
            f"{place} answers what Redfish does not say: {str(error)[:300]}",
            "see whether its firmware has an update",
        ) from None


def _unreachable(place: str, words: str) -> IronwakeError:
    if "CERTIFICATE_VERIFY_FAILED" in words:
        reason = words.partition("certificate verify failed: ")[2].partition(" (")[0]
        return RefusedError(
            f"{place} shows a certificate that is not believed: {reason or 'no reason told'}",
            "name its authority's file with --ca, or believe any with --insecure",
            "ca",
        )
    return BrokenError(
        f"{place} does not answer", "see that it has power and a cable, and its address"
    )


def _state(system: System) -> PowerState:
    told = system.power_state.value if system.power_state else ""
    # On the way to a state is not yet there (ComputerSystem, PoweringOn and PoweringOff).
    return {"On": PowerState.ON, "Off": PowerState.OFF}.get(told, PowerState.UNKNOWN)


def _switch(system: System, reset: str) -> Outcome:
    state = _state(system)
    wanted = PowerState.ON if reset == "On" else PowerState.OFF
    if state is wanted:
        return Outcome(f"it is {state} already", state)
    _reset(system, reset)
    return Outcome(f"its BMC was told to switch it {wanted}", state)


def _cycle(system: System) -> Outcome:
    state = _state(system)
    if state is PowerState.OFF:
        return _switch(system, "On")
    able = {value.value for value in system.get_allowed_reset_system_values()}
    _reset(system, "PowerCycle" if "PowerCycle" in able else "ForceRestart")
    return Outcome("its BMC was told to restart it", state)


def _reset(system: System, word: str) -> None:
    from sushy.resources.constants import ResetType

    able = system.get_allowed_reset_system_values()
    value = ResetType(word)
    if value not in able:
        known = ", ".join(sorted(one.value for one in able))
        raise RefusedError(f"its BMC does not know the reset {word}", f"it knows: {known}")
    system.reset_system(value)


def _boot_once(system: System, boot: NetworkBoot) -> Outcome:
    from sushy.resources.system.constants import BootSource, BootSourceOverrideEnabled

    source = BootSource.PXE if boot is NetworkBoot.PXE else BootSource.UEFI_HTTP
    able = system.get_allowed_system_boot_source_values()
    if source not in able:
        known = ", ".join(sorted(one.value for one in able))
        raise RefusedError(
            f"its BMC can't make it boot once from {source.value}, only from: {known}",
            "choose with --boot pxe or --boot http, or put the network first in its firmware",
            "boot",
        )
    system.set_system_boot_options(target=source, enabled=BootSourceOverrideEnabled.ONCE)
    return Outcome(f"its next boot is from the network ({source.value})", _state(system))
