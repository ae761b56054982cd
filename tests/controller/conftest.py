"""Fixtures of the controller's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ironwake_testing import memory
from tests.controller.appliance import Appliance, add_media
from tests.controller.equipped import BMC, POWER, Hands
from tests.controller.process import PATIENCE, Process, Start


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """In memory: a controller flushes whatever it takes down."""
    with memory.folder() as folder:
        yield folder


@pytest.fixture
def appliance(tmp_path: Path) -> Iterator[Appliance]:
    """A controller with media and the profile `web`."""
    made = Appliance(tmp_path)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def opened() -> Iterator[Callable[..., Appliance]]:
    """Opens controllers as the test wants them; those left open are closed."""
    made: list[Appliance] = []

    def make(folder: Path, *arguments: Any, **keywords: Any) -> Appliance:
        made.append(Appliance(folder, *arguments, **keywords))
        return made[-1]

    try:
        yield make
    finally:
        for one in made:
            one.die()


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def equipped(opened: Callable[..., Appliance], tmp_path: Path, hands: Hands) -> Appliance:
    """A controller with one machine, which has a BMC."""
    made = opened(tmp_path, hands=hands)
    made.enrol()
    made.good("PUT", POWER, BMC)
    return made


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts controllers on one folder; none is left behind."""
    running: list[Process] = []
    add_media(tmp_path / "artifacts")
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "web.yaml").write_text("release: debian-12\n")

    def make(**more: str) -> Process:
        running.append(Process(tmp_path, **more))
        return running[-1]

    try:
        yield make
    finally:
        for one in running:
            if one.process.poll() is None:
                one.process.kill()
            one.process.wait(PATIENCE)
            if one.process.stderr is not None:
                one.process.stderr.close()
