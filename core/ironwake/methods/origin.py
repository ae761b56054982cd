"""What a system is made of: a release's media, or an image; the same questions to both."""

from __future__ import annotations

from dataclasses import dataclass

from ironwake.firmware import Architecture
from ironwake.release import Release
from ironwake.site import Policy


@dataclass(frozen=True)
class Origin:
    """`title` is for people; `least_disk` in bytes; no `architectures`: nobody knows."""

    title: str
    architectures: tuple[Architecture, ...]
    least_disk: int
    _image: str
    _release: Release | None = None

    def manifest(self, architecture: Architecture) -> str:
        """The manifest for machines of that architecture; an image is for one alone."""
        return self._release.medium(architecture) if self._release else self._image


def origin(release: Release | None, image: str, policy: Policy) -> Origin:
    """What a system of this release, or image, is made of, as the shelf has it now."""
    if release:
        return Origin(release.title, release.architectures, release.least_disk, "", release)
    facts = policy.shelf.facts.get(image, {})
    told = facts.get("architecture", "")
    made = tuple(one for one in Architecture if one == told)
    least = int(facts.get("least_disk") or facts.get("logical_bytes") or 0)
    return Origin(image, made, least, image)
