"""The dry run shows the very bytes that the DHCP service sends."""

from __future__ import annotations

import dataclasses
import json
import re
from ipaddress import IPv4Address
from typing import Any

import pytest

from ironwake import loaders, wire
from ironwake.firmware import BY_NAME, Firmware
from ironwake.ipv4 import Address, Network, Range
from ironwake.lifecycle import State
from ironwake.mac import Mac
from ironwake.names import DomainName
from ironwake.plan import BootPlan
from ironwake.subnet import Subnet
from ironwake.view import Index
from ironwake_dhcp.book import Lease
from ironwake_dhcp.delivery import Source
from ironwake_dhcp.exchange import Exchange, Lending
from ironwake_dhcp.lend import Lender
from ironwake_dhcp.offer import Door
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
        "reserved": None,
        "last_address": None,
    }


SUBNETS = (
    Subnet(
        Network("10.77.0.0/24"),
        (Range("10.77.0.100-10.77.0.199"),),
        router=Address("10.77.0.254"),
        ntp=(Address("10.77.0.7"),),
    ),
    Subnet(Network("10.78.0.0/24"), router=Address("10.78.0.1"), lease_seconds=900),
)
DOMAIN = DomainName("rack.example")


def answer(
    cli: Cli, firmware: Firmware, state: State = State.ARMED, mode: str = "proxy", **more: str
) -> None:
    cli.controller.on("GET", "/v1/plan", Answer(200, planned(firmware, state) | more))
    site = {
        "address": "10.77.0.2",
        "prefix": 24,
        "dhcp_mode": mode,
        "domain": str(DOMAIN),
        "subnets": wire.dump(SUBNETS) if mode == "server" else [],
    }
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


def plain(text: str) -> str:
    """Without the columns."""
    return re.sub(" +", " ", text)


def served(firmware: Firmware, state: State, reserved: str = "", last: str = "") -> bytes:
    """What the service itself answers in server mode, by its exchange."""
    bench = make_bench().with_state(state)
    view = bench.index().view
    (entry,) = view.entries
    machine = dataclasses.replace(
        entry.machine, reservations={str(MAC): reserved} if reserved else {}
    )
    site = dataclasses.replace(view.site, proxy=False, subnets=SUBNETS, domain=DOMAIN)
    entries = (dataclasses.replace(entry, machine=machine),)
    known = (Lease(IPv4Address(last), MAC, 0.0),) if last else ()
    lender = Lender(IPv4Address("10.77.0.2"), SUBNETS, str(DOMAIN), known=known)
    exchange = Exchange(lambda *_: None, Lending(lender, lambda _: None))
    exchange.take(Index(dataclasses.replace(view, site=site, entries=entries)))
    source = Source(IPv4Address(0), 68, Door.SERVER)
    outgoing = exchange.receive(discover(MAC, firmware), source, 1.0)
    assert outgoing is not None
    return outgoing.payload


@pytest.mark.parametrize("firmware", BOOTING, ids=lambda row: row.name)
@pytest.mark.parametrize("state", [State.ARMED, State.INSTALLING])
def test_server_mode_is_shown_as_it_will_be(cli: Cli, firmware: Firmware, state: State) -> None:
    """Address, terms and loader byte for byte; the address also where no loader comes with it."""
    for known in ({"reserved": "10.77.0.5"}, {"last": "10.77.0.150"}):
        shown = {{"last": "last_address"}.get(key, key): value for key, value in known.items()}
        answer(cli, firmware, state, "server", **shown)
        found = json.loads(cli("plan", str(MAC), "--json").out)
        assert found["offer"] == served(firmware, state, **known).hex()


def test_an_address_that_is_not_known_yet_is_not_made_up(cli: Cli) -> None:
    """Which one is free is decided when the machine asks: everything else stands there."""
    answer(cli, BY_NAME["uefi-amd64-pxe"], mode="server")
    done = plain(cli("plan", str(MAC)).out)
    for line in (
        "address the next that is free: decided when it asks\n",
        "netmask (1) 255.255.255.0\n",
        "router (3) 10.77.0.254\n",
        "name servers (6) 10.77.0.2\n",
        "domain (15) rack.example\n",
        "time servers (42) 10.77.0.7\n",
        "lease seconds (51) 3600\n",
        "boot file (67) sb/shimx64.efi\n",
    ):
        assert line in done, done
    sent = bytearray(served(BY_NAME["uefi-amd64-pxe"], State.ARMED))
    sent[16:20] = bytes(4)
    assert json.loads(cli("plan", str(MAC), "--json").out)["offer"] == sent.hex()


def test_a_machine_behind_a_relay_gets_its_own_networks_terms(cli: Cli) -> None:
    """Its address says where it is; the answer goes through that network's router."""
    answer(cli, BY_NAME["bios-pxe"], State.INSTALLING, "server", reserved="10.78.0.9")
    done = plain(cli("plan", str(MAC)).out)
    assert "it boots its own disk: DHCP gives it an address, and no loader\n" in done
    assert "address 10.78.0.9\n" in done
    assert "relay 10.78.0.1\n" in done
    assert "lease seconds (51) 900\n" in done
    assert "boot file" not in done


def test_who_gets_no_address_gets_no_offer(cli: Cli) -> None:
    """A subnet without a pool has addresses for those that have one reserved, only."""
    answer(cli, BY_NAME["bios-pxe"], mode="server")
    site = {
        "address": "10.78.0.2",
        "prefix": 24,
        "dhcp_mode": "server",
        "domain": str(DOMAIN),
        "subnets": wire.dump(SUBNETS[1:]),
    }
    cli.controller.on("GET", "/v1/site", Answer(200, site))
    done = cli("plan", str(MAC)).out
    assert "OFFER" not in done
    assert "the pool is used up" in done


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
