"""What Ubuntu's installer reads of an installation in tests."""

from __future__ import annotations

import base64
from typing import Any

import yaml

from ironwake.families import FAMILIES
from ironwake.families.base import Install

FAMILY = FAMILIES["ubuntu"]
RELEASE = "ubuntu-24.04"


def data(install: Install) -> dict[str, Any]:
    """What stands below autoinstall, as a YAML reader has it."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(FAMILY.answers(install).files["user-data"])
    return found["autoinstall"]


def script(command: str) -> str:
    """What one of our commands runs."""
    return base64.b64decode(command.split()[1]).decode()
