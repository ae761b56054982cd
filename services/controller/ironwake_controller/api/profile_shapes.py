"""Profiles as the public API shows them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


class ProfileShape(BaseModel):
    """A profile's file; `error` says what is wrong with it, and where."""

    name: str
    revision: str
    profile: dict[str, Any] | None
    error: str | None


class ProfilePage(BaseModel):
    items: list[ProfileShape]
    next: None = None
