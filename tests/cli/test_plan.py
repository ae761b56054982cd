"""The dry run shows the very bytes that the DHCP service sends."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ironwake import loaders
from ironwake.firmware import BY_NAME, Firmware
from ironwake.lifecycle import State
from ironwake.mac import Mac
from ironwake.plan import BootPlan
from ironwake_dhcp.rehearse import discover, rehearse
from ironwake_testing.core import MAC, make_bench
from ironwake_testing.stand_in import Answer

from .conftest import Cli


def planned(firmware: Firmware, state: State = State.ARMED) -> dict[str, Any]:
    """What the controller says of the bench's machine."""
    index = make_bench().with_state(state).index()
    decision = index.resolve(MAC, firmware)
    boot = decision.led if isinstance(decision, BootPlan) else None
    loader = loaders.for_firmware(firmware)
    return {
        "mac": str(MAC),
        "machine": "node1",
        "firmware": firmware.name,
        "kind": "boot" if boot else "local",
        "reason": decision.reason,
        "loader": loader.name if loader else None,
        "first_file": boot.first_file if boot else None,
        "script_name": loader.script_name if loader else None,
        "script": index.script(MAC, loader) if loader else None,
        "payload_type": "application/json" if boot else None,
        "payload": '{"disk":"auto"}' if boot else None,
        "digest": boot.digest if boot else None,
        "personalities": list(boot.personalities) if boot else [],
        "rung": None if boot else "silence",
        "warnings": [],
    }


def answer(cli: Cli, firmware: Firmware, state: State = State.ARMED, mode: str = "proxy") -> None:
    cli.controller.on("GET", "/v1/plan", Answer(200, planned(firmware, state)))
    site = {"address": "10.77.0.2", "prefix": 24, "dhcp_mode": mode}
    cli.controller.on("GET", "/v1/site", Answer(200, site))


BOOTING = [row for row in BY_NAME.values() if row.architecture == "amd64"]


@pytest.mark.parametrize("firmware", BOOTING, ids=lambda row: row.name)
def test_the_offer_is_the_services_own(cli: Cli, firmware: Firmware) -> None:
    """For every firmware, `plan` prints what the service answers to its DISCOVER, byte for byte."""
    answer(cli, firmware)
    found = json.loads(cli("plan", str(MAC), "--firmware", firmware.name, "--json").out)
    sent = rehearse(make_bench().index(), discover(MAC, firmware))
    assert sent is not None
    assert found["offer"] == sent.hex()
    assert cli.controller.asked[0].query == {"mac": str(MAC), "firmware": firmware.name}


def test_a_plan_for_people(cli: Cli) -> None:
    """The decision with its reason, the offer read and in hexadecimal, script and payload."""
    answer(cli, BY_NAME["uefi-amd64-pxe"])
    out = cli("plan", str(MAC)).out
    assert out.startswith(
        "decision    it boots from the network\nreason      node1 is armed for web\n"
    )
    assert "--- DHCP OFFER, 300 bytes\n" in out
    assert "boot file (67)       sb/shimx64.efi\n" in out
    assert "server (54)          10.77.0.2\n" in out
    assert "\n--- grub.cfg\necho " in out
    assert out.endswith('\n--- payload, once (application/json)\n{"disk":"auto"}\n')


def test_silence_has_its_reason(cli: Cli) -> None:
    """A machine that installs already is offered nothing; a loader that runs gets its disk."""
    answer(cli, BY_NAME["uefi-amd64-pxe"], State.INSTALLING)
    done = cli("plan", str(MAC))
    assert "OFFER" not in done.out
    assert "node1 took its answers already and is installing\n" in done.out
    assert "--- grub.cfg, for a loader that runs already\n" in done.out
    assert json.loads(cli("plan", str(MAC), "--json").out)["offer"] is None


def test_without_our_dhcp_there_is_no_offer(cli: Cli) -> None:
    """Mode off: somebody else's DHCP server names the file; the plan still says which."""
    answer(cli, BY_NAME["bios-pxe"], mode="off")
    out = cli("plan", str(MAC)).out
    assert "OFFER" not in out
    assert "first file  ipxe/undionly.kpxe\n" in out


def test_a_machine_by_name(cli: Cli) -> None:
    """A name means the machine's first card."""
    answer(cli, BY_NAME["uefi-amd64-pxe"])
    cli.controller.on("GET", "/v1/machines/node1", Answer(200, {"macs": [str(MAC), "x"]}))
    assert cli("plan", "node1").code == 0
    assert cli.controller.asked[1].query == {"mac": str(MAC)}


def test_the_answer_to_a_given_request(cli: Cli) -> None:
    """With `--request`, the offer is the one to that very packet, and the firmware is its own."""
    firmware = BY_NAME["bios-pxe"]
    answer(cli, firmware)
    request = discover(MAC, firmware, xid=0x1234ABCD)
    found = json.loads(cli("plan", str(MAC), "--request", request.hex(), "--json").out)
    sent = rehearse(make_bench().index(), request)
    assert sent is not None
    assert found["offer"] == sent.hex()
    assert cli.controller.asked[0].query["firmware"] == "bios-pxe"


@pytest.mark.parametrize(
    ("request_hex", "says"),
    [
        ("zz", "not hexadecimal"),
        ("00" * 300, "no DHCP request"),
        (discover(Mac("52:54:00:00:00:99"), BY_NAME["bios-pxe"]).hex(), "not of 52:54:00:"),
        (discover(MAC, BY_NAME["bios-pxe"]).replace(b"\x35\1\1", b"\x35\1\3").hex(), "DHCPREQUEST"),
        (discover(MAC, BY_NAME["bios-pxe"]).replace(b"PXEC", b"MSFT").hex(), "no answer"),
    ],
)
def test_a_request_that_is_none(cli: Cli, request_hex: str, says: str) -> None:
    """What is no DISCOVER of this card is refused with the reason, and nobody is asked."""
    done = cli("plan", str(MAC), "--request", request_hex)
    assert done.code == 2
    assert says in done.err
    assert not cli.controller.asked
