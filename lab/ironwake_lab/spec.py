"""What a rack consists of: frozen, checked when made, written to `rack.json` and read back."""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

from ironwake.errors import BrokenError, InputError
from ironwake.mac import Mac
from ironwake_lab.firmware import FIRMWARE

# A rack's name is part of namespace names, a machine's of file names and QEMU options (where a
# comma would start the next property).
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,28}[a-z0-9])?")
_SMBIOS_TEXT = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}")
_DISK_SERIAL_BYTES = 20  # VIRTIO_BLK_ID_BYTES, virtio 1.2 §5.2.6.2
_SECTOR = 512
_LEAST_DISK = 1 << 20
_LEAST_MEMORY_MB = 256


def _check_name(name: str, what: str) -> None:
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r} is no name for a {what}",
            "use 1 to 30 lower-case letters, digits and hyphens, such as node1",
            "name",
        )


@dataclass(frozen=True)
class MachineSpec:
    """One machine: `disk_bytes` in bytes, `memory_mb` in MiB; empty texts get a derived value.

    `ipv6_pxe=False` tells OVMF to leave IPv6 PXE out, as most firmware set-ups do by default.
    """

    name: str
    mac: str
    firmware: str = "uefi"
    disk_bytes: int = 4 << 30
    memory_mb: int = 1024
    cpus: int = 1
    uuid: str = ""
    serial: str = ""
    disk_serial: str = ""
    ipv6_pxe: bool = False

    def __post_init__(self) -> None:
        _check_name(self.name, "machine")
        object.__setattr__(self, "mac", str(Mac(self.mac)))
        if self.firmware not in FIRMWARE:
            raise InputError(
                f"machine {self.name}: unknown firmware {self.firmware!r}",
                f"use one of: {', '.join(FIRMWARE)}",
                "firmware",
            )
        if self.disk_bytes < _LEAST_DISK or self.disk_bytes % _SECTOR:
            raise InputError(
                f"machine {self.name}: a disk of {self.disk_bytes} bytes is too small or odd",
                "use at least 1 MiB, in whole sectors of 512 bytes",
                "disk_bytes",
            )
        if self.memory_mb < _LEAST_MEMORY_MB or self.cpus < 1:
            raise InputError(
                f"machine {self.name}: {self.memory_mb} MiB and {self.cpus} processors do not boot",
                f"give it at least {_LEAST_MEMORY_MB} MiB and one processor",
                "memory_mb",
            )
        self._derive()

    def _derive(self) -> None:
        derived = {
            "uuid": str(uuid.uuid5(uuid.NAMESPACE_OID, f"ironwake-lab {self.mac}")),
            "serial": f"LAB-{self.name}",
            "disk_serial": f"disk-{self.name}"[:_DISK_SERIAL_BYTES],
        }
        for field, value in derived.items():
            object.__setattr__(self, field, getattr(self, field) or value)
        try:
            object.__setattr__(self, "uuid", str(uuid.UUID(self.uuid)))
        except ValueError:
            raise InputError(
                f"machine {self.name}: {self.uuid!r} is not a UUID",
                "write 32 hexadecimal digits, or leave it out",
                "uuid",
            ) from None
        for field in ("serial", "disk_serial"):
            if not _SMBIOS_TEXT.fullmatch(getattr(self, field)):
                raise InputError(
                    f"machine {self.name}: {getattr(self, field)!r} is no serial number",
                    "use letters, digits, spaces, dots, hyphens and underscores",
                    field,
                )
        if len(self.disk_serial) > _DISK_SERIAL_BYTES:
            raise InputError(
                f"machine {self.name}: disk serial {self.disk_serial!r} is too long",
                f"a virtio disk has room for {_DISK_SERIAL_BYTES} characters",
                "disk_serial",
            )


@dataclass(frozen=True)
class RouterSpec:
    """The foreign DHCP server: addresses and a gateway, no boot options, no name service.

    `advertise` answers IPv6 router solicitations: without an answer, iPXE of 2019 waits about
    13 s for one at each of its stages. `extra_lines` go into dnsmasq's configuration as they are.
    """

    address: str = "10.77.0.1"
    mac: str = "52:54:00:77:00:01"
    first: str = "10.77.0.100"
    last: str = "10.77.0.200"
    advertise: bool = True
    extra_lines: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "mac", str(Mac(self.mac)))
        object.__setattr__(self, "extra_lines", tuple(self.extra_lines))
        for field in ("address", "first", "last"):
            try:
                IPv4Address(getattr(self, field))
            except ValueError:
                raise InputError(
                    f"{getattr(self, field)!r} is not an IPv4 address",
                    "write four numbers, such as 10.77.0.1",
                    field,
                ) from None


@dataclass(frozen=True)
class RackSpec:
    """A whole rack; `router=None` leaves the network without any DHCP server."""

    name: str
    machines: tuple[MachineSpec, ...] = ()
    router: RouterSpec | None = RouterSpec()
    appliance: str = "10.77.0.2/24"
    appliance_mac: str = "52:54:00:77:00:02"

    def __post_init__(self) -> None:
        _check_name(self.name, "rack")
        object.__setattr__(self, "machines", tuple(self.machines))
        object.__setattr__(self, "appliance_mac", str(Mac(self.appliance_mac)))
        try:
            network = IPv4Interface(self.appliance).network
        except ValueError:
            raise InputError(
                f"{self.appliance!r} is not an address with a prefix length",
                "write it like 10.77.0.2/24",
                "appliance",
            ) from None
        router = self.router
        for address in (router.address, router.first, router.last) if router else ():
            if IPv4Address(address) not in network:
                raise InputError(
                    f"router: {address} is outside the rack's network {network}",
                    "choose addresses of that network",
                    "router",
                )
        self._check_unique()

    def _check_unique(self) -> None:
        taken: dict[str, str] = {self.appliance_mac: "the appliance"}
        if self.router:
            taken[self.router.mac] = "the router"
        for machine in self.machines:
            for value in (machine.name, machine.mac, machine.uuid):
                if value in taken:
                    raise InputError(
                        f"machine {machine.name}: {value} already belongs to {taken[value]}",
                        "give each machine its own name, MAC and UUID",
                        "machines",
                    )
                taken[value] = f"machine {machine.name}"

    @property
    def network(self) -> IPv4Network:
        """The rack's subnet."""
        return IPv4Interface(self.appliance).network

    def to_json(self) -> str:
        """For `rack.json`."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str = "") -> RackSpec:
        """The inverse of `to_json`; BrokenError when the text is none of ours."""
        try:
            data: dict[str, Any] = json.loads(text)
            machines = tuple(MachineSpec(**one) for one in data.pop("machines"))
            router = RouterSpec(**raw) if (raw := data.pop("router")) else None
            return cls(machines=machines, router=router, **data)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise BrokenError(
                f"this is no description of a rack ({error})",
                "remove the rack's directory and raise the rack again",
                where,
            ) from error
