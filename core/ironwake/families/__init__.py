"""Families: what unattended installers of related systems have in common, one file each."""

from __future__ import annotations

from ironwake.errors import InputError
from ironwake.families.base import Family, check, unseen
from ironwake.families.coreos import FAMILY as COREOS
from ironwake.families.debian import FAMILY as DEBIAN
from ironwake.families.esxi import FAMILY as ESXI
from ironwake.families.fai import FAMILY as FAI
from ironwake.families.other import FAMILY as OTHER
from ironwake.families.redhat import FAMILY as REDHAT
from ironwake.families.suse import FAMILY as SUSE
from ironwake.families.talos import FAMILY as TALOS
from ironwake.families.ubuntu import FAMILY as UBUNTU
from ironwake.families.windows import FAMILY as WINDOWS
from ironwake.release import Release

__all__ = ["FAMILIES", "Family", "check", "of", "unseen"]

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (COREOS, DEBIAN, ESXI, FAI, OTHER, REDHAT, SUSE, TALOS, UBUNTU, WINDOWS)
}


def of(release: Release) -> Family:
    """The release's; InputError where it has no unattended installer that we know."""
    try:
        return FAMILIES[release.family]
    except KeyError:
        raise InputError(
            f"{release.title} has no installer that we can answer",
            f"families that have: {', '.join(FAMILIES)}",
            "release",
        ) from None
