"""Who gets which boot offer: a request and the view in, a reply or a reasoned silence out.

In proxy mode this is all there is. A foreign server gives the addresses; we add the loader for
machines that shall boot from the network, and are silent to everyone else. Firmware that hears
nothing boots its disk: silence is how a machine is told to do so.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address

from ironwake import firmware as firmwares
from ironwake.firmware import Firmware
from ironwake.machine import MachineUuid
from ironwake.personality import Personality, option_43
from ironwake.plan import BootPlan, Led, LocalBoot
from ironwake.view import Index
from ironwake_dhcp.packet import MessageType, Request
from ironwake_dhcp.reply import Content, Quiet, Reply


class Door(Enum):
    """Where a request came in: the server's port, or the PXE boot server's (PXE 2.1 2.2.1)."""

    SERVER = 67
    BOOT = 4011


@dataclass(frozen=True, slots=True)
class Boot:
    """A machine that a loader is offered to, and in which shape.

    `installs`: it is a deployment's, else one that leads to the local disk. `warning`: what may
    keep it from working on this network, in words.
    """

    firmware: Firmware
    led: Led
    reason: str
    personality: Personality
    installs: bool = True
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Chance:
    """A machine that a loader may be offered to, in whichever shape; the rest as in `Boot`."""

    firmware: Firmware
    led: Led
    reason: str
    installs: bool = True
    warning: str = ""

    def shaped(self, personality: Personality) -> Boot:
        return Boot(self.firmware, self.led, self.reason, personality, self.installs, self.warning)


def identify(request: Request) -> Firmware | None:
    """The firmware that sent `request`, or None for a client that is not booting from a network."""
    return firmwares.identify(
        request.arch, request.vendor_class or b"", request.user_class or b"", request.ipxe
    )


def uuid_of(request: Request) -> str:
    """The SMBIOS UUID of option 97, "" where there is none."""
    return MachineUuid.from_option_97(request.uuid or b"") or ""


def chance(request: Request, index: Index, uuid: str = "") -> Chance | Quiet:
    """Whether this client may be offered a loader; if not, why not.

    :param uuid: what it tells of itself, "" for nothing
    """
    firmware = identify(request)
    if firmware is None:
        if (request.vendor_class or b"").startswith((b"PXEClient", b"HTTPClient")):
            return Quiet(f"no boot loader for client architecture {request.arch}")
        return Quiet("not a network boot client")
    decision = index.resolve(request.mac, firmware, uuid)
    led = decision.led if isinstance(decision, BootPlan | LocalBoot) else None
    if led is None:
        return Quiet(decision.reason)
    if isinstance(decision, BootPlan):
        return Chance(firmware, led, decision.reason, warning="; ".join(decision.warnings))
    return Chance(firmware, led, decision.reason, installs=False)


def boot(request: Request, index: Index) -> Boot | Quiet:
    """What is offered first, when nothing was before."""
    found = chance(request, index, uuid_of(request))
    return found.shaped(found.led.personalities[0]) if isinstance(found, Chance) else found


def proxy(request: Request, door: Door, ours: IPv4Address, found: Boot | Quiet) -> Reply | Quiet:
    """The answer beside a foreign DHCP server: boot information only, never an address.

    :param ours: our own address
    """
    kind = answer_type(request, door, ours)
    if isinstance(kind, Quiet):
        return kind
    if isinstance(found, Quiet):
        return found
    return Reply(content(found, kind, ours), reason=found.reason)


def content(found: Boot, kind: MessageType, server: IPv4Address) -> Content:
    """What is said to a machine that boots, in the shape that its firmware takes."""
    offers = kind is MessageType.OFFER
    return Content(
        message_type=kind,
        server=server,
        vendor_class=found.firmware.vendor_class,
        boot_file=found.led.first_file if found.personality.names_file or not offers else "",
        discovery=option_43(found.personality, server.packed, offers),
        overrides=found.firmware.ipxe,
    )


def answer_type(request: Request, door: Door, ours: IPv4Address) -> MessageType | Quiet:
    """OFFER to a DISCOVER, ACK to what chose us; the door decides what counts as that."""
    match request.message_type:
        case MessageType.DISCOVER:
            return MessageType.OFFER
        # Some firmware asks port 4011 by INFORM; and there it was addressed to us alone, whatever
        # server it names: edk2 leaves option 54 out, others repeat the foreign server's.
        case MessageType.REQUEST | MessageType.INFORM if door is Door.BOOT:
            return MessageType.ACK
        case MessageType.REQUEST if request.server_id == ours:
            if request.requested_address is not None:
                return Quiet("asks us for an address, and a proxy has none")
            return MessageType.ACK
        case MessageType.REQUEST if request.server_id is not None:
            return Quiet("addressed to another server")
    return Quiet(f"{request.message_type.name} needs no answer from a proxy")
