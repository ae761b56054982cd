"""Racks with names of their own, taken down whatever happens."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ironwake_lab import MachineSpec, Rack, RackSpec

MAC = "52:54:00:77:00:10"
RaiseRack = Callable[..., Rack]


def spec(**fields: Any) -> RackSpec:
    """A rack of one BIOS machine under a random name, unless the fields say otherwise."""
    node1 = MachineSpec(name="node1", mac=MAC, firmware="bios", disk_bytes=1 << 20, memory_mb=256)
    return RackSpec(**{"name": f"t{secrets.token_hex(6)}", "machines": (node1,), **fields})


@pytest.fixture
def make_spec() -> Callable[..., RackSpec]:
    """`spec`, for tests."""
    return spec


@pytest.fixture
def raise_rack(tmp_path: Path) -> Iterator[RaiseRack]:
    """Raises racks from `make_spec`'s fields; all are down after the test."""
    with contextlib.ExitStack() as stack:

        def up(wanted: RackSpec | None = None, **fields: Any) -> Rack:
            wanted = wanted or spec(**fields)
            return stack.enter_context(Rack.up(wanted, tmp_path / wanted.name))

        yield up
