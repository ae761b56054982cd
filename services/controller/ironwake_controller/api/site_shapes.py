"""The appliance as the public API shows it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


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
    package_cache: str
    view: int
    media: list[MediaShape]
    trouble: dict[str, str]
