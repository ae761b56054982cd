"""A machine: a physical computer, known by its network cards and its SMBIOS identity."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field

from ironwake.errors import InputError
from ironwake.firmware import Architecture
from ironwake.lease import check_reservations
from ironwake.localboot import LoaderName, Rung
from ironwake.mac import Mac
from ironwake.names import HostName
from ironwake.personality import Personality


class MachineUuid(str):
    """The SMBIOS UUID as `dmidecode` prints it: lower case, with hyphens."""

    __slots__ = ()

    def __new__(cls, text: str) -> MachineUuid:
        try:
            return str.__new__(cls, str(uuid.UUID(text)))
        except ValueError:
            raise InputError(
                f"{text!r:.60} is not a UUID", "copy it from dmidecode -s system-uuid", "uuid"
            ) from None

    def is_same(self, other: str) -> bool:
        """Whether `other`, a UUID in any spelling, is this one; text that is no UUID is not.

        Firmware disagrees about the byte order of the first three groups (SMBIOS 2.6 §7.2.1), so
        both orders are the same.
        """
        try:
            there = uuid.UUID(other)
        except ValueError:
            return False
        return self in (str(there), str(uuid.UUID(bytes_le=there.bytes)))

    @classmethod
    def from_option_97(cls, value: bytes) -> MachineUuid | None:
        """From DHCP option 97: a zero byte and 16 more, the first three groups little-endian.

        RFC 4578 §2.3. None where the client sent something else, or all zero (QEMU without -uuid).
        """
        if len(value) != 17 or value[0] != 0 or not any(value[1:]):
            return None
        # As `uuid` would write it, which takes ten times as long: every DHCP request has one.
        first, second, third = value[4:0:-1].hex(), value[6:4:-1].hex(), value[8:6:-1].hex()
        text = f"{first}-{second}-{third}-{value[9:11].hex()}-{value[11:].hex()}"
        return str.__new__(cls, text)


@dataclass(frozen=True)
class Machine:
    """What a person enrolled.

    `macs`: all are woken; until it was seen which one it boots from, the first counts. `uuid` and
    `serial` are "" while nobody has named them. `locked` machines are never offered anything.
    `reservations`: a card's fixed IPv4 address, which our DHCP server gives to no other. `loader`,
    `local_boot` and `personalities` are pinned by a person; where they are empty, the site's quirks
    decide, then what was learned, then the firmware's row.
    """

    name: HostName
    macs: tuple[Mac, ...]
    uuid: str = ""
    serial: str = ""
    architecture: Architecture = Architecture.AMD64
    labels: dict[str, str] = field(default_factory=dict)
    locked: bool = False
    reservations: dict[str, str] = field(default_factory=dict)
    loader: LoaderName | None = None
    local_boot: Rung | None = None
    personalities: tuple[Personality, ...] = ()

    def __post_init__(self) -> None:
        if not self.macs:
            raise InputError("a machine needs a MAC address", "give at least one", "macs")
        if len(set(self.macs)) != len(self.macs):
            raise InputError("the same MAC address is given twice", "give each once", "macs")
        object.__setattr__(self, "reservations", check_reservations(self.reservations, self.macs))
        if self.uuid:
            object.__setattr__(self, "uuid", MachineUuid(self.uuid))


def labels_of(words: Iterable[str], where: str = "label") -> dict[str, str]:
    """Labels as people write them, `key=value` each; InputError names the one that is none."""
    labels = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not key or not equals:
            raise InputError(f"{word!r:.80} is not a label", "write it as key=value", where)
        labels[key] = value
    return labels
