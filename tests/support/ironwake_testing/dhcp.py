"""What clients say in DHCP, as bytes: recorded from real firmware, made for a test, changed, read.

A message is the payload of one UDP datagram (RFC 2131 section 2).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from ipaddress import IPv4Address

from ironwake.firmware import Firmware
from ironwake.mac import Mac
from ironwake_dhcp import rehearse
from ironwake_testing.captures import CAPTURES, datagrams

KIND, DISCOVERY, UUID, BOOT_FILE = 53, 43, 97, 67
_SERVER_PORT, _DISCOVER = 67, b"\x01"
_XID, _CIADDR, _CHADDR, _FILE, _OPTIONS = (
    slice(4, 8),
    slice(12, 16),
    slice(28, 34),
    slice(108, 236),
    240,
)
_PAD, _END = 0, 255

# Real firmware's first words: the capture, and how option 60 begins in them.
_RECORDED = {
    "bios": ("bios-plainpxe-undionly.pcap", "PXEClient:Arch:00000"),
    "bios-ipxe": ("bios-ipxe-virtio.pcap", "PXEClient:Arch:00000"),
    "uefi": ("proxydirect-ovmf-shim.pcap", "PXEClient:Arch:00007"),
    "uefi-http": ("ovmf-httpboot-ipxe.pcap", "HTTPClient:Arch:00016"),
    "arm64": ("aa64-edk2-virtio-shim.pcap", "PXEClient:Arch:00011"),
}
RECORDED = tuple(_RECORDED)


def recorded(firmware: str) -> bytes:
    """The DISCOVER that such firmware sent once."""
    file, vendor_class = _RECORDED[firmware]
    for item in datagrams(CAPTURES / file, {_SERVER_PORT}):
        is_discover = options(item.payload)[KIND] == _DISCOVER
        if is_discover and vendor_class.encode() in item.payload:
            return item.payload
    raise LookupError(f"{file} has no DISCOVER of {vendor_class}")


def discover(mac: Mac, firmware: Firmware, uuid: bytes, xid: int = 0) -> bytes:
    """The DISCOVER of such firmware in a machine with this SMBIOS UUID, 16 bytes."""
    return with_option(rehearse.discover(mac, firmware, xid), UUID, b"\0" + uuid)


def readdressed(message: bytes, mac: str, xid: int) -> bytes:
    """The same, as the card `mac` would send it, in the one machine that has it."""
    changed = bytearray(message)
    changed[_XID] = struct.pack("!I", xid)
    changed[_CHADDR] = Mac(mac).packed
    if UUID not in options(message):
        return bytes(changed)
    # With another one, it would be another machine with the same card.
    return with_option(bytes(changed), UUID, b"\0" + Mac(mac).packed.ljust(16, b"\1"))


def speaking_from(message: bytes, address: IPv4Address) -> bytes:
    """The same from a client that has this address already: in `ciaddr`."""
    changed = bytearray(message)
    changed[_CIADDR] = address.packed
    return bytes(changed)


def with_option(message: bytes, option: int, value: bytes) -> bytes:
    """The same with this option, in the place of the one that it has, else at the end."""
    start = end = len(message)
    for code, first, last in _spans(message):
        if code in (option, _END):
            start, end = first, last if code == option else first
            break
    return b"".join((message[:start], bytes((option, len(value))), value, message[end:]))


def options(message: bytes) -> dict[int, bytes]:
    """The options of a well-formed message."""
    return {code: message[start + 2 : end] for code, start, end in _spans(message) if code != _END}


def boot_file(message: bytes) -> str:
    """What is to be booted: the file field, and option 67 where that is empty."""
    name = message[_FILE].split(b"\0")[0] or options(message).get(BOOT_FILE, b"")
    return name.rstrip(b"\0").decode()


def _spans(message: bytes) -> Iterator[tuple[int, int, int]]:
    """Code, first octet and the one behind the last, of each option; the end option is the last."""
    at = _OPTIONS
    while at < len(message):
        code = message[at]
        if code == _END:
            yield code, at, at + 1
            return
        if code == _PAD:
            at += 1
            continue
        behind = at + 2 + message[at + 1]
        yield code, at, behind
        at = behind
