"""What would be done, as the public API shows it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field


class ParameterShape(BaseModel):
    """A parameter as it is told, secrets left out; `origin`: who states it, "" for nobody."""

    name: str
    value: Any
    origin: str


class AnswerShape(BaseModel):
    """What a machine would be told, with a word in the place of each secret."""

    machine: str
    profile: str
    files: dict[str, str] = Field(description="answer files by name; the order, for our own agent")
    binary: list[str] = Field(description="names of the files that are bytes, in base64")
    parameters: list[ParameterShape]


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
