"""Access control lists, from what Linux keeps to what tar writes (acl(5); posix_acl_xattr.h)."""

from __future__ import annotations

import struct

from ironwake.rootfs.member import RootError

ACCESS = "system.posix_acl_access"
DEFAULT = "system.posix_acl_default"
_VERSION = 2
_ENTRY = struct.Struct("<HHI")
_TAGS = {0x01: "user", 0x02: "user", 0x04: "group", 0x08: "group", 0x10: "mask", 0x20: "other"}
_RIGHTS = (("r", 4), ("w", 2), ("x", 1))
_NAMED = (0x02, 0x08)


def acl_text(raw: bytes) -> str:
    """`user::rw-`, `user:1000:r--`, … each on a line, owners as numbers."""
    if len(raw) < 4 or int.from_bytes(raw[:4], "little") != _VERSION or (len(raw) - 4) % 8:
        raise RootError("an access control list is not as Linux writes it")
    lines = []
    for tag, bits, number in _ENTRY.iter_unpack(raw[4:]):
        if tag not in _TAGS:
            raise RootError(f"an access control list has an entry of kind {tag}")
        who = str(number) if tag in _NAMED else ""
        rights = "".join(letter if bits & bit else "-" for letter, bit in _RIGHTS)
        lines.append(f"{_TAGS[tag]}:{who}:{rights}\n")
    return "".join(lines)
