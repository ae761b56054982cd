"""A fixture for files whose every test attacks a service: nothing may tell of an exception."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from ironwake_testing.hostile_http import assert_quiet


@pytest.fixture(autouse=True)
def quiet(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Not the service, whose own log goes to standard output, nor asyncio or a server below it."""
    yield
    told = [one for one in caplog.get_records("call") if one.levelno >= logging.ERROR]
    assert [one.getMessage() for one in told] == []
    assert_quiet(caplog.text)
    assert_quiet("".join(capsys.readouterr()))
