"""Families: what unattended installers of related systems have in common, one file each."""

from __future__ import annotations

from ironwake.families.base import Family
from ironwake.families.debian import FAMILY as DEBIAN

FAMILIES: dict[str, Family] = {family.name: family for family in (DEBIAN,)}
