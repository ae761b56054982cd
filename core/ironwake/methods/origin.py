"""What a system is made of: a release's media, or an image; the same questions to both."""

from __future__ import annotations

from dataclasses import dataclass

from ironwake import release as releases
from ironwake.firmware import Architecture
from ironwake.profile import Profile
from ironwake.site import Policy


@dataclass(frozen=True)
class Origin:
    """`title` is for people; `least_disk` in bytes; no `architectures`: nobody knows."""

    title: str
    architectures: tuple[Architecture, ...]
    least_disk: int
    _base: str
    _is_image: bool

    def manifest(self, architecture: Architecture) -> str:
        """The manifest for machines of that architecture; an image is for one alone."""
        return self._base if self._is_image else releases.find(self._base).medium(architecture)


def origin(profile: Profile, policy: Policy) -> Origin:
    """What this profile's system is made of, as the shelf has it now."""
    if profile.release:
        row = releases.find(profile.release)
        return Origin(row.title, row.architectures, row.least_disk, row.name, _is_image=False)
    facts = policy.shelf.facts.get(profile.image, {})
    told = facts.get("architecture", "")
    made = tuple(one for one in Architecture if one == told)
    least = int(facts.get("least_disk") or facts.get("logical_bytes") or 0)
    return Origin(profile.image, made, least, profile.image, _is_image=True)
