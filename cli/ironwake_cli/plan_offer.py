"""The DHCPOFFER of a dry run: made by the DHCP service's own code, and read for people."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ironwake_cli.output import facts

if TYPE_CHECKING:
    from ironwake_dhcp.lend import Lender
    from ironwake_dhcp.offer import Boot
    from ironwake_dhcp.packet import Request


@dataclass(frozen=True)
class Offer:
    """`payload` is what would be sent by UDP, b"" where nothing is, with `why` in server mode.

    `lent`: we are the DHCP server, and an address comes with it.
    """

    payload: bytes = b""
    lent: bool = False
    why: str = ""


def rehearse(site: dict[str, Any], found: dict[str, Any], discover: bytes | None = None) -> Offer:
    """What this card is offered: the answer to `discover`, or to the shortest there can be.

    :param site: as `/v1/site` tells it
    :param found: as `/v1/plan` tells it
    """
    boot = _boot(found) if found["first_file"] else None
    mode = site["dhcp_mode"]
    if mode == "off" or (mode == "proxy" and boot is None):
        return Offer()
    from ironwake.firmware import find
    from ironwake.mac import Mac
    from ironwake_dhcp import rehearse as service
    from ironwake_dhcp.packet import parse

    shortest = service.discover(Mac(found["mac"]), find(found["firmware"]))
    request = parse(discover or shortest)
    if boot is None or mode == "server":
        return _lent(site, found, request, boot)
    return _proxied(site, request, boot)


def _proxied(site: dict[str, Any], request: Request, boot: Boot) -> Offer:
    """Boot information alone."""
    from ipaddress import IPv4Address

    from ironwake_dhcp.offer import content
    from ironwake_dhcp.packet import MessageType
    from ironwake_dhcp.template import Template

    said = content(boot, MessageType.OFFER, IPv4Address(site["address"]))
    return Offer(Template(said).fill(request, None))


def _lent(
    site: dict[str, Any], found: dict[str, Any], request: Request, boot: Boot | None
) -> Offer:
    """An address with its terms, and boot information where there is some."""
    from ironwake_dhcp.rehearse import lent
    from ironwake_dhcp.reply import Quiet

    answer = lent(request, boot or Quiet(found["reason"]), _lender(site, found, request))
    if isinstance(answer, Quiet):
        return Offer(lent=True, why=answer.reason)
    return Offer(answer, lent=True)


def _boot(found: dict[str, Any]) -> Boot:
    """The loader that is offered, in the shape that is tried first."""
    from ironwake.firmware import find
    from ironwake.localboot import LoaderName
    from ironwake.personality import Personality
    from ironwake.plan import Led
    from ironwake_dhcp.offer import Boot

    shapes = tuple(Personality(name) for name in found["personalities"])
    loader = LoaderName(found["loader"])
    led = Led(loader, found["first_file"], found["script_name"], found["script"], shapes)
    return Boot(find(found["firmware"]), led, found["reason"], shapes[0])


def _lender(site: dict[str, Any], found: dict[str, Any], request: Request) -> Lender:
    """The DHCP server as it is to this card: other clients' leases are not known here."""
    from ipaddress import IPv4Address

    from ironwake import wire
    from ironwake.subnet import Subnets
    from ironwake_dhcp.book import Lease
    from ironwake_dhcp.lend import Lender

    reserved, last = found["reserved"], found["last_address"]
    lender = Lender(
        IPv4Address(site["address"]),
        wire.load(Subnets, {"subnets": site["subnets"]}).subnets,
        site["domain"],
        known=(Lease(IPv4Address(last), request.mac, 0.0),) if last else (),
    )
    lender.keep_for({request.mac: IPv4Address(reserved)} if reserved else {})
    return lender


def decision(found: dict[str, Any], offer: Offer) -> str:
    """What becomes of the machine, in a sentence."""
    if found["kind"] == "boot":
        return "it boots from the network"
    if found["first_file"]:
        return "it boots its own disk: a loader leads it there"
    disk = "it boots its own disk: " if found["kind"] == "local" else ""
    if offer.lent and offer.payload:
        return f"{disk}DHCP gives it an address, and no loader"
    return f"{disk}DHCP is silent" if disk else "nothing leaves on the wire"


def readable(offer: Offer) -> Iterator[str]:
    """The fields and options of an offer that a person looks for, by name."""
    from ironwake_dhcp.packet import FIXED, collect

    raw = offer.payload
    pairs = []
    if offer.lent:
        chosen = "the next that is free: decided when it asks"
        pairs.append(("address", _address(raw[_YIADDR]) if any(raw[_YIADDR]) else chosen))
    if any(raw[_GIADDR]):
        pairs.append(("relay", _address(raw[_GIADDR])))
    pairs.append(("file field", _text(raw[_FILE])))
    for code, value in collect(raw[FIXED.size :]).items():
        name, read = _OPTIONS.get(code, ("option", _hex))
        pairs.append((f"{name} ({code})", read(value)))
    yield from facts(pairs)


def _text(value: bytes) -> str:
    return value.split(b"\0", 1)[0].decode("ascii", "replace")


def _hex(value: bytes) -> str:
    return value.hex(" ")


def _address(value: bytes) -> str:
    return ".".join(str(octet) for octet in value)


def _addresses(value: bytes) -> str:
    return ", ".join(_address(value[at : at + 4]) for at in range(0, len(value), 4))


def _seconds(value: bytes) -> str:
    return str(int.from_bytes(value, "big"))


# BOOTP's fields (RFC 2131 section 2).
_YIADDR, _GIADDR, _FILE = slice(16, 20), slice(24, 28), slice(108, 236)
_OPTIONS: dict[int, tuple[str, Callable[[bytes], str]]] = {
    1: ("netmask", _address),
    3: ("router", _addresses),
    6: ("name servers", _addresses),
    15: ("domain", _text),
    42: ("time servers", _addresses),
    43: ("vendor options", _hex),
    51: ("lease seconds", _seconds),
    53: ("message type", _hex),
    54: ("server", _address),
    58: ("renewal seconds", _seconds),
    59: ("rebinding seconds", _seconds),
    60: ("vendor class", _text),
    67: ("boot file", _text),
    121: ("static routes", _hex),
}
