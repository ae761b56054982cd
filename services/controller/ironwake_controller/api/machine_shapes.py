"""Machines as they go in and out of the public API."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from ironwake_controller.api.deployment_shapes import DeploymentShape
from ironwake_controller.api.shapes import STRICT


class NewMachine(BaseModel):
    """A machine to enrol; all of `macs` are woken."""

    model_config = ConfigDict(
        **STRICT,
        json_schema_extra={
            "examples": [{"name": "node1", "macs": ["52:54:00:77:00:10"], "labels": {"rack": "a3"}}]
        },
    )
    name: str
    macs: list[str] = Field(max_length=32)
    uuid: str = ""
    serial: str = Field("", max_length=100)
    architecture: str = "amd64"
    labels: dict[str, str] = Field(default_factory=dict, max_length=64)
    reservations: dict[str, str] = Field(
        default_factory=dict, max_length=32, description="MAC address to fixed IPv4 address"
    )
    loader: str = Field("", description="grub, ipxe or pxelinux; empty: by its firmware")
    local_boot: str = Field("", description="its way to the disk; empty: as learned")
    personalities: list[str] = Field(default_factory=list, max_length=8)


class MachineChange(BaseModel):
    """What to change; what is not given stays."""

    model_config = ConfigDict(
        **STRICT, json_schema_extra={"examples": [{"labels": {"rack": "b1"}}]}
    )
    macs: list[str] | None = Field(None, max_length=32)
    uuid: str | None = None
    serial: str | None = Field(None, max_length=100)
    architecture: str | None = None
    labels: dict[str, str] | None = Field(None, max_length=64)
    reservations: dict[str, str] | None = Field(None, max_length=32)
    loader: str | None = None
    local_boot: str | None = None
    personalities: list[str] | None = Field(None, max_length=8)


class Confirmed(BaseModel):
    """Which UUID a person has seen and knows; left out, it is whichever was seen last."""

    model_config = ConfigDict(
        **STRICT,
        json_schema_extra={"examples": [{"uuid": "2e0e2e0e-0077-4000-0000-525400770010"}]},
    )
    uuid: str = Field("", max_length=40)


class LearnedShape(BaseModel):
    """What was learned by watching: which offer each firmware took, and the way to the disk."""

    uuid: str = ""
    seen_uuid: str = Field(default="", description="another one, which a person has to confirm")
    personality: dict[str, str] = Field(default_factory=dict)
    local_boot: str = "silence"
    proved: bool = False
    secure_boot: str = ""
    ram: int = Field(default=0, description="bytes; 0 while it is not known")


class MachineShape(BaseModel):
    """A machine; `state` is that of its latest deployment, or `enrolled`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "node1",
                    "macs": ["52:54:00:77:00:10"],
                    "uuid": "",
                    "serial": "",
                    "architecture": "amd64",
                    "labels": {"rack": "a3"},
                    "reservations": {"52:54:00:77:00:10": "10.77.0.100"},
                    "locked": False,
                    "state": "enrolled",
                    "address": "10.77.0.100",
                    "firmware": "uefi-amd64-pxe",
                    "last_seen": "2026-01-02T03:04:05.678Z",
                    "deployment": None,
                    "facts": {"vendor": "QEMU"},
                }
            ]
        }
    )
    name: str
    macs: list[str]
    uuid: str
    serial: str
    architecture: str
    labels: dict[str, str]
    reservations: dict[str, str]
    locked: bool
    state: str
    address: str
    firmware: str
    last_seen: str | None
    deployment: DeploymentShape | None
    facts: dict[str, str]
    loader: str = ""
    local_boot: str = ""
    personalities: list[str] = Field(default_factory=list)
    learned: LearnedShape = LearnedShape()


class MachinePage(BaseModel):
    """`next` goes into `after` for the next page; null at the end."""

    items: list[MachineShape]
    next: str | None
