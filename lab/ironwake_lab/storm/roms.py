"""What boots from the network, row by row: options, timers and manners out of the captures.

Option sets are those that went over the wire, byte for byte, with holes for the UUID and the card
(`tests/captures`); timers are those between the packets of one boot there. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Which machines there are."""

    UEFI = "uefi"  # edk2's own PXE: shim, GRUB
    UEFI_HTTP = "uefi-http"  # the same by HTTP Boot
    BIOS = "bios"  # a plain PXE ROM, chained to iPXE
    IPXE = "ipxe"  # iPXE in the card's ROM


@dataclass(frozen=True)
class Asking:
    """How an address is asked for.

    `body` are the options after the type, `front` whether 54 and 50 of a REQUEST stand before it
    (edk2) or after it (iPXE); `larger` is option 57 where the REQUEST's is another one. `pauses`:
    seconds after each DISCOVER; the machine gives up after the last. `secs` is what it says of
    them. `collects`: offers are looked at only when the pause is over (edk2), not at once.
    """

    body: str
    flags: int
    pauses: tuple[float, ...]
    secs: tuple[int, ...]
    front: bool = False
    collects: bool = False
    larger: str = ""
    boots: str = ""  # the class of the proxy's answer that it takes
    proxy_wait: float = 0.0  # seconds from the first DISCOVER that an offer to boot is waited for

    def discover(self, uuid: bytes, mac: bytes) -> bytes:
        """Options of a DISCOVER."""
        return b"\x35\x01\x01" + self._filled(self.body, uuid, mac)

    def request(self, uuid: bytes, mac: bytes, server: bytes, wanted: bytes) -> bytes:
        """Options of the REQUEST for the address `wanted` of `server`."""
        chosen = b"\x36\x04" + server + b"\x32\x04" + wanted
        body = self._filled(self.larger + self.body[8:] if self.larger else self.body, uuid, mac)
        return b"\x35\x01\x03" + (chosen + body if self.front else body + chosen)

    def _filled(self, text: str, uuid: bytes, mac: bytes) -> bytes:
        return bytes.fromhex(text.replace("U", uuid.hex()).replace("M", mac.hex()))


def _text(code: int, words: str) -> str:
    return bytes((code, len(words))).hex() + words.encode().hex()


_LIST_EDK2 = "37230102030405060c0d0f111216171c28292a2b3233363a3b3c4243618081828384858687"
_SIZE = "390205c0"
_UUID = "611100U"
_CARD = "3d0701M"
_CLASS_X64 = _text(60, "PXEClient:Arch:00007:UNDI:003000")
_CLASS_BIOS = _text(60, "PXEClient:Arch:00000:UNDI:002001")
_CLASS_HTTP = _text(60, "HTTPClient:Arch:00016:UNDI:003000")
_FEATURES_BIOS = (
    "af30b105011af41000eb030100001701012201011301011101012701011901012901011001022101011501011801"
    "01120101"
)

_EDK2 = _SIZE + _LIST_EDK2 + _UUID + "5e03010300" + "5d020007" + _CLASS_X64
_EDK2_HTTP = (
    _SIZE
    + "371b0102030405060c0d0f111216171c28292a2b3233363a3b3ceb4361"
    + _UUID
    + "5e03010300"
    + "5d020010"
    + _CLASS_HTTP
)
_IPXE = (
    _SIZE
    + "5d020000"
    + "5e03010201"
    + _CLASS_BIOS
    + _text(77, "iPXE")
    + "3717010306070c0f111a2b3c4243778081828384858687afcb"
    + _FEATURES_BIOS
    + _CARD
    + _UUID
)
_PLAIN = (
    _SIZE
    + "5d020000"
    + "5e03010201"
    + _CLASS_BIOS
    + "3719010306070c0f111a2a2b3c424377798081828384858687afcb"
    + _CARD
    + _UUID
)
# What edk2 asks port 4011, another order once more.
EDK2_BOOT_SERVER = _LIST_EDK2 + _SIZE + _CLASS_X64 + "5d020007" + "5e03010300" + _UUID
EDK2_LARGER = "3902ff00"  # option 57 of its REQUEST

_EDK2_PAUSES = (4.0, 8.0, 16.0, 32.0)
_EDK2_SECS = (0, 4, 12, 28)
_IPXE_PAUSES = (1.0, 2.0, 4.0, 8.0)
_IPXE_SECS = (4, 8, 12, 16)

PXE = Asking(_EDK2, 0x8000, _EDK2_PAUSES, _EDK2_SECS, True, True, EDK2_LARGER, boots="PXEClient")
HTTP = Asking(_EDK2_HTTP, 0x8000, _EDK2_PAUSES, _EDK2_SECS, True, True, boots="HTTPClient")
IPXE = Asking(_IPXE, 0, _IPXE_PAUSES, _IPXE_SECS, boots="PXEClient", proxy_wait=3.0)
UNDIONLY = Asking(_IPXE, 0x8000, _IPXE_PAUSES, _IPXE_SECS, boots="PXEClient", proxy_wait=3.0)
PLAIN = Asking(_PLAIN, 0, _IPXE_PAUSES, _IPXE_SECS, boots="PXEClient", proxy_wait=3.0)
UDHCPC = Asking(
    _text(60, "udhcp 1.35.0") + "39020240" + "37070103060c0f1c2a" + _CARD,
    0,
    (3.0,) * 20,
    tuple(range(0, 60, 3)),
)
INSTALLED = Asking(
    _CARD + "37090103060c0f212a7879" + _SIZE, 0, (2.0, 4.0, 8.0) * 4, tuple(range(1, 13))
)


@dataclass(frozen=True)
class Manners:
    """How a loader downloads by TFTP: options in their order, and what it does with silence.

    `pauses`: seconds of silence before each repeat; it gives up after the last. `first_port`: where
    it counts its ports from, at every boot; 0: from anywhere.
    """

    options: tuple[tuple[str, int], ...]
    pauses: tuple[float, ...]
    first_port: int = 0


_EDK2_SILENCE = (4.0,) * 6
PROBE = Manners((("tsize", 0), ("blksize", 1468), ("windowsize", 4)), _EDK2_SILENCE)
EDK2 = Manners((("blksize", 1468), ("windowsize", 4)), _EDK2_SILENCE)
SHIM = Manners((("blksize", 512), ("windowsize", 4)), _EDK2_SILENCE)
GRUB = Manners((("blksize", 1024), ("tsize", 0)), tuple(0.4 + 0.02 * n for n in range(40)), 25300)
ROM = Manners((("blksize", 1432), ("tsize", 0)), (0.25, 0.5, 1.0, 2.0, 4.0, 8.0))

SHIM_LOOKS_FOR = ("revocations_sku.efi", "revocations_sbat.efi", "shim_certificate_0.efi")
GRUB_LOOKS_FOR = tuple(
    f"/grub/x86_64-efi/{name}.lst" for name in ("command", "fs", "crypto", "terminal")
)
SHIM_LOADS = "grubx64.efi"

# User agents, as they stand in the captures.
AGENT_EDK2 = "UefiHttpBoot/1.0"
AGENT_GRUB = "GRUB 2.12-9+deb13u2"
AGENT_IPXE = "iPXE/1.0.0+git-20190125.36a4c85-5.1"
