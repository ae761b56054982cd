"""`ironwake image capture`: armed, waited for, and taken into the library."""

from __future__ import annotations

import json
from pathlib import Path

from ironwake_imager.library import packing
from ironwake_testing.stand_in import Answer
from tests.cli.conftest import Cli
from tests.imager.library import disks
from tests.imager.library.test_captured import finish, folder, untold

MADE = {"id": "d1", "machine": "node1", "state": "armed", "profile": "capture", "release": ""}
DEPLOY = ("POST", "/v1/machines/node1/deploy")


def staged(state: Path) -> Path:
    """A disk that the machine has sent."""
    made = folder(state / "captures")
    with (made / "pack").open("wb") as stream:
        packed = packing.pack(disks.raw(state / "web.raw"), stream, untold)
    (made / "index").write_bytes(packed.index.encode())
    finish(made, packed.sha256)
    return made


def test_it_is_armed_and_taken_later(cli: Cli) -> None:
    """What is asked for, and the command that takes what comes; then it is an image."""
    cli.controller.on(*DEPLOY, Answer(201, MADE))
    done = cli("image", "capture", "node1", "--name", "web", "--root", "auto", "--no-wait")
    assert done.code == 0
    assert done.out.splitlines()[-1].endswith("ironwake image capture node1 --take")
    (asked,) = cli.controller.asked
    assert asked.body == {
        "method": "capture",
        "capture": {"name": "web", "disk": "auto", "root": "auto"},
        "wake": True,
    }
    made = staged(cli.state)
    taken = cli("image", "capture", "node1", "--take", "--json")
    assert json.loads(taken.out)["name"] == "web@1"
    assert not made.exists()


def test_nothing_waits(cli: Cli) -> None:
    """The error says where to look; without a name, nothing is armed."""
    done = cli("image", "capture", "node1", "--take")
    assert (done.code, "no capture of node1 waits here" in done.err) == (3, True)
    assert cli("image", "capture", "node1").code == 2
    assert cli("image", "capture", "node1", "--name", "Web!").code == 2
    assert cli.controller.asked == []
