"""What holds for all tests."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

# No test fails because the machine was busy: an example takes as long as it takes.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

# Floods hold both ends of a thousand connections in one process, more than the 1,024 descriptors
# that a shell gives. No more than these: some programs close every number that they may have.
_DESCRIPTORS = 16384

# Files of virtual machines, the longest first: a worker takes one as a whole, and the two shall end
# at about the same time. A file that is not here comes last. `pytest --durations=0` tells.
LONGEST_FIRST = (
    "containers/test_engine.py",
    "e2e/test_layouts.py",
    "e2e/test_fai.py",
    "e2e/test_disk_image_faults.py",
    "e2e/test_capture_mirror.py",
    "e2e/test_disk_image.py",
    "e2e/test_live.py",
    "e2e/test_first_machine.py",
    "ramdisk/test_boot.py",
    "e2e/test_bios.py",
    "e2e/test_installer.py",
    "e2e/test_orders.py",
    "e2e/test_kills.py",
    "e2e/test_wrong_machines.py",
    "e2e/test_local_boot_uefi.py",
    "e2e/test_identity.py",
    "e2e/test_personalities.py",
    "e2e/test_matrix.py",
    "e2e/test_unchanged_disks.py",
    "e2e/test_arm64.py",
    "e2e/test_power.py",
    "e2e/test_routers.py",
    "e2e/test_refused_loaders.py",
    "e2e/test_local_boot_bios.py",
    "lab/test_boot.py",
    "e2e/test_wimboot.py",
)
_HERE = Path(__file__).parent


def pytest_configure() -> None:
    """Take as many descriptors as floods need, where the host lets us; log tracebacks as they are.

    Where rich is installed, structlog would draw all variables of each frame: a second for each.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    *chain, _ = structlog.get_config()["processors"]
    plain = structlog.dev.ConsoleRenderer(
        colors=False, exception_formatter=structlog.dev.plain_traceback
    )
    structlog.configure(processors=[*chain, plain])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long files first; whatever else was in order stays so."""
    places = {_HERE / file: place for place, file in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))
