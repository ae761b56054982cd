"""Leases and reservations as they go in and out of the public API."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from ironwake_controller.api.shapes import STRICT


class LeaseShape(BaseModel):
    """Who has, or had, an address; `first_seen`: when this card first had one of the subnet."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "address": "10.77.0.100",
                    "mac": "52:54:00:77:00:10",
                    "machine": "node1",
                    "hostname": "debian",
                    "subnet": "10.77.0.0/24",
                    "state": "live",
                    "reserved": False,
                    "expires": "2026-01-02T04:04:05.678Z",
                    "first_seen": "2026-01-02T03:04:05.678Z",
                }
            ]
        }
    )
    address: str
    mac: str | None
    machine: str | None
    hostname: str
    subnet: str
    state: str
    reserved: bool
    expires: str
    first_seen: str


class LeasePage(BaseModel):
    """By address; `next` goes into `after` for the next page; null at the end."""

    items: list[LeaseShape]
    next: str | None


class ReservationWish(BaseModel):
    """Machines whose leases become reservations, in the order in which they came up.

    `first`: number them anew, from this address on. Nothing is changed without `write`.
    """

    model_config = ConfigDict(
        **STRICT, json_schema_extra={"examples": [{"all": True, "first": "10.77.0.10"}]}
    )
    machines: list[str] = Field(default_factory=list, max_length=1000)
    all: bool = False
    first: str = ""
    write: bool = False


class ReservationChange(BaseModel):
    """The card's reservation, as it was (`before`) and as it becomes."""

    machine: str
    mac: str
    before: str | None
    address: str


class ReservationPage(BaseModel):
    """What changes, in the order in which the machines came up; `written`: it has."""

    items: list[ReservationChange]
    written: bool
    next: None = None
