"""The rescue system: who is let in, how that is told, and when it ends."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ironwake.order import Order, Rescue
from ironwake.report import Callback
from ironwake.wire import decode
from ironwake_agent import rescue
from ironwake_agent.client import Answer
from ironwake_agent.install import Hands
from ironwake_agent.network import Lease
from ironwake_agent.order import NothingToDoError
from ironwake_agent.report import Reporter
from tests.agent.rig import KEY, ORDER, Recorder

LEASE = Lease("eth0", "192.0.2.7")
FINGERPRINT = "SHA256:abcdef"


def keyed() -> Recorder:
    """A ramdisk whose dropbear works."""
    said = f"Public key portion is:\nssh-ed25519 AAAA root@x\nFingerprint: {FINGERPRINT}\n"
    return Recorder(answers={"dropbearkey": said})


class Appliance:
    """Takes so many reports, then says that it is over."""

    def __init__(self, most: int = 3) -> None:
        self.heard: list[Callback] = []
        self._most = most

    def __call__(self, body: bytes) -> Answer:
        self.heard.append(decode(Callback, body))
        return Answer(204 if len(self.heard) < self._most else 410, b"ended")


def stay(run: Recorder, root: Path, keys: tuple[str, ...] = (KEY,)) -> tuple[Appliance, list[str]]:
    """Stay until the appliance ends it: what it heard, and what was said on the console."""
    appliance, said = Appliance(), list[str]()
    reporter = Reporter(appliance, (0.0,), clock=iter(range(0, 10**6, 40)).__next__)
    shells: list[str] = []
    (root / "etc").mkdir()
    with pytest.raises(NothingToDoError, match="was ended"):
        rescue.stay(
            Hands(run, reporter, said.append, ()),
            wanted(keys),
            Rescue(keys),
            LEASE,
            lambda _: _heard(reporter),
            lambda: shells.append("sh"),
            root,
        )
    assert shells == ["sh"]
    return appliance, said


def _heard(reporter: Reporter) -> None:
    """Stands for the time that passes: all is sent meanwhile."""
    reporter.flush(10)


def wanted(keys: tuple[str, ...]) -> Order:
    return replace(ORDER, archive=None, rescue=Rescue(keys))


def test_it_stays_until_the_appliance_ends_it(tmp_path: Path) -> None:
    """The way in is told at once and again, the same each time; then the machine is let go."""
    appliance, said = stay(keyed(), tmp_path)
    told = f"ssh root@192.0.2.7 (host key {FINGERPRINT})"
    assert {one.message for one in appliance.heard} == {f"{told}, and a shell on its console"}
    assert {one.stage.value for one in appliance.heard} == {"working"}
    assert told in said[0]


def test_ssh_is_by_key_only(tmp_path: Path) -> None:
    """No password opens it, and the keys are where dropbear looks, for root alone."""
    run = keyed()
    stay(run, tmp_path)
    server = next(words for words in run.calls if words[0] == "dropbear")
    assert "-s" in server
    keys = tmp_path / "root/.ssh/authorized_keys"
    assert keys.read_text() == f"{KEY}\n"
    assert keys.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "etc/passwd").read_text().startswith("root:x:0:0:")


def test_nobodys_key_means_the_console_alone(tmp_path: Path) -> None:
    """No server without a key that could open it."""
    run = keyed()
    appliance, _ = stay(run, tmp_path, ())
    assert run.calls == []
    assert appliance.heard[0].message.startswith("no SSH, for nobody's key is known")


def test_a_server_that_does_not_start_leaves_the_console(tmp_path: Path) -> None:
    """The person at the machine can still work; why there is no SSH is told."""
    run = replace(keyed(), broken={"dropbear": "dropbear ended with 1: no such port"})
    appliance, _ = stay(run, tmp_path)
    assert appliance.heard[0].message.startswith("no SSH: dropbear ended with 1")
