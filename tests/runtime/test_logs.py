"""Logs: whatever becomes of the place that they are written to, nothing ends because of it."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
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


def test_a_line_that_was_cut_off_ends_before_the_next_one() -> None:
    """Room for a part of a line: what follows begins on its own line."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    lines = Lines(writer)
    try:
        room = fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ)
        lines.write("x" * (room + 1) + "\n")  # no room for its end
        assert os.read(reader, room) == b"x" * room
        lines.write("kept\n")
        told = os.read(reader, room)
    finally:
        os.close(reader)
        os.close(writer)
    assert told == b"\n# 1 lines could not be written here\nkept\n"


def test_a_loss_is_an_event_where_events_are_json(tmp_path: Path) -> None:
    """Every line of such a log is a document, also after a full disk."""
    file = tmp_path / "log"
    program = f"""
import os, sys
from ironwake_runtime import logs
from ironwake_runtime.settings import read
log = logs.set_up(read(dict(IRONWAKE_LOG_FORMAT="json")), "dns")
log.warning("lost")
os.dup2(os.open({str(file)!r}, os.O_WRONLY | os.O_CREAT), 2)
log.warning("kept")
"""
    with Path("/dev/full").open("w") as full:
        subprocess.run([sys.executable, "-c", program], stderr=full, check=True)
    lost, kept = (json.loads(line) for line in file.read_text().splitlines())
    assert (lost["event"], lost["count"]) == ("lines could not be written here", 1)
    assert lost["level"] == kept["level"] == "warning"
    assert kept["event"] == "kept"
