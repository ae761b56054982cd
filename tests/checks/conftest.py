"""A controller, for its OpenAPI."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controller.appliance import Appliance


@pytest.fixture
def appliance(tmp_path: Path) -> Iterator[Appliance]:
    """One that was never used."""
    made = Appliance(tmp_path)
    try:
        yield made
    finally:
        made.close()
