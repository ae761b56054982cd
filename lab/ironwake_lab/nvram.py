"""A UEFI machine's NVRAM as an administrator leaves it who set a boot order.

Why not QEMU's `bootindex`: OVMF then puts *all* options of the network card before the disk, and
each waits out its DHCP retries when nobody offers it a boot: PXE over IPv4 60 s (4 + 8 + 16 + 32),
HTTP Boot over IPv4 60 s, HTTP Boot over IPv6 63 s. Measured from power-on to the disk, beside a
router and a silent boot server: 187 s. Deactivating the HTTP options does not help: edk2 compares
attributes too when it refreshes its list, and adds them again, active
(EfiBootManagerFindLoadOption). There is no setting that leaves HTTP Boot out.

With the boot order in NVRAM instead, edk2 appends what it finds to what stands there, disks before
network cards. So a store that holds one option, PXE over IPv4, becomes: PXE, disk, HTTP Boot. The
disk is reached after 64 s, and PXE is first, as on most real machines in their set-up. Just as on
those, an installed system may change that order.
"""

from __future__ import annotations

import re
import struct
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ironwake.errors import BrokenError
from ironwake.mac import Mac

# EFI_GLOBAL_VARIABLE (UEFI 2.10 §3.3), and the mark by which edk2 knows options of its own making.
_GLOBAL = uuid.UUID("8be4df61-93ca-11d2-aa0d-00e098032b8c").bytes_le
_AUTO_CREATED = uuid.UUID("8108ac4e-9f11-4d59-850e-e21a522c59b2").bytes_le
_NON_VOLATILE_BOOT_RUNTIME = 7
_ACTIVE = 1
_OPTION_HEADER_BYTES = 6
_FIRST_OPTION = 1  # Boot0000 is the firmware's own menu

# edk2 MdeModulePkg/Include/Guid/VariableFormat.h: AUTHENTICATED_VARIABLE_HEADER.
_VARIABLE = struct.Struct("<HBBIQ16sIII16s")
_STORE_HEADER_BYTES = 28
_START, _ADDED, _DELETED = 0x55AA, 0x3F, 0x3C
_STATE_OFFSET = 2
_ONCE = 0x0B3C  # the option that a BMC adds; any number that nobody else uses
_BOOT_NEXT = re.compile(rf"Boot(Next|{_ONCE:04X})\0$")
_BOOT_OPTION = re.compile(r"Boot(Order|[0-9A-F]{4})\0$")


def _node(kind: int, subkind: int, data: bytes) -> bytes:
    return struct.pack("<BBH", kind, subkind, 4 + len(data)) + data


_IPV4 = _node(3, 12, bytes(23))  # any address
_URI = _node(3, 24, b"")  # to be had from DHCP
# What follows the card in the device path: edk2's own PXE, its HTTP Boot, an iPXE option ROM.
KINDS = {"pxe": (_IPV4,), "http": (_IPV4, _URI), "ipxe": ()}


def with_boot_options(
    factory: bytes, macs: Sequence[str], pci_slot: int, kind: str = "pxe"
) -> bytes:
    """The variable store with one option per network card as its only ones; all else stays.

    `factory` is OVMF's template, keys enrolled or not; the cards sit in this slot of the root bus
    and the next ones. `kind` is a key of KINDS. Without cards the firmware finds its own order: the
    disk first. BrokenError if the template is not laid out as edk2 does it.
    """
    store = bytearray(factory)
    # The template with Microsoft's keys comes with boot options of the machine that enrolled them;
    # two valid variables of one name hang the firmware at its start.
    end = _forget(store, _BOOT_OPTION)
    added = bytearray()
    for number, mac in enumerate(macs):
        option = _option(mac, pci_slot + number, kind)
        _append(added, f"Boot{_FIRST_OPTION + number:04X}", option)
    if macs:
        order = range(_FIRST_OPTION, _FIRST_OPTION + len(macs))
        _append(added, "BootOrder", struct.pack(f"<{len(macs)}H", *order))
    _put(store, end, added)
    return bytes(store)


def with_boot_next(store: bytes, mac: str, pci_slot: int, kind: str = "pxe") -> bytes:
    """The variable store whose next boot, and only that, is from this card: as a BMC does it.

    BootNext (UEFI 2.10 §3.3) names an option of its own, which stands in no BootOrder.
    """
    changed = bytearray(store)
    end = _forget(changed, _BOOT_NEXT)
    added = bytearray()
    _append(added, f"Boot{_ONCE:04X}", _option(mac, pci_slot, kind))
    _append(added, "BootNext", struct.pack("<H", _ONCE))
    _put(changed, end, added)
    return bytes(changed)


def _put(store: bytearray, end: int, added: bytearray) -> None:
    room = store[end : end + len(added)]
    if len(room) < len(added) or room.strip(b"\xff"):
        raise BrokenError("the firmware's variables have no free room where they should")
    store[end : end + len(added)] = added


def _append(added: bytearray, name: str, data: bytes) -> None:
    added += b"\xff" * (-len(added) % 4) + _variable(name, data)


def without_variables(factory: bytes) -> bytes:
    """The variable store with none of its variables left: no keys, so no Secure Boot."""
    store = bytearray(factory)
    _forget(store, re.compile(""))
    return bytes(store)


def boot_order(store: bytes) -> tuple[int, ...]:
    """The numbers in BootOrder as it stands now; () where there is none."""
    for found in _variables(store):
        if found.name == "BootOrder\0" and found.state == _ADDED:
            return struct.unpack(f"<{len(found.data) // 2}H", found.data)
    return ()


def boot_entries(store: bytes) -> dict[int, str]:
    """What each boot option is called, by its number; in BootOrder or not."""
    entries = {}
    for found in _variables(store):
        match = _BOOT_OPTION.fullmatch(found.name)
        if match and match[1] != "Order" and found.state == _ADDED:
            text = found.data[_OPTION_HEADER_BYTES:].decode("utf-16le", "replace")
            entries[int(match[1], 16)] = text.partition("\0")[0]
    return entries


@dataclass(frozen=True)
class _Found:
    """A variable, deleted or not; `at` is where it begins, `end` where the next one may."""

    at: int
    state: int
    name: str
    data: bytes
    end: int


def _variables(store: bytes | bytearray) -> Iterator[_Found]:
    try:
        offset = _first(store)
        while True:
            start, state, *_, name_bytes, data_bytes, _ = _VARIABLE.unpack_from(store, offset)
            if start != _START:
                return
            name_at = offset + _VARIABLE.size
            data_at = name_at + name_bytes
            name = store[name_at:data_at].decode("utf-16le", "replace")
            end = data_at + data_bytes
            end += -end % 4
            yield _Found(offset, state, name, bytes(store[data_at : data_at + data_bytes]), end)
            offset = end
    except struct.error as error:
        raise BrokenError(f"this is no UEFI variable store: {error}") from error


def _first(store: bytes | bytearray) -> int:
    (volume_header_bytes,) = struct.unpack_from("<H", store, 0x30)
    return int(volume_header_bytes) + _STORE_HEADER_BYTES


def _forget(store: bytearray, wanted: re.Pattern[str]) -> int:
    # Marks variables as deleted whose name matches. Returns where the free room begins.
    end = 0
    for found in _variables(store):
        if wanted.match(found.name):
            store[found.at + _STATE_OFFSET] = found.state & _DELETED
        end = found.end
    return end or _first(store)


def _variable(name: str, data: bytes) -> bytes:
    text = _text(name)
    header = _VARIABLE.pack(
        *(_START, _ADDED, 0, _NON_VOLATILE_BOOT_RUNTIME, 0, bytes(16), 0),
        *(len(text), len(data), _GLOBAL),
    )
    return header + text + data


def _text(text: str) -> bytes:
    return (text + "\0").encode("utf-16le")


def _option(mac: str, pci_slot: int, kind: str) -> bytes:
    # Exactly what edk2 would write, so that it takes the option for its own (EFI_LOAD_OPTION,
    # UEFI 2.10 §3.1.3; device path nodes §10.3).
    octets = Mac(mac).packed
    path = b"".join(
        (
            _node(2, 1, struct.pack("<II", 0x0A0341D0, 0)),  # PciRoot(0x0)
            _node(1, 1, bytes((0, pci_slot))),
            _node(3, 11, octets + bytes(26) + b"\x01"),  # MAC, Ethernet
            *KINDS[kind],
            _node(0x7F, 0xFF, b""),
        )
    )
    name = "HTTPv4" if kind == "http" else "PXEv4"
    description = _text(f"UEFI {name} (MAC:{octets.hex().upper()})")
    return struct.pack("<IH", _ACTIVE, len(path)) + description + path + _AUTO_CREATED
