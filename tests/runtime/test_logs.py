"""Logs: whatever becomes of the place that they are written to, nothing ends because of it."""

from __future__ import annotations

import os
from pathlib import Path

from ironwake_runtime.logs import Lines


def test_a_log_on_a_full_disk_ends_nothing(tmp_path: Path) -> None:
    """What cannot be written is counted; the first line for which there is room tells how many."""
    file = tmp_path / "log"
    out = os.open("/dev/full", os.O_WRONLY)
    lines = Lines(out)
    try:
        for number in range(3):
            assert lines.write(f"lost {number}\n") == 7
        lines.flush()
        there = os.open(file, os.O_WRONLY | os.O_CREAT)
        os.dup2(there, out)
        os.close(there)
        lines.write("kept\n")
        lines.write("kept, too\n")
    finally:
        os.close(out)
    assert file.read_text() == "# 3 lines could not be written here\nkept\nkept, too\n"


def test_a_log_that_nobody_reads_ends_nothing() -> None:
    """The reader of a pipe may go at any time."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        Lines(writer).write("for nobody\n")
    finally:
        os.close(writer)
