"""Deployments and their events as they go in and out of the public API."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ironwake_controller.api.shapes import STRICT


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


class DeploymentPage(BaseModel):
    """The newest first; `next` goes into `after` for the next page; null at the end."""

    items: list[DeploymentShape]
    next: str | None


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


class EventPage(BaseModel):
    """Oldest first; `next` goes into `after` for the next page; null at the end."""

    items: list[EventShape]
    next: str | None
