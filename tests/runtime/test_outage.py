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
