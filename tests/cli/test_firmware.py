"""Firmware as a person sees and pins it: the table, one machine's pins, and what was learned."""

from __future__ import annotations

import json
from typing import Any

import yaml

from ironwake.firmware import BY_NAME
from ironwake.quirks import Quirks
from ironwake_runtime import yamlfile
from ironwake_testing.stand_in import Answer

from .conftest import Cli
from .test_commands import MACHINE

LEARNED: dict[str, Any] = {
    "uuid": "2e0e2e0e-0077-4000-0000-525400770010",
    "seen_uuid": "",
    "personality": {"uefi-amd64-pxe": "menu", "uefi-amd64-http": "http"},
    "local_boot": "grub-config",
    "proved": True,
    "secure_boot": "on",
}


def test_every_firmware_is_listed(cli: Cli) -> None:
    """Without a controller: what each gets, how it is offered, and its ways to the disk."""
    rows = json.loads(cli("firmware", "list", "--json").out)
    assert [row["firmware"] for row in rows] == list(BY_NAME)
    assert len(cli("firmware", "list").out.splitlines()) == 1 + len(BY_NAME)
    assert cli.controller.asked == []


def test_what_was_learned_is_exported_as_quirks(cli: Cli) -> None:
    """Only what differs from the usual, in a file that is understood where it is taken to."""
    there = {**MACHINE, "learned": LEARNED}
    plain = {**MACHINE, "name": "node2", "learned": {**LEARNED, "personality": {}, "proved": False}}
    page = Answer(200, {"items": [there, plain], "next": None})
    cli.controller.on("GET", "/v1/machines", page)
    text = cli("firmware", "export").out
    rows = yamlfile.parse(Quirks, text.encode()).quirks
    assert [(row.firmware, row.oui, row.personalities, row.local_boot) for row in rows] == [
        ("uefi-amd64-pxe", "52:54:00", ("menu",), "grub-config")
    ]
    assert json.loads(cli("firmware", "export", "--json").out) == yaml.safe_load(text)


def test_a_machine_is_pinned_and_shown(cli: Cli) -> None:
    """What is named is changed, and nothing else; what was learned stands in its facts."""
    path = "/v1/machines/node1"
    cli.controller.on("PATCH", path, Answer(200, MACHINE))
    done = cli("machine", "set", "node1", "--loader", "ipxe", "--personality", "menu")
    assert done.code == 0
    assert cli.controller.asked[-1].body == {"loader": "ipxe", "personalities": ["menu"]}
    cli("machine", "set", "node1", "--local-boot", "", "--personality", "")
    assert cli.controller.asked[-1].body == {"local_boot": "", "personalities": []}
    cli.controller.on("GET", path, Answer(200, {**MACHINE, "learned": LEARNED}))
    cli("machine", "set", "node1", "--label", "row=2")
    assert cli.controller.asked[-1].body == {"labels": {"rack": "a3", "row": "2"}}
    shown = cli("machine", "show", "node1").out
    assert "learned personality  uefi-amd64-pxe=menu,uefi-amd64-http=http\n" in shown
    assert "learned local boot   grub-config\n" in shown


def test_nothing_to_change_is_a_mistake(cli: Cli) -> None:
    """A command that would do nothing says what it could do."""
    done = cli("machine", "set", "node1")
    assert done.code != 0
    assert "ironwake machine set --help" in done.err


def test_another_board_is_confirmed(cli: Cli) -> None:
    """By the UUID that was shown, and a word that what was held back goes on."""
    there = {**MACHINE, "learned": {**LEARNED, "seen_uuid": "another"}}
    cli.controller.on("GET", "/v1/machines/node1", Answer(200, there))
    cli.controller.on("POST", "/v1/machines/node1/confirm", Answer(200, there))
    done = cli("machine", "confirm", "node1")
    assert (done.code, done.err) == (0, "")
    assert "goes on" in done.out
    assert cli.controller.asked[-1].body == {"uuid": "another"}
