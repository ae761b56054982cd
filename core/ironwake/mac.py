"""One spelling of a MAC address: whatever notation comes in, `52:54:00:77:00:10` goes out."""

from __future__ import annotations

import re

from ironwake.errors import InputError

# 52:54:00:77:00:10, 52-54-00-77-00-10, 5254.0077.0010, 525400770010; GRUB and pxelinux write the
# hardware type first (01-52-54-…), which only `from_bootif` takes: elsewhere it would be a typo.
_NOTATIONS = re.compile(
    r"(?:[0-9a-f]{2}([:-]))(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}"
    r"|(?:[0-9a-f]{4}\.){2}[0-9a-f]{4}"
    r"|[0-9a-f]{12}",
    re.IGNORECASE | re.ASCII,
)


class Mac(str):
    """A unicast Ethernet address as lower-case colon text; compares and hashes as that text."""

    __slots__ = ()

    def __new__(cls, text: str) -> Mac:
        if isinstance(text, Mac):
            return text
        if not _NOTATIONS.fullmatch(text.strip()):
            raise InputError(
                f"{text!r} is not a MAC address",
                "write six bytes in hexadecimal, such as 52:54:00:77:00:10",
                "mac",
            )
        digits = re.sub(r"[^0-9a-f]", "", text.lower())
        octets = bytes.fromhex(digits)
        if octets[0] & 1:
            raise InputError(
                f"{text!r} is a group address (lowest bit of the first byte), no machine's own",
                "take the address from the network card's label or the firmware's set-up",
                "mac",
            )
        if not any(octets):
            raise InputError("the MAC address is all zero", "name the machine's real one", "mac")
        return str.__new__(cls, octets.hex(":"))

    @classmethod
    def from_bytes(cls, octets: bytes) -> Mac:
        """From the six bytes of a frame or of BOOTP `chaddr`."""
        if len(octets) != 6:
            raise InputError(f"a MAC address has 6 bytes, not {len(octets)}", where="mac")
        if octets[0] & 1 or not any(octets):
            return cls(octets.hex())  # which says what is wrong with it
        return str.__new__(cls, octets.hex(":"))

    @property
    def packed(self) -> bytes:
        """The six bytes."""
        return bytes.fromhex(self.replace(":", ""))

    @property
    def bootif(self) -> str:
        """As on a kernel command line, `BOOTIF=01-52-54-00-77-00-10` (01 is Ethernet, RFC 1700)."""
        return "01-" + self.replace(":", "-")
