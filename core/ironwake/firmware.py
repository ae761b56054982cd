"""Which firmware is asking: DHCP options 93, 60, 77 and 175 in, one row of `FIRMWARE` out.

Option 93 is the client architecture (RFC 4578 §2.1, IANA "Processor Architecture Types"). It names
the processor and the way of booting, never whether Secure Boot is on: hence every UEFI client gets
the signed shim, which does no harm where Secure Boot is off.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ironwake.errors import InputError


class Architecture(StrEnum):
    AMD64 = "amd64"
    ARM64 = "arm64"

    @property
    def consoles(self) -> tuple[str, ...]:
        """The kernel's words for a screen, and for the serial line that such machines have."""
        serial = "ttyAMA0" if self is Architecture.ARM64 else "ttyS0"
        return ("console=tty0", f"console={serial},115200")


class Transport(StrEnum):
    """How the firmware itself fetches the first file."""

    TFTP = "tftp"
    HTTP = "http"


@dataclass(frozen=True)
class Firmware:
    """One kind of network boot firmware."""

    name: str
    option_93: tuple[int, ...]
    architecture: Architecture
    uefi: bool
    transport: Transport
    ipxe: bool

    @property
    def vendor_class(self) -> str:
        """Option 60 as the reply must carry it (PXE 2.1 §2.2.2; UEFI 2.10 §24.7.2)."""
        if self.transport is Transport.HTTP and not self.ipxe:
            return "HTTPClient"
        return "PXEClient"


_A, _R = Architecture.AMD64, Architecture.ARM64
_T, _H = Transport.TFTP, Transport.HTTP

FIRMWARE: tuple[Firmware, ...] = (
    Firmware("bios-pxe", (0,), _A, False, _T, False),
    # 7 is what edk2 sends for x64; 9 ("EBC" by the RFC's erratum) is sent by some vendors for it.
    Firmware("uefi-amd64-pxe", (7, 9), _A, True, _T, False),
    Firmware("uefi-amd64-http", (16,), _A, True, _H, False),
    Firmware("uefi-arm64-pxe", (11,), _R, True, _T, False),
    Firmware("uefi-arm64-http", (19,), _R, True, _H, False),
    # iPXE that speaks HTTP, whichever ROM it came in, gets a script's URL and no loader.
    Firmware("bios-ipxe", (0,), _A, False, _H, True),
    Firmware("uefi-amd64-ipxe", (7, 9), _A, True, _H, True),
    Firmware("uefi-arm64-ipxe", (11,), _R, True, _H, True),
    # A vendor's iPXE without HTTP, or without our kind of kernel, is a TFTP client like others.
    Firmware("bios-ipxe-limited", (0,), _A, False, _T, True),
    Firmware("uefi-amd64-ipxe-limited", (7, 9), _A, True, _T, True),
    Firmware("uefi-arm64-ipxe-limited", (11,), _R, True, _T, True),
)

BY_NAME: dict[str, Firmware] = {row.name: row for row in FIRMWARE}


def find(name: str) -> Firmware:
    """The row of that name; InputError naming those that exist."""
    if name not in BY_NAME:
        known = ", ".join(BY_NAME)
        raise InputError(f"there is no firmware {name!r:.40}", f"known are: {known}", "firmware")
    return BY_NAME[name]


def identify(
    option_93: int | None,
    option_60: bytes,
    option_77: bytes = b"",
    option_175: bytes | None = None,
) -> Firmware | None:
    """The row for a DHCP client, or None for one that is not booting from the network.

    `option_77` is compared as bare text: iPXE sends the four bytes `iPXE`, not RFC 3004's
    length-prefixed list. A client with option 175 (Etherboot's) is iPXE even without it.
    """
    if option_60.startswith(b"HTTPClient"):
        transport = Transport.HTTP
    elif option_60.startswith(b"PXEClient"):
        transport = Transport.TFTP
    else:
        return None
    ipxe = b"iPXE" in option_77 or option_175 is not None
    code = option_93 if option_93 is not None else _architecture_of(option_60)
    if ipxe:
        uefi = code != 0
        transport = Transport.HTTP if takes_script(option_175, uefi) else Transport.TFTP
    for row in FIRMWARE:
        if code in row.option_93 and row.ipxe == ipxe and row.transport is transport:
            return row
    return None


# iPXE, src/include/ipxe/dhcp.h: features that option 175 lists, each as one tag of length 1.
_HTTP, _BZIMAGE, _EFI = 19, 24, 36


def takes_script(option_175: bytes | None, uefi: bool) -> bool:
    """Whether this iPXE can fetch a script by HTTP and start a Linux kernel from it.

    Without option 175, or with one that names no feature at all, it is taken to be able to: old
    builds and some vendors cut the option off, and being offered iPXE once more helps nobody.
    """
    features = _features(option_175 or b"")
    if not features:
        return True
    return _HTTP in features and (_EFI if uefi else _BZIMAGE) in features


def _features(option_175: bytes) -> frozenset[int]:
    """Tags of encapsulated options that say "yes"; ends quietly where one is cut off."""
    found, at = set(), 0
    while at + 1 < len(option_175):
        code, size = option_175[at], option_175[at + 1]
        value = option_175[at + 2 : at + 2 + size]
        # 16 to 63 are features, one byte that is not zero; the rest are settings.
        if 16 <= code < 64 and len(value) == 1 and value != b"\0":
            found.add(code)
        at += 2 + size
    return frozenset(found)


def _architecture_of(option_60: bytes) -> int:
    """From `PXEClient:Arch:00007:UNDI:003000`, for clients that leave option 93 out; else BIOS."""
    parts = option_60.split(b":")
    if len(parts) >= 3 and parts[1] == b"Arch" and parts[2].isdigit():
        return int(parts[2][:5])
    return 0
