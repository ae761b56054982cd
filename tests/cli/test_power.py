"""`ironwake power` and `ironwake wake`: one machine or many, and by what they are switched."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ironwake_testing.stand_in import Answer

from .conftest import Cli
from .test_commands import MACHINE, page

POWER = "/v1/machines/node1/power"
SHOWN = {
    "machine": "node1",
    "driver": "redfish",
    "settings": {"address": "https://10.0.0.7", "password": "set"},
    "can": ["on", "off"],
}


def _switched(name: str, **more: Any) -> Answer:
    document = {"machine": name, "driver": "ipmi", "operation": "on", "state": "off"}
    return Answer(200, {**document, "message": "was told to switch on", **more})


def test_switching_one_machine(cli: Cli) -> None:
    """One request; what the driver said is the answer."""
    for verb in ("on", "off", "cycle", "boot-network"):
        cli.controller.on("POST", f"{POWER}/{verb}", _switched("node1"))
        done = cli("power", "node1", verb)
        assert (done.code, done.out, done.err) == (0, "node1: was told to switch on\n", "")
    cli.controller.on("GET", f"{POWER}/status", _switched("node1", state="on"))
    assert cli("power", "node1", "status").out == "node1: on\n"


def test_switching_many_by_names_and_labels(cli: Cli) -> None:
    """Each machine once, in the order in which they were named."""
    others = [{**MACHINE, "name": f"node{n}"} for n in (1, 2, 3)]
    others[1] = {**others[1], "labels": {}}
    cli.controller.on("GET", "/v1/machines", page(*others))
    for name in ("node1", "node2", "node3"):
        cli.controller.on("POST", f"/v1/machines/{name}/power/on", _switched(name))
    done = cli("power", "node2", "--label", "rack=a3", "on")
    assert [line.partition(":")[0] for line in done.out.splitlines()] == ["node2", "node1", "node3"]
    assert cli("power", "--label", "rack=b9", "on").code == 3


def test_one_failure_of_many_stops_none(cli: Cli) -> None:
    """It is told with its machine, the exit code is its own, and JSON has it in its place."""
    problem = {"status": 503, "detail": "its BMC does not answer", "next_step": "see its cable"}
    cli.controller.on("POST", f"{POWER}/off", Answer(503, problem))
    cli.controller.on("POST", "/v1/machines/node2/power/off", _switched("node2"))
    done = cli("power", "node1", "node2", "off")
    assert (done.code, done.out) == (5, "node2: was told to switch on\n")
    assert done.err == "ironwake: node1: its BMC does not answer; see its cable\n"
    done = cli("power", "node1", "node2", "off", "--json")
    assert done.code == 5
    first, second = json.loads(done.out)
    assert (first["error"], second["machine"]) == ("its BMC does not answer", "node2")


def test_setting_a_driver(cli: Cli, tmp_path: Path) -> None:
    """The password comes from a file or from standard input; what was not said is not sent."""
    cli.controller.on("PUT", POWER, Answer(200, SHOWN))
    secret, ca = tmp_path / "secret", tmp_path / "ca.pem"
    secret.write_text("from a file\nand no more\n")
    ca.write_text("PEM")
    words = ("power", "node1", "set", "--driver", "redfish", "--address", "10.0.0.7")
    done = cli(*words, "--user", "me", "--password-file", str(secret), "--ca", str(ca))
    assert done.out == "node1 has the power driver redfish; it can: on, off\n"
    sent = {"address": "10.0.0.7", "user": "me", "password": "from a file", "ca": "PEM"}
    assert cli.controller.asked[-1].body == {"driver": "redfish", "settings": sent}
    whole = [sys.executable, "-m", "ironwake_cli", *words, "--password-file", "-", "--insecure"]
    subprocess.run(whole, input="typed in\n", text=True, env=cli.environ, check=True)
    assert cli.controller.asked[-1].body["settings"] == {
        "address": "10.0.0.7",
        "password": "typed in",
        "verify": False,
    }


def test_settings_from_a_file(cli: Cli, tmp_path: Path) -> None:
    """`on` and `off` are names there, whatever YAML thinks of them."""
    cli.controller.on("PUT", POWER, Answer(200, SHOWN))
    file = tmp_path / "plug.yaml"
    file.write_text("on: {url: 'http://plug/on'}\noff: {url: 'http://plug/off'}\nverify: false\n")
    assert cli("power", "node1", "set", "--driver", "webhook", "--settings", str(file)).code == 0
    assert cli.controller.asked[-1].body["settings"] == {
        "on": {"url": "http://plug/on"},
        "off": {"url": "http://plug/off"},
        "verify": False,
    }
    file.write_text("on: [\n")
    done = cli("power", "node1", "set", "--driver", "webhook", "--settings", str(file))
    assert done.code == 2
    assert str(file) in done.err


def test_showing_and_clearing(cli: Cli) -> None:
    """Of a secret, that it is set."""
    cli.controller.on("GET", POWER, Answer(200, SHOWN))
    assert "its password  set\n" in cli("power", "node1", "show").out
    assert json.loads(cli("power", "node1", "show", "--json").out) == [SHOWN]
    cli.controller.on("DELETE", POWER, Answer(204))
    assert cli("power", "node1", "clear").out == "node1 is woken by Wake-on-LAN again\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("node1",), "nothing that can be done"),
        (("on",), "no machine is named"),
        (("node1", "set"), "no driver is named"),
        (("node1", "on", "--user", "me"), "on takes no settings"),
        (("node1", "set", "--driver", "ipmi", "--password-file", "/nowhere"), "can't be read"),
        (("node1", "set", "--driver", "ipmi", "--password-file", "/dev/null"), "no password"),
    ],
)
def test_mistakes_are_told_before_anything_is_asked(
    cli: Cli, words: tuple[str, ...], said: str
) -> None:
    """One line, and no request."""
    done = cli("power", *words)
    assert done.code in (2, 5)
    assert said in done.err
    assert cli.controller.asked == []


def test_waking_many(cli: Cli) -> None:
    """By names or labels; the controller staggers them."""
    cli.controller.on("GET", "/v1/machines", page(MACHINE, {**MACHINE, "name": "node2"}))
    for name in ("node1", "node2"):
        cli.controller.on("POST", f"/v1/machines/{name}/wake", Answer(202, MACHINE))
    done = cli("wake", "--label", "rack=a3")
    assert [line.split()[1] for line in done.out.splitlines()] == ["node1:", "node2:"]
    assert cli("wake").code == 2


def test_a_restart_is_sent_only_if_it_is_asked_for(cli: Cli) -> None:
    """`ironwake deploy --cycle`."""
    cli.controller.on("POST", "/v1/machines/node1/deploy", Answer(409, {"detail": "can't"}))
    cli("deploy", "node1", "--profile", "debian")
    cli("deploy", "node1", "--profile", "debian", "--cycle")
    assert [asked.body.get("cycle") for asked in cli.controller.asked] == [None, True]
