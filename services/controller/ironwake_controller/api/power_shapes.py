"""Power drivers and switching as they go in and out of the public API."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ironwake_controller.api.shapes import STRICT


class NewPower(BaseModel):
    """What switches a machine. Every driver has settings of its own: see docs/power.md."""

    model_config = ConfigDict(
        **STRICT,
        json_schema_extra={
            "examples": [
                {
                    "driver": "redfish",
                    "settings": {"address": "10.0.0.7", "user": "admin", "password": "…"},
                }
            ]
        },
    )
    driver: str = Field(max_length=20)
    settings: dict[str, Any] = Field(default_factory=dict, max_length=64)


class PowerShape(BaseModel):
    """What switches a machine, and what it can do; in place of a secret stands `set`."""

    machine: str
    driver: str
    settings: dict[str, Any]
    can: list[str]


class SwitchedShape(BaseModel):
    """How it went, in words; `state` is what was found: on, off or unknown."""

    machine: str
    driver: str
    operation: str
    message: str
    state: str
