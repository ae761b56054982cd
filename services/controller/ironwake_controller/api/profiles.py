"""`/v1/profiles`: what machines can become. Written in files, only read here."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from ironwake import wire
from ironwake.parameters import scope
from ironwake.profile import Profile
from ironwake_controller.api.profile_shapes import ProfilePage, ProfileShape
from ironwake_controller.house import House
from ironwake_controller.profiles import Found


def routes(house: House) -> APIRouter:
    """The routes of this noun."""
    router = APIRouter(prefix="/v1/profiles", tags=["profiles"])

    @router.get("")
    def listing() -> ProfilePage:
        """All profiles; those with a mistake say where it is."""
        return ProfilePage(items=[_show(found) for found in house.profiles.every()])

    @router.get("/{name}")
    def get(name: str) -> ProfileShape:
        """One profile. 422 with file and line where it has a mistake."""
        profile, revision = house.profiles.get(name)
        return ProfileShape(name=name, revision=revision, profile=_dump(profile), error=None)

    return router


def _dump(profile: Profile) -> dict[str, Any]:
    return {**wire.dump(profile), "parameters": scope.masked(profile.parameters)}


def _show(found: Found) -> ProfileShape:
    return ProfileShape(
        name=found.name,
        revision=found.revision,
        profile=_dump(found.profile) if found.profile else None,
        error=str(found.error) if found.error else None,
    )
