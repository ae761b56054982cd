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
from ironwake.plan import BootPlan
from ironwake.view import Index
from ironwake_dhcp.packet import MessageType, Request
from ironwake_dhcp.reply import Content, Quiet, Reply


class Door(Enum):
    """Where a request came in: the server's port, or the PXE boot server's (PXE 2.1 2.2.1)."""

    SERVER = 67
    BOOT = 4011


@dataclass(frozen=True, slots=True)
class Boot:
    """A machine that boots from the network now, and how."""

    firmware: Firmware
    plan: BootPlan


def identify(request: Request) -> Firmware | None:
    """The firmware that sent `request`, or None for a client that is not booting from a network."""
    return firmwares.identify(
        request.arch, request.vendor_class or b"", request.user_class or b"", request.ipxe
    )


def boot(request: Request, index: Index) -> Boot | Quiet:
    """Whether this client boots from the network now; if not, why not."""
    firmware = identify(request)
    if firmware is None:
        if (request.vendor_class or b"").startswith((b"PXEClient", b"HTTPClient")):
            return Quiet(f"no boot loader for client architecture {request.arch}")
        return Quiet("not a network boot client")
    if _is_another(request, index):
        return Quiet("this is not the machine that was enrolled: it has another UUID")
    decision = index.resolve(request.mac, firmware)
    if isinstance(decision, BootPlan):
        return Boot(firmware, decision)
    return Quiet(decision.reason)


def _is_another(request: Request, index: Index) -> bool:
    """Whether a wrong machine has this card, or its address: it must not be installed instead."""
    entry = index.by_mac(request.mac)
    seen = MachineUuid.from_option_97(request.uuid or b"")
    return bool(entry and entry.machine.uuid and seen and not seen.is_same(entry.machine.uuid))


def proxy(request: Request, door: Door, index: Index) -> Reply | Quiet:
    """The answer beside a foreign DHCP server: boot information only, never an address."""
    kind = _answer_type(request, door, IPv4Address(index.view.site.address))
    if isinstance(kind, Quiet):
        return kind
    found = boot(request, index)
    if isinstance(found, Quiet):
        return found
    return Reply(content(found, kind, index), reason=found.plan.reason)


def content(found: Boot, kind: MessageType, index: Index) -> Content:
    """What a proxy says to a machine that boots."""
    return Content(
        message_type=kind,
        server=IPv4Address(index.view.site.address),
        vendor_class=found.firmware.vendor_class,
        boot_file=found.plan.first_file,
        # Means nothing to HTTP Boot, and a reply on port 4011 *is* the discovery.
        skip_discovery=(kind is MessageType.OFFER and found.firmware.vendor_class == "PXEClient"),
    )


def _answer_type(request: Request, door: Door, ours: IPv4Address) -> MessageType | Quiet:
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
