"""What goes in and out of the public API, for OpenAPI and for checking requests."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

STRICT = ConfigDict(extra="forbid", strict=True)


class Problem(BaseModel):
    """Every error (RFC 9457): what happened, and what to do."""

    title: str
    status: int
    detail: str
    next_step: str = ""
    where: str = ""


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


class StuckShape(BaseModel):
    """Past a deadline: in which stage, why as far as can be told, and what to do."""

    stage: str
    cause: str
    next_step: str


class ClaimShape(BaseModel):
    """Who took the answers, and when."""

    client: str
    boot: str
    at: str


class DeploymentShape(BaseModel):
    """A deployment. Its tokens are nobody's business here."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "d3f9a2c1b",
                    "machine": "node1",
                    "profile": "web",
                    "revision": "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef",
                    "release": "debian-12",
                    "state": "installing",
                    "over": False,
                    "step": "unpacking",
                    "percent": 42.0,
                    "message": "",
                    "stuck": None,
                    "held": "",
                    "erase": [],
                    "created": "2026-01-02T03:04:05.678Z",
                    "expires": "2026-01-02T04:04:05.678Z",
                    "ended": None,
                    "claim": {"client": "10.77.0.100", "boot": "", "at": "2026-01-02T03:05:06Z"},
                }
            ]
        }
    )
    id: str
    machine: str
    profile: str
    revision: str
    release: str
    state: str
    over: bool
    step: str
    percent: float | None
    message: str
    stuck: StuckShape | None
    held: str
    erase: list[str]
    created: str
    expires: str
    ended: str | None
    claim: ClaimShape | None


class LearnedShape(BaseModel):
    """What was learned by watching: which offer each firmware took, and the way to the disk."""

    uuid: str = ""
    seen_uuid: str = Field(default="", description="another one, which a person has to confirm")
    personality: dict[str, str] = Field(default_factory=dict)
    local_boot: str = "silence"
    proved: bool = False
    secure_boot: str = ""


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


class CaptureWanted(BaseModel):
    """What an image is made of: `name` is `web` or `web@word`.

    `disk` is as in a profile's disk.match. With `root` (`auto`, `UUID=…`, `LABEL=…`), it is a root
    file system's files instead.
    """

    model_config = STRICT
    name: str = Field(max_length=100)
    disk: str = Field("auto", max_length=200)
    root: str = Field("", max_length=200)


class Wanted(BaseModel):
    """What shall become of a machine; `erase` names the disks that may lose what is on them.

    Without a profile, `method` is `wipe` (all of `erase` is emptied, nothing else is touched),
    `rescue`, or `capture` (`capture` says what is read, and nothing is written). `finish`, if
    given, is instead of the profile's.

    `wake` switches it on, by its power driver; with `cycle`, one that runs is restarted. `keys` are
    passphrases for encrypted volumes of its layout, by name, or "" for all; without, one is made.
    """

    model_config = ConfigDict(
        **STRICT, json_schema_extra={"examples": [{"profile": "web", "erase": ["WD-1234"]}]}
    )
    profile: str = Field("", max_length=100)
    method: str = Field("", max_length=20)
    finish: str = Field("", max_length=20)
    erase: list[str] = Field(default_factory=list, max_length=64)
    wake: bool = True
    cycle: bool = False
    minutes: float | None = None
    keys: dict[str, str] = Field(default_factory=dict, max_length=64)
    capture: CaptureWanted | None = None


class KeysShape(BaseModel):
    """Passphrases of encrypted volumes, by the names of their mappings (/dev/mapper/NAME)."""

    keys: dict[str, str]


class EventShape(BaseModel):
    """One line of the history; `state` is the deployment's after it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "seq": 17,
                    "at": "2026-01-02T03:04:05.678Z",
                    "machine": "node1",
                    "deployment": "d3f9a2c1b",
                    "kind": "offered",
                    "evidence": "offered",
                    "state": "offered",
                    "message": "was offered sb/shimx64.efi",
                    "detail": {"firmware": "uefi-amd64-pxe", "file": "sb/shimx64.efi"},
                    "plan": "",
                }
            ]
        }
    )
    seq: int
    at: str
    machine: str
    deployment: str
    kind: str
    evidence: str
    state: str
    message: str
    detail: dict[str, Any]
    plan: str


class MachinePage(BaseModel):
    """`next` goes into `after` for the next page; null at the end."""

    items: list[MachineShape]
    next: str | None


class DeploymentPage(BaseModel):
    """The newest first; `next` goes into `after` for the next page; null at the end."""

    items: list[DeploymentShape]
    next: str | None


class EventPage(BaseModel):
    """Oldest first; `next` goes into `after` for the next page; null at the end."""

    items: list[EventShape]
    next: str | None


class ProfileShape(BaseModel):
    """A profile's file; `error` says what is wrong with it, and where."""

    name: str
    revision: str
    profile: dict[str, Any] | None
    error: str | None


class ProfilePage(BaseModel):
    items: list[ProfileShape]
    next: None = None


class ImageShape(BaseModel):
    """An image, sizes in bytes; what nobody knows is empty.

    `size` is the disk's, or that of all files of a root. `machines` have it, or are about to.
    """

    name: str
    kind: str
    size: int
    least_disk: int
    built: str
    tags: list[str]
    architecture: str
    boot_modes: list[str]
    kernel: str
    family: str
    sha256: str
    source: str
    machines: list[str]


class ImagePage(BaseModel):
    items: list[ImageShape]
    next: None = None


class PlanShape(BaseModel):
    """What a card gets now, and why: what the services would send, byte for byte.

    `script` is what a loader that runs already gets; `payload` the order or the answers, while they
    can still be claimed. Where we are the DHCP server, `reserved` is the address that is reserved
    for the card, and `last_address` the one that it has or had; without either, one is chosen when
    it asks.
    """

    mac: str
    machine: str | None
    firmware: str
    kind: str
    reason: str
    loader: str | None
    first_file: str | None
    script_name: str | None
    script: str | None
    kernel: str | None
    initrd: str | None
    arguments: list[str]
    payload_type: str | None
    payload: str | None
    digest: str | None
    personalities: list[str] = Field(default_factory=list)
    rung: str | None = None
    warnings: list[str] = Field(default_factory=list)
    reserved: str | None = None
    last_address: str | None = None


class PartShape(BaseModel):
    """A partition: `start` and `size` in bytes."""

    number: int
    name: str
    start: int
    size: int
    type: str
    content: str


class DiskPlanShape(BaseModel):
    """One disk of a layout: which it is, and its partitions before and after.

    `stays`: its partition table is the layout's already.
    """

    name: str
    disk: str
    stays: bool
    before: list[PartShape]
    after: list[PartShape]


class CommandShape(BaseModel):
    """`stdin` is its input; `key`: that is the key of this encrypted volume, and is not shown."""

    words: list[str]
    stdin: str = ""
    key: str = ""


class DisksPlanShape(BaseModel):
    """What a layout means on a machine's disks: the very commands that its agent runs.

    The ids in them are those of the deployment that is armed; else of one that is made up.
    """

    machine: str
    profile: str
    disks: list[DiskPlanShape]
    commands: list[CommandShape]
    files: dict[str, str]


class MediaShape(BaseModel):
    name: str
    kind: str
    built: str
    facts: dict[str, str]


class SiteShape(BaseModel):
    """What the appliance is to its network, and what it has in store.

    `subnets`: in which it gives addresses, with the fields that the file of subnets has. `foreign`:
    other DHCP and boot servers that have answered of late, and what they tell a PXE client.
    """

    id: str
    version: str
    address: str
    prefix: int
    url: str
    domain: str
    dhcp_mode: str
    subnets: list[dict[str, Any]]
    foreign: list[dict[str, Any]]
    ramdisk: str
    mirror: str
    view: int
    media: list[MediaShape]
    trouble: dict[str, str]
