"""Ubuntu: what Subiquity says of itself while it installs."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from ironwake.families import ubuntu
from ironwake.report import Stage
from tests.families.autoinstall import FAMILY


def event(name: str, kind: str = "start", result: str = "", description: str = "d") -> bytes:
    found = {"name": name, "event_type": kind, "origin": "curtin", "description": description}
    return json.dumps(found | ({"result": result} if result else {})).encode()


INSTALL = "subiquity/Install/install"


def test_subiquitys_stages_are_progress_in_their_order() -> None:
    """Names of events as its webhook sends them; more of one stage are no news."""
    names = [
        "subiquity/Early/run",
        f"{INSTALL}/configure_apt",
        f"{INSTALL}/curtin_install/run_curtin_step/cmd-install/stage-partitioning/builtin/x",
        f"{INSTALL}/curtin_install/run_curtin_step/cmd-install/stage-extract/builtin/x",
        f"{INSTALL}/curtin_install/run_curtin_step/cmd-install/stage-curthooks/builtin/x",
        f"{INSTALL}/postinstall/install_openssh-server",
        f"{INSTALL}/postinstall/run_unattended_upgrades",
        "subiquity/Late/run",
    ]
    found = [FAMILY.heard("application/json", event(name)) for name in names]
    assert all(one is not None and one.stage is Stage.INSTALLING for one in found)
    percents = [one.percent for one in found if one and one.percent is not None]
    assert len(percents) == len(names)
    assert percents == sorted(percents)
    assert len({one.id for one in found if one}) == len(names)


def test_a_failure_of_the_installation_is_one_and_of_a_probe_is_none() -> None:
    """A probe is tried otherwise; the description, which may be a command, goes nowhere."""
    fatal = f"{INSTALL}/curtin_install/run_curtin_step/cmd-install/stage-extract"
    heard = ubuntu.heard(event(fatal, "finish", "FAIL", "secret"))
    assert heard is not None
    assert (heard.stage, heard.step) == (Stage.FAILED, "extracting")
    assert "secret" not in repr(heard)
    probe = "subiquity/Filesystem/_probe/probe_once"
    assert ubuntu.heard(event(probe, "finish", "FAIL")) is None
    assert ubuntu.heard(event(fatal, "finish", "SUCCESS")) is None


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_whatever_comes_is_taken(body: bytes) -> None:
    """An installer's report is a stranger's bytes."""
    FAMILY.heard("application/json", body)
    FAMILY.heard("application/x-www-form-urlencoded", body)
