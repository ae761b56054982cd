"""`ironwake plan`: the dry run. What this card would be sent now, byte for byte, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import typer

from ironwake.errors import InputError
from ironwake.firmware import Firmware, find
from ironwake_cli import plan_answer, plan_disks
from ironwake_cli.card import card_of
from ironwake_cli.output import JSON, as_json, facts, say
from ironwake_cli.plan_offer import Offer, decision, readable, rehearse
from ironwake_cli.session import of

_ROW = 32  # bytes of a line of the hexadecimal dump


def plan(
    context: typer.Context,
    target: str = typer.Argument(..., metavar="MAC|NAME", help="a network card, or a machine"),
    firmware: str = typer.Option(
        "", "--firmware", help="as if it had this firmware; default: what it showed last"
    ),
    disks: bool = typer.Option(
        False, "--disks", help="what would be done to its disks: commands, before and after"
    ),
    answer: bool = typer.Option(
        False, "--answer", help="what it is told: answer files, and whose each parameter is"
    ),
    profile: str = typer.Option(
        "", "--profile", help="with --disks or --answer: as if it were deployed with this profile"
    ),
    erase: list[str] | None = typer.Option(
        None, "--erase", help="with --disks: a disk whose contents may go; repeatable"
    ),
    request: str = typer.Option(
        "", "--request", help="answer this very DHCPDISCOVER: its UDP payload in hexadecimal"
    ),
    json: bool = JSON,
) -> None:
    """Show what a machine would get if it asked now, and why: nothing is sent.

    Without --request the offer answers the shortest DHCPDISCOVER that such firmware could send:
    what clients get back of their own (transaction number, UUID) is not known before they ask. Nor
    is, in server mode, the address of a card that has none reserved and never had one.

    Example:

        ironwake plan 52:54:00:77:00:10

        ironwake plan node1 --disks --profile web

        ironwake plan node1 --answer
    """
    if answer and (disks or erase):
        raise InputError("one thing at a time", "give --answer or --disks", "--answer")
    if answer or disks:
        query: dict[str, Any] = {"profile": profile} if profile else {}
        query |= {"erase": erase} if erase else {}
        parts = ("plan/answer", plan_answer.lines) if answer else ("plan/disks", plan_disks.lines)
        _show(context, target, json, *parts, query)
        return
    if profile or erase:
        raise InputError("this is about disks", "give --disks or --answer as well", "--profile")
    if firmware:
        find(firmware)
    session = of(context)
    mac = card_of(session, target)
    asked = _asked(request, mac) if request else None
    firmware = firmware or (asked.firmware.name if asked else "")
    found = session.api.get("plan", mac=mac, **({"firmware": firmware} if firmware else {}))
    offer = rehearse(session.api.get("site"), found, asked.payload if asked else None)
    if json:
        as_json({**found, "offer": offer.payload.hex() if offer.payload else None})
        return
    for line in lines(found, offer):
        say(line)


def _show(
    context: typer.Context,
    target: str,
    json: bool,
    path: str,
    lines_of: Callable[[dict[str, Any]], Iterator[str]],
    query: dict[str, Any],
) -> None:
    """What the controller says there of this machine."""
    session = of(context)
    found = session.api.get(path, mac=card_of(session, target), **query)
    if json:
        as_json(found)
        return
    for line in lines_of(found):
        say(line)


@dataclass(frozen=True)
class _Asked:
    """A DISCOVER that a person gave, and who sends such ones."""

    payload: bytes
    firmware: Firmware


def _asked(text: str, mac: str) -> _Asked:
    """What `--request` says; InputError unless it is a DISCOVER of this card's firmware."""
    from ironwake.mac import Mac
    from ironwake_dhcp.offer import identify
    from ironwake_dhcp.packet import Malformed, MessageType, parse

    step = "give the UDP payload of a DHCPDISCOVER of this card, in hexadecimal"
    try:
        payload = bytes.fromhex(text)
        request = parse(payload)
    except ValueError:
        raise InputError("this is not hexadecimal", step, "--request") from None
    except Malformed as error:
        what = f"this is no DHCP request: {error.reason}"
        raise InputError(what, step, "--request") from None
    if request.message_type is not MessageType.DISCOVER:
        what = f"this is a DHCP{request.message_type.name}"
        raise InputError(what, step, "--request")
    if request.mac != Mac(mac):
        raise InputError(f"this request is of {request.mac}, not of {mac}", step, "--request")
    firmware = identify(request)
    if firmware is None:
        what = "the sender of this request is not booting from the network, and gets no answer"
        raise InputError(what, step, "--request")
    return _Asked(payload, firmware)


def lines(found: dict[str, Any], offer: Offer) -> Iterator[str]:
    """The plan for people; scripts and payload stand there as they are sent."""
    yield from facts(
        (
            ("decision", decision(found, offer)),
            ("reason", found["reason"]),
            ("machine", found["machine"]),
            ("card", found["mac"]),
            ("firmware", found["firmware"]),
            ("loader", found["loader"]),
            ("first file", found["first_file"]),
            ("offered as", ", then ".join(found["personalities"])),
            ("way to the disk", found["rung"]),
            ("warning", "; ".join(found["warnings"])),
            ("no offer", offer.why),
            ("digest", found["digest"]),
        )
    )
    if offer.payload:
        raw = offer.payload
        yield from ("", f"--- DHCP OFFER, {len(raw)} bytes")
        yield from readable(offer)
        yield from (raw[at : at + _ROW].hex() for at in range(0, len(raw), _ROW))
    if found["script"]:
        running = "" if found["kind"] == "boot" else ", for a loader that runs already"
        yield from ("", f"--- {found['script_name']}{running}", found["script"].rstrip("\n"))
    if found["payload"]:
        yield from ("", f"--- payload, once ({found['payload_type']})")
        yield found["payload"].rstrip("\n")
