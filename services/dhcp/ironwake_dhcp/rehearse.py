"""The dry run: the very bytes that the service would send to a machine, without a network."""

from __future__ import annotations

import struct
from dataclasses import replace
from ipaddress import IPv4Address

from ironwake.firmware import Firmware, Transport
from ironwake.mac import Mac
from ironwake.report import Seen
from ironwake.view import Index
from ironwake_dhcp.delivery import Source
from ironwake_dhcp.exchange import Exchange
from ironwake_dhcp.lend import Lender, serve
from ironwake_dhcp.offer import Boot, Door
from ironwake_dhcp.packet import BROADCAST, FIXED, MAGIC, Request
from ironwake_dhcp.reply import Quiet
from ironwake_dhcp.template import Template

# What edk2 asks for. Servers go by it: dnsmasq names the boot file in option 67 where that is
# wanted, and in the BOOTP field where it is not.
_WANTED = bytes((*range(1, 7), 12, 13, 15, 17, 18, 22, 23, 28, *range(40, 44), 50, 51, 54))
_WANTED += bytes((58, 59, 60, 66, 67, 97, *range(128, 136)))
_TFTP_ONLY = b"\x15\x01\x01"  # iPXE's feature 21 and no other


def discover(mac: Mac, firmware: Firmware, xid: int = 0) -> bytes:
    """A DHCPDISCOVER as such firmware sends it, short of what no server looks at."""
    code = firmware.option_93[0]
    name = b"HTTPClient" if firmware.transport is Transport.HTTP else b"PXEClient"
    if firmware.ipxe:
        name = b"PXEClient"  # iPXE calls itself so, though HTTP is what it likes best
    flags = BROADCAST if firmware.uefi and not firmware.ipxe else 0  # edk2 wants broadcasts
    fields = (1, 1, 6, 0, xid, 0, flags)
    none = bytes(4)
    head = FIXED.pack(*fields, none, none, none, none, mac.packed, b"", b"", MAGIC)
    options = (
        (53, b"\x01"),
        (55, _WANTED),
        (60, name + b":Arch:%05d:UNDI:003000" % code),
        (93, struct.pack("!H", code)),
        *(((77, b"iPXE"),) if firmware.ipxe else ()),
        *(((175, _TFTP_ONLY),) if firmware.ipxe and firmware.transport is Transport.TFTP else ()),
    )
    return head + b"".join(bytes((c, len(v))) + v for c, v in options) + b"\xff"


def rehearse(index: Index, request: bytes) -> bytes | None:
    """What a proxy answers to `request`, byte for byte; None when it is silent.

    Raises `Malformed` where the service would count and drop.
    """
    exchange = Exchange(_untold)
    exchange.take(index)
    outgoing = exchange.receive(request, Source(IPv4Address(0), 68, Door.SERVER), 0.0)
    return None if outgoing is None else outgoing.payload


def lent(request: Request, found: Boot | Quiet, lender: Lender) -> bytes | Quiet:
    """What server mode answers to a DISCOVER; its address is zero where it is chosen only then.

    The lender knows what is reserved for this card, and had by it, and nothing of other cards. A
    client whose address is in another network than ours will ask through that one's router.
    """
    own = [book for book in lender.books if book.reserved(request.mac) or book.knows(request.mac)]
    home = next((book for book in own if book.reserved(request.mac)), next(iter(own), None))
    if home is not None and home is not lender.link and home.subnet.router:
        request = replace(request, giaddr=request.giaddr or home.subnet.router.ip)
    answer = serve(request, found, lender, 0.0).answer
    if isinstance(answer, Quiet):
        return answer
    known = {book.reserved(request.mac) for book in own}
    known |= {lease.address for book in own for lease in book.all()}
    address = answer.address if answer.address in known else None
    return Template(answer.content).fill(request, address)


def _untold(
    seen: Seen, mac: str = "", client: str = "", detail: dict[str, str] | None = None
) -> None:
    """A rehearsal is nobody's business."""
