"""The installed system's first report: heard once, or wanted no more."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ironwake import firstboot

URL = "http://10.77.0.2/health/" + "cd" * 32


def _report(folder: Path, answer: str) -> tuple[int, bool]:
    """Run the script with a curl that hears `answer`: its exit status, whether the URL is kept."""
    files = {file.path: file.text for file in firstboot.files(URL)}
    script = files["usr/lib/ironwake/report-health"]
    (folder / "health-url").write_text(files["etc/ironwake/health-url"])
    (folder / "os-release").write_text('PRETTY_NAME="Debian GNU/Linux 12"\n')
    script = script.replace("/etc/ironwake/", f"{folder}/").replace("/etc/os-", f"{folder}/os-")
    (folder / "curl").write_text(f"#!/bin/sh\n{answer}\n")
    (folder / "curl").chmod(0o755)
    path = {"PATH": f"{folder}:/usr/bin:/bin"}
    done = subprocess.run(["sh", "-c", script], env=path, check=False, capture_output=True)
    return done.returncode, (folder / "health-url").exists()


@pytest.mark.parametrize("status", [200, 204, 404, 410])
def test_an_answer_that_no_repeat_would_change_ends_it(status: int, tmp_path: Path) -> None:
    """Taken, or nobody waits for it any more: the token goes, and the unit rests for good."""
    assert _report(tmp_path, f"printf {status}") == (0, False)


@pytest.mark.parametrize("answer", ["printf 409", "printf 503", "printf 000; exit 7", "exit 28"])
def test_it_goes_on_while_it_may_still_be_heard(answer: str, tmp_path: Path) -> None:
    """Too early, or an appliance that is away: the unit fails, and systemd starts it again."""
    status, kept = _report(tmp_path, answer)
    assert (status != 0, kept) == (True, True)
