"""Who else offers addresses, or boot files, on this network segment?

A DHCPDISCOVER as UEFI firmware sends it (option 60 `PXEClient:Arch:00007`, option 93 = 7), so that
boot files meant for PXE show, from a MAC address that no machine has; and some seconds of
listening. It takes no lease: a DISCOVER only asks (RFC 2131 section 3.1). Our own service is
silent to machines that nobody has enrolled, so a boot server that answers is somebody else's.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Callable
from ipaddress import IPv4Address

from ironwake.errors import BrokenError, RefusedError
from ironwake.firmware import BY_NAME
from ironwake.mac import Mac
from ironwake.site import ForeignServer
from ironwake_dhcp.foreign import read
from ironwake_dhcp.rehearse import discover
from ironwake_dhcp.template import Frames

_ETH_P_IP = 0x0800
_EVERYONE = IPv4Address("255.255.255.255")
# Servers that look whether an address is in use answer late: dnsmasq after 3 seconds of ping.
PATIENCE = 4.0
# A switch port that has just come up forwards nothing at first; one question may be lost.
_AGAIN = 1.0


def _everything(_: ForeignServer) -> bool:
    return False


async def ask(
    interface: str,
    seconds: float = PATIENCE,
    enough: Callable[[ForeignServer], bool] = _everything,
) -> tuple[ForeignServer, ...]:
    """The servers that answer on `interface` within `seconds`, or until one of them is `enough`.

    RefusedError without the right to ask, BrokenError where the interface can't be used.
    """
    # Locally administered (second lowest bit of the first byte): no card is sold with it.
    mac = Mac.from_bytes(b"\x02" + secrets.token_bytes(5))
    xid = secrets.randbits(32)
    frames = Frames(mac.packed, IPv4Address(0), 68)
    question = discover(mac, BY_NAME["uefi-amd64-pxe"], xid)
    found: dict[str, ForeignServer] = {}
    with _open(interface) as wire:
        asking = asyncio.create_task(
            _ask(wire, frames.frame(question, b"\xff" * 6, _EVERYONE, 67)), name="ask"
        )
        try:
            async with asyncio.timeout(seconds):
                await _listen(wire, xid, found, enough)
        except TimeoutError:
            pass
        except OSError as error:
            raise _unusable(interface, error) from error
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
    return tuple(found.values())


async def _ask(wire: socket.socket, frame: bytes) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await loop.sock_sendall(wire, frame)
        await asyncio.sleep(_AGAIN)


async def _listen(
    wire: socket.socket,
    xid: int,
    found: dict[str, ForeignServer],
    enough: Callable[[ForeignServer], bool],
) -> None:
    loop = asyncio.get_running_loop()
    while True:
        # While something is queued, to receive is not to wait: others have their turn, and time
        # runs out, only because of this.
        await asyncio.sleep(0)
        server = read(await loop.sock_recv(wire, 65535), xid)
        if server is not None:
            found[server.address] = server
            if enough(server):
                return


def _open(interface: str) -> socket.socket:
    kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK
    try:
        # Protocol 0 until it is bound: nothing of other interfaces gets into its queue.
        wire = socket.socket(socket.AF_PACKET, kind, 0)
    except PermissionError:
        raise RefusedError(
            "whether another server is on the network cannot be seen by this user",
            "run it as root, or with the capability NET_RAW",
        ) from None
    try:
        wire.bind((interface, _ETH_P_IP))
    except OSError as error:
        wire.close()
        raise _unusable(interface, error) from error
    return wire


def _unusable(interface: str, error: OSError) -> BrokenError:
    return BrokenError(
        f"the network interface {interface} cannot be used: {error.strerror}",
        "see what is wrong with it: ironwake doctor",
    )
