"""The matrix of firmware and DHCP modes: `make e2e-matrix` runs all cells, a line for each.

`make test` runs those without the marker `matrix`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from ironwake_lab import RouterSpec
from ironwake_testing import arm64, matrix, undionly
from ironwake_testing.matrix import CELLS, PROXY, Cell
from ironwake_testing.scene import Scene, scene

pytestmark = pytest.mark.root
Report = Callable[[str, object], None]


def marks(cell: Cell) -> list[pytest.MarkDecorator]:
    """Two groups, for two racks may stand side by side."""
    found = [pytest.mark.xdist_group(cell.mode)]
    found += [pytest.mark.qemu] if cell.machine is not None else []
    return found + ([] if cell.every_day else [pytest.mark.matrix])


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Scene]]:
    """By mode: a rack with all machines of it, all off; raised when the first cell wants it."""
    raised: dict[str, Scene] = {}
    store = arm64.stock(tmp_path_factory.mktemp("artifacts"), "debian-12-cloud")
    with contextlib.ExitStack() as stack:

        def there(mode: str) -> Scene:
            if mode not in raised:
                machines = [cell.spec for cell in matrix.cells(mode) if cell.machine is not None]
                folder = tmp_path_factory.mktemp(mode)
                router = RouterSpec() if mode == PROXY else None
                settings = matrix.settings(mode)
                raised[mode] = stack.enter_context(
                    scene(folder, *machines, router=router, settings=settings, artifacts=store)
                )
            return raised[mode]

        yield there


@pytest.mark.parametrize(
    "cell", [pytest.param(cell, id=cell.name, marks=marks(cell)) for cell in CELLS]
)
def test_cell(scenes: Callable[..., Scene], cell: Cell, record_property: Report) -> None:
    """The machine reaches its goal by the way that this firmware takes, and is known as what it is.

    With Secure Boot, the running system says that it is on.
    """
    there = scenes(cell.mode)
    travel = undionly.drive if cell.machine is None else matrix.drive
    journey, events = travel(there, cell)
    record_property("journey", journey.line)
    record_property("journey-json", journey.json)
    assert journey.arrived, events[-3:]
    assert there.appliance.api("GET", f"/v1/machines/{cell.spec.name}")["firmware"] == cell.seen
    facts = [event["detail"]["facts"] for event in events if event["kind"] == "facts"]
    assert not cell.secure_boot or facts[0]["secure_boot"] == "on"
    assert bool(there.rack.spec.router) == (cell.mode == PROXY)


@pytest.mark.parametrize(
    "mode", [pytest.param(m, marks=pytest.mark.xdist_group(m)) for m in (PROXY, matrix.SERVER)]
)
def test_the_loop_of_the_capture(scenes: Callable[..., Scene], mode: str) -> None:
    """iPXE, from a ROM or as undionly.kpxe, is never offered undionly.kpxe, however often it asks.

    The capture is of a server that did: they loaded each other for ever.
    """
    undionly.check_no_loop(scenes(mode))
