"""What every end-to-end test stands on: the media, built once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ironwake_testing import scene

_LINES = "MATRIX_JSON"  # names a file


@pytest.fixture(scope="session")
def store() -> Path:
    """Loaders, the ramdisk and Debian 12 for virtual machines."""
    return scene.build("debian-12-cloud")


class MatrixLines:
    """A line for each cell of the matrix as it ends, and the same as JSON where it is wanted."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Whether it went well or not."""
        told = {str(name): str(value) for name, value in report.user_properties}
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if report.when != "call" or "journey" not in told or terminal is None:
            return
        terminal.ensure_newline()
        terminal.write_line(told["journey"])
        if wanted := os.environ.get(_LINES):
            with Path(wanted).open("a", encoding="utf-8") as lines:
                lines.write(f"{told['journey-json']}\n")


def pytest_configure(config: pytest.Config) -> None:
    """Only where reports come together: each of xdist's workers has a configuration, too."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(MatrixLines(config))
