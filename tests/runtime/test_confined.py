"""Foreign programs on what strangers wrote: what they may use up, and what is left of them."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ironwake_runtime.confined import Limits, run


def _python(code: str, folder: Path, limits: Limits | None = None) -> tuple[int, str]:
    return run([sys.executable, "-c", code], folder, limits or Limits())


def test_what_it_says_and_how_it_ends(tmp_path: Path) -> None:
    """Both of its outputs, and its status."""
    code = "import sys; print('said'); print('complained', file=sys.stderr); sys.exit(7)"
    status, text = _python(code, tmp_path)
    assert (status, text.split()) == (7, ["said", "complained"])


def test_nothing_of_our_environment_goes_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Passwords may be in it; what it leaves for later, it leaves in its own folder."""
    monkeypatch.setenv("IRONWAKE_CANARY", "canary")
    monkeypatch.setenv("TMPDIR", "/nowhere")
    code = "import os, tempfile; print(sorted(os.environ), tempfile.gettempdir(), os.getcwd())"
    status, text = _python(code, tmp_path)
    assert status == 0
    assert "CANARY" not in text
    assert text.split()[-2:] == [str(tmp_path), str(tmp_path)]


@pytest.mark.parametrize("out", ["stdout", "stderr"])
def test_whoever_says_too_much_is_ended(tmp_path: Path, out: str) -> None:
    """Its words are a file of a bounded size, and we read the beginning."""
    code = f"import sys\nwhile True: sys.{out}.write('x' * 1000)"
    status, text = _python(code, tmp_path, Limits(output=1 << 20))
    assert status != 0
    assert 1000 < len(text) <= 2 * (64 << 10) + 1
    assert max(one.stat().st_size for one in tmp_path.iterdir()) <= 1 << 20


def test_whoever_takes_too_much_memory_is_told(tmp_path: Path) -> None:
    """More is not given."""
    status, text = _python("bytearray(1 << 30)", tmp_path, Limits(memory=256 << 20))
    assert (status, text.split()[-1]) == (1, "MemoryError")


def test_whoever_only_computes_is_ended(tmp_path: Path) -> None:
    """By its processor's time, however slow this host is."""
    status, _ = _python("while True: pass", tmp_path, Limits(cpu=1))
    assert status < 0


def test_whoever_waits_is_ended_with_all_that_it_has_started(tmp_path: Path) -> None:
    """A child of its own, with our file as its output, is waited for by nobody."""
    note = tmp_path / "child"
    code = f"sleep 1000 & echo $! > new; mv new {note}; wait"
    for seconds in (1, 10, 100):  # a busy host may not have come so far
        status, _ = run(["/bin/sh", "-c", code], tmp_path, Limits(seconds=seconds))
        assert status < 0
        if note.exists():
            break
    try:
        child = os.pidfd_open(int(note.read_text()))
    except ProcessLookupError:
        return
    try:
        assert select.select([child], [], [], 60)[0]
    finally:
        os.close(child)


def test_an_interruption_leaves_nothing_running(tmp_path: Path) -> None:
    """A person's Ctrl-C reaches us, and not the program: it has a session of its own."""
    # It has our limits when it says who it is: then we wait for its end.
    code = "until [ $(ulimit -t) = 60 ]; do :; done; echo $$ > new; mv new child; exec sleep 1000"
    ours = (
        "import sys; from pathlib import Path; from ironwake_runtime.confined import Limits, run\n"
        "run(['/bin/sh', '-c', sys.argv[1]], Path(sys.argv[2]), Limits(cpu=60))"
    )
    words = [sys.executable, "-c", ours, code, str(tmp_path)]
    note = tmp_path / "child"
    with subprocess.Popen(words, stderr=subprocess.DEVNULL) as process:
        while not note.exists():
            assert process.poll() is None
        child = os.pidfd_open(int(note.read_text()))
        try:
            process.send_signal(signal.SIGINT)
            assert process.wait(60)
            assert select.select([child], [], [], 60)[0]
        finally:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(child, signal.SIGKILL)
            os.close(child)


def test_what_cannot_be_started_is_said(tmp_path: Path) -> None:
    """No exception: it is one more thing that a judge says."""
    said = (1, "it cannot be started: no such file or directory")
    assert run([str(tmp_path / "nothing")], tmp_path, Limits()) == said
