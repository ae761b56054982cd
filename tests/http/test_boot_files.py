"""Files made for one machine's boot: for whoever may read its boot script, while it is booted."""

from __future__ import annotations

import dataclasses

import pytest

from ironwake.lifecycle import State
from ironwake.mac import Mac
from ironwake.profile import Method
from ironwake.release import find
from ironwake.site import Shelf, Stored
from ironwake.view import Index
from tests.http.rig import ARMED, IDLE, PRESEED, PRESEED_TOKEN, STRANGER, Rig, run, view_of

_MORE = (
    Stored("wimboot", "kernel", "aa" * 32, 9, "wimboot"),
    Stored("windows-11", "tree", "bb" * 32, 9, "windows-11.json"),
    Stored("loaders", "ipxe/snponly.efi", "cc" * 32, 9, "snponly.efi"),
)


def _take(rig: Rig, state: State = State.ARMED) -> None:
    """Let the machine whose card is PRESEED become Windows 11."""
    view = view_of(Shelf((*rig.shelf.items, *_MORE), rig.shelf.facts))
    entries = list(view.entries)
    deployment = entries[1].deployment
    assert deployment is not None
    assert deployment.profile.method is Method.SCRIPT
    deployment = dataclasses.replace(deployment, release=find("windows-11"), state=state)
    entries[1] = dataclasses.replace(entries[1], deployment=deployment)
    rig.service.take(Index(dataclasses.replace(view, entries=tuple(entries))))


def test_a_machine_gets_the_files_that_its_script_names() -> None:
    """Every URL of a file that its own boot script names leads to one, which nobody stores."""

    async def test(rig: Rig) -> None:
        _take(rig)
        script = (await rig.ask(f"/boot/{PRESEED}/boot.ipxe")).body.decode()
        named = [word for word in script.split() if f"/boot/{PRESEED}/" in word]
        assert len(named) == 3
        for url in named:
            reply = await rig.ask(url.removeprefix("http://192.0.2.10"))
            assert reply.status == 200
            assert reply.field("Cache-Control") == "no-store"
        program = await rig.ask(f"/boot/{PRESEED}/ironwake.js")
        assert f"/deployments/{PRESEED_TOKEN}/answers/".encode() in program.body
        assert not rig.controller.claims  # it is no claim

    run(test)


@pytest.mark.parametrize(
    "target",
    [
        f"/boot/{ARMED}/ironwake.js",
        f"/boot/{IDLE}/ironwake.js",
        f"/boot/{STRANGER}/ironwake.js",
        "/boot/x/ironwake.js",
        f"/boot/{PRESEED}/other.js",
        f"/boot/{PRESEED}/autounattend.xml",
    ],
)
def test_nobody_else_has_such_a_file(target: str) -> None:
    """Another machine, an unknown one, none at all, and a name that no plan has."""

    async def test(rig: Rig) -> None:
        _take(rig)
        reply = await rig.ask(target)
        assert reply.status == 404
        assert PRESEED_TOKEN.encode() not in reply.body

    run(test)


@pytest.mark.parametrize("state", [State.ANSWERS, State.INSTALLING, State.SUCCEEDED, State.FAILED])
def test_after_the_claim_there_are_none(state: State) -> None:
    """What starts an installation is for one boot."""

    async def test(rig: Rig) -> None:
        _take(rig, state)
        assert (await rig.ask(f"/boot/{PRESEED}/ironwake.js")).status == 404

    run(test)


@pytest.mark.parametrize("card", [STRANGER, ARMED])
def test_another_card_gets_none(card: Mac) -> None:
    """The token stands in them, as in the boot script."""

    async def test(rig: Rig) -> None:
        _take(rig)
        assert (await rig.ask(f"/boot/{PRESEED}/ironwake.js")).status == 404

    run(test, neighbour=lambda _: card)


def test_before_the_first_view_there_are_none() -> None:
    """Nobody knows the machine yet."""

    async def test(rig: Rig) -> None:
        assert (await rig.ask(f"/boot/{PRESEED}/ironwake.js")).status == 404

    run(test, view=False)
