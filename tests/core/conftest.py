"""Fixtures of the core's tests."""

from __future__ import annotations

import pytest

from ironwake_testing.core import Bench, make_bench


@pytest.fixture
def bench() -> Bench:
    return make_bench()
