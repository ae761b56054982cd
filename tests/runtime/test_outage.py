"""What goes on failing does not fill the log."""

from __future__ import annotations

import structlog
from structlog.testing import capture_logs

from ironwake_runtime.outage import Outage


def test_an_outage_is_two_lines() -> None:
    """However long it lasts: its beginning with the error, and its end."""
    with capture_logs() as lines:
        outage = Outage(structlog.get_logger(), "view not saved")
        outage.over()
        for _ in range(2):
            for _ in range(100):
                outage.failed(OSError("no space"), file="/x")
            outage.over()
            outage.over()
    assert [line["event"] for line in lines] == 2 * ["view not saved", "works again"]
    assert (lines[0]["error"], lines[0]["file"]) == ("no space", "/x")


def test_another_error_is_said_within_an_outage() -> None:
    """What goes wrong next is not hidden by what went wrong first, nor said at every turn."""
    with capture_logs() as lines:
        outage = Outage(structlog.get_logger(), "view not saved")
        for error in 50 * [OSError("no space"), OSError("read-only"), OSError()]:
            outage.failed(error)
        outage.over()
    assert [line.get("error") for line in lines] == ["no space", "read-only", "OSError", None]


def test_errors_that_are_never_the_same_have_an_end() -> None:
    """An error with a number in it does not fill the log."""
    with capture_logs() as lines:
        outage = Outage(structlog.get_logger(), "view not saved")
        for number in range(1000):
            outage.failed(OSError(f"no space for {number}"))
    assert len(lines) < 50


def test_a_mistake_of_ours_has_its_traceback() -> None:
    """What nobody has foreseen is an error, and names its kind."""
    with capture_logs() as lines:
        Outage(structlog.get_logger(), "housekeeping failed").surprised(error := KeyError("a"))
    (line,) = lines
    assert (line["log_level"], line["error"], line["exc_info"]) == ("error", "KeyError: 'a'", error)
