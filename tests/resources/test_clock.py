"""The time of day leaps by a year under the whole appliance, forward and back: nothing is lost.

libfaketime stands between the services and the kernel's answer to what time of day it is; the clock
that nobody sets is the host's own.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ironwake.report import Callback, Stage
from ironwake_lab.appliance import API
from ironwake_testing.player import played
from tests.resources.rig import ACK, NAK, NODE, OTHER, Client, Place, place

pytestmark = pytest.mark.root

_LIBRARY = "/usr/lib/*/faketime/libfaketime.so.1"
_YEAR = "365d"
_SHORT = 0.03  # minutes
_WAIT = 120.0  # seconds: an end for a broken run


class Wall:
    """What the services take for the time of day."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.leap("+0")

    def leap(self, offset: str) -> None:
        """From now on it is off by so much."""
        aside = self._file.with_suffix(".new")
        aside.write_text(f"{offset}\n")
        aside.replace(self._file)

    def settings(self) -> dict[str, str]:
        """What puts the library between."""
        (library,) = Path("/").glob(_LIBRARY.lstrip("/"))
        return {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }


@contextlib.contextmanager
def swept() -> Iterator[None]:
    """What the library shares among processes is gone with them, killed ones, too."""
    try:
        yield
    finally:
        for left in Path("/dev/shm").glob("*faketime_s*_*"):
            if not Path(f"/proc/{left.name.rpartition('_')[2]}").exists():
                left.unlink(missing_ok=True)


def told(lines: Iterator[str], kind: str) -> None:
    """Read the stream until an event of this kind."""
    assert any(f'"{kind}"' in line for line in lines), f"the stream ended before {kind}"


def expires_in_time(there: Place) -> None:
    """An arm of two seconds ends after two seconds, neither at once nor in a year."""
    before = time.monotonic()  # no library stands between this process and the clocks
    short, _ = there.arm("node2", minutes=_SHORT)
    there.appliance.wait_deployment(short, {"expired"}, _WAIT)
    assert time.monotonic() - before >= 60 * _SHORT


def keeps(there: Place, one: Client, other: Client, address: str) -> None:
    """Whoever has the address has it still, and nobody else gets it; names are there."""
    assert other.ask(other.request(address, server=""))[0] == NAK
    assert other.offered(wanted=address) != address
    assert one.ask(one.request(address, server="")) == (ACK, address)
    assert there.resolve("node1.ironwake.internal") == [address]
    (lease,) = (i for i in there.good("GET", "/v1/leases")["items"] if i["address"] == address)
    assert lease["state"] == "live"


def test_a_year_forward_and_back(tmp_path: Path) -> None:
    """Leases, arms, names, streams and claims go by the clock that does not leap."""
    wall = Wall(tmp_path / "wall")
    with (
        swept(),
        place(tmp_path, settings=wall.settings()) as there,
        there.rack.capture() as frames,
        played(there.rack, NODE) as player,
        played(there.rack, OTHER) as stranger,
    ):
        mac = there.rack.spec.appliance_mac
        one, other = Client(player, frames, mac), Client(stranger, frames, mac)
        assert there.enrol("node1", NODE).status == 201
        assert there.enrol("node2", "52:54:00:77:00:29").status == 201
        deployment, token = there.arm("node1")
        address = one.lease()
        words = ["curl", "-sSN", "-H", f"Authorization: Bearer {there.appliance.token}"]
        stream = there.rack.popen(
            [*words, "-H", "Accept: text/event-stream", f"{API}/v1/events"],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert stream.stdout is not None
            before = there.pids()
            for offset in (f"+{_YEAR}", f"-{_YEAR}"):
                wall.leap(offset)
                expires_in_time(there)
                told(stream.stdout, "expired")
                keeps(there, one, other, address)
            assert there.pids() == before
            # What starts anew, in the same run of the kernel, loses nothing either.
            for service in ("dhcp", "controller"):
                wall.leap(f"+{_YEAR}")
                there.appliance.kill(service)
                there.wait_ready()
                expires_in_time(there)
                keeps(there, one, other, address)
        finally:
            stream.kill()
            stream.communicate()
        assert there.good("GET", f"/v1/deployments/{deployment}")["state"] in ("armed", "offered")
        player.take(address)
        assert player.http(f"deployments/{token}/order").status == 200
        wall.leap(f"-{_YEAR}")
        report = Callback(Stage.LOG, "c1", message="hello")
        path = f"/internal/deployments/{token}/callbacks"
        assert there.call("POST", path, report, "service").status == 204
        shown = there.good("GET", f"/v1/deployments/{deployment}")
        assert (shown["state"], shown["stuck"]) == ("answers", None)
        said = there.said()
    assert "Traceback" not in said
