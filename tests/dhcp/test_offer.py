"""Who is offered what, in proxy mode: the recorded firmware's requests against readable goldens."""

from __future__ import annotations

import dataclasses
import os
import uuid
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from ironwake.firmware import BY_NAME
from ironwake.lifecycle import BOOTABLE, State
from ironwake.mac import Mac
from ironwake.machine import MachineUuid
from ironwake.site import Shelf
from ironwake.view import Index
from ironwake_dhcp.delivery import Source, deliver
from ironwake_dhcp.offer import Door
from ironwake_dhcp.packet import MessageType, Request, parse
from ironwake_dhcp.rehearse import discover
from ironwake_dhcp.reply import Quiet, Reply
from ironwake_testing.captures import CAPTURES, Datagram, datagrams
from tests.dhcp import rack

GOLDEN = Path(__file__).parent / "golden"
FILES = sorted(path.stem for path in CAPTURES.glob("*.pcap"))


def source_of(item: Datagram) -> Source:
    door = Door.BOOT if item.target_port == 4011 else Door.SERVER
    return Source(IPv4Address(item.source), item.source_port, door)


def told(item: Datagram, index: Index) -> str:
    """One line: what came, and what goes where."""
    request, source = parse(item.payload), source_of(item)
    asked = f"{item.frame:3} {request.mac} {request.message_type.name} to {item.target_port}"
    answer = rack.proxied(request, source.door, index)
    if isinstance(answer, Quiet):
        return f"{asked}: silence, {answer.reason}"
    content, way = answer.content, deliver(request, answer, source)
    where = f"{way.address}:{way.port}"
    mac = getattr(way, "mac", None)
    return (
        f"{asked}: {content.message_type.name} to {where}"
        f"{f' in a frame to {mac.hex(chr(58))}' if mac else ''}"
        f" as {content.vendor_class}{', skipping discovery' if content.discovery else ''}:"
        f" {content.boot_file}"
    )


@pytest.mark.parametrize("name", FILES)
def test_recorded_firmware_gets_what_the_golden_says(name: str) -> None:
    """Each recorded request is answered as written down, armed and unarmed alike.

    `UPDATE_GOLDENS=1 pytest tests/dhcp/test_offer.py` writes them anew.
    """
    items = [item for item in datagrams(CAPTURES / f"{name}.pcap") if item.is_request]
    macs = sorted({parse(item.payload).mac for item in items})
    armed = rack.armed(*macs)
    unarmed = rack.index(*(rack.entry(mac, None) for mac in macs))
    text = "\n".join(
        [
            "armed",
            *(told(item, armed) for item in items),
            "",
            "enrolled, not armed",
            *(told(item, unarmed) for item in items),
            "",
        ]
    )
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDENS"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)
    assert text == golden.read_text()


def test_an_ipxe_client_is_never_given_a_loader() -> None:
    """ROM and undionly.kpxe send the same options: both get the script, so neither loops."""
    seen = []
    for item in datagrams(CAPTURES / "bios-undionly-loop.pcap"):
        if not item.is_request:
            continue
        answer = rack.proxied(parse(item.payload), Door.SERVER, rack.armed("52:54:00:77:02:10"))
        if isinstance(answer, Reply):
            seen.append(answer.content.boot_file)
    assert set(seen) == {"http://10.77.0.1/boot/52:54:00:77:02:10/boot.ipxe"}


def request(firmware: object = rack.EDK2, **changes: object) -> Request:
    """A DISCOVER of our node, changed."""
    asked = parse(discover(rack.NODE, firmware))  # type: ignore[arg-type]
    return dataclasses.replace(asked, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("index", "reason"),
    [
        (rack.index(), "no machine with 52:54:00:77:00:10 is enrolled"),
        (rack.index(rack.entry(locked=True)), "node-0010 is locked"),
        (rack.index(rack.entry(state=None)), "node-0010 has no deployment"),
        (rack.index(rack.entry(state=State.FAILED)), "over: failed"),
        (rack.index(rack.entry(), shelf=Shelf()), "media are missing"),
    ],
)
def test_silence_has_a_reason(index: Index, reason: str) -> None:
    """Unknown, locked, unarmed, ended, nothing built: no answer, and it is known why."""
    answer = rack.proxied(request(), Door.SERVER, index)
    assert isinstance(answer, Quiet)
    assert reason in answer.reason


@pytest.mark.parametrize("state", list(State))
def test_only_bootable_deployments_are_offered(state: State) -> None:
    """Through both doors, a machine is booted in exactly the states before the claim."""
    index = rack.index(rack.entry(state=state))
    for door, kind in ((Door.SERVER, MessageType.DISCOVER), (Door.BOOT, MessageType.REQUEST)):
        answer = rack.proxied(request(message_type=kind), door, index)
        assert isinstance(answer, Reply) == (state in BOOTABLE)


@pytest.mark.parametrize("vendor_class", [None, b"", b"d-i", b"MSFT 5.0", b"xPXEClient", b"PXE"])
def test_other_clients_of_an_armed_machine_hear_nothing(vendor_class: bytes | None) -> None:
    """The installer's or the installed system's own DHCP is none of a proxy's business."""
    for door in Door:
        asked = request(vendor_class=vendor_class)
        assert rack.proxied(asked, door, rack.armed()) == Quiet("not a network boot client")


def test_an_unknown_architecture_is_named() -> None:
    """Firmware that no loader is for is left alone, and the reason says which it was."""
    answer = rack.proxied(request(arch=6), Door.SERVER, rack.armed())
    assert answer == Quiet("no boot loader for client architecture 6")


@pytest.mark.parametrize(
    ("kind", "server", "door", "expected"),
    [
        (MessageType.DISCOVER, None, Door.SERVER, MessageType.OFFER),
        (MessageType.REQUEST, rack.ADDRESS, Door.SERVER, MessageType.ACK),
        (MessageType.REQUEST, "10.77.0.254", Door.SERVER, None),
        (MessageType.REQUEST, None, Door.SERVER, None),
        (MessageType.INFORM, None, Door.SERVER, None),
        (MessageType.RELEASE, None, Door.SERVER, None),
        (MessageType.DECLINE, None, Door.SERVER, None),
        (MessageType.OFFER, None, Door.SERVER, None),
        (MessageType.ACK, None, Door.BOOT, None),
        (MessageType.NAK, None, Door.BOOT, None),
        (MessageType.DISCOVER, None, Door.BOOT, MessageType.OFFER),
        (MessageType.REQUEST, None, Door.BOOT, MessageType.ACK),
        (MessageType.REQUEST, "10.77.0.254", Door.BOOT, MessageType.ACK),
        (MessageType.INFORM, None, Door.BOOT, MessageType.ACK),
    ],
)
def test_which_messages_are_answered(
    kind: MessageType, server: str | None, door: Door, expected: MessageType | None
) -> None:
    """OFFER to a DISCOVER, ACK to what chose us or came to the boot server's port, else silence."""
    chosen = IPv4Address(server) if server else None
    answer = rack.proxied(request(message_type=kind, server_id=chosen), door, rack.armed())
    assert (answer.content.message_type if isinstance(answer, Reply) else None) == expected


def test_a_proxy_refuses_to_be_taken_for_an_address_server() -> None:
    """Whoever asks us for an address in proxy mode hears nothing: an ACK would mean `yes`."""
    ours = IPv4Address(rack.ADDRESS)
    wanted = IPv4Address("10.77.0.163")
    asked = request(message_type=MessageType.REQUEST, server_id=ours, requested_address=wanted)
    assert isinstance(rack.proxied(asked, Door.SERVER, rack.armed()), Quiet)


@pytest.mark.parametrize("firmware", [rack.BIOS, rack.EDK2, rack.HTTP, rack.IPXE])
def test_a_proxy_gives_no_address(firmware: object) -> None:
    """No reply in proxy mode has an address or terms to give."""
    answer = rack.proxied(request(firmware), Door.SERVER, rack.armed())
    assert isinstance(answer, Reply)
    assert answer.address is None
    assert answer.content.terms is None


def test_the_other_card_of_a_machine_is_answered_as_itself() -> None:
    """A machine with two cards boots from either."""
    item = rack.entry()
    other = Mac("52:54:00:77:00:99")
    both = dataclasses.replace(item.machine, macs=(rack.NODE, other))
    index = rack.index(dataclasses.replace(item, machine=both))
    answer = rack.proxied(request(rack.IPXE, mac=other), Door.SERVER, index)
    assert isinstance(answer, Reply)
    assert answer.content.boot_file.endswith(f"/boot/{other}/boot.ipxe")


UUID = MachineUuid("6d0c4a2e-1111-4222-8333-000000000001")


@pytest.mark.parametrize("door", Door)
@pytest.mark.parametrize(
    ("enrolled", "sent", "served"),
    [
        ("", bytes(17), True),
        (UUID, None, True),  # some cards leave option 97 out
        (UUID, bytes(17), True),  # or send nothing in it
        (UUID, b"\0" + uuid.UUID(UUID).bytes_le, True),
        (UUID, b"\0" + uuid.UUID(UUID).bytes, True),  # firmware disagrees about the byte order
        (UUID, b"\0" + bytes(15) + b"\x01", False),
        ("", b"\0" + bytes(15) + b"\x01", True),
    ],
)
def test_a_machine_with_another_uuid_hears_nothing(
    door: Door, enrolled: str, sent: bytes | None, served: bool
) -> None:
    """Two machines with one address: the wrong one's disk must not pay for it."""
    known = rack.entry()
    machine = dataclasses.replace(known.machine, uuid=enrolled)
    index = rack.index(dataclasses.replace(known, machine=machine))
    request = parse(discover(machine.macs[0], BY_NAME["uefi-amd64-pxe"]))
    answer = rack.proxied(dataclasses.replace(request, uuid=sent), door, index)
    assert isinstance(answer, Reply) == served
