"""The dry run and the wire: what `ironwake plan` prints is, byte for byte, what the services send.

The machines are played (`ironwake_testing.player`): their cards are on the bridge, and each hop
that firmware, loader and agent take is taken by a program.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from ironwake.firmware import BY_NAME, Firmware
from ironwake.mac import Mac
from ironwake.parameters.model import SECRET_WORD
from ironwake_dhcp.rehearse import discover
from ironwake_lab import MachineSpec
from ironwake_runtime.artifacts import ArtifactStore
from ironwake_testing.core import OWN_FIRMWARE
from ironwake_testing.dhcp import RECORDED, readdressed, recorded
from ironwake_testing.player import Player, payload_of, played
from ironwake_testing.scene import ARTIFACTS, Scene, node, scene

pytestmark = pytest.mark.root

ARMED, UNARMED, UNKNOWN, FRESH, CLAIMS, ANSWERS = (node(n) for n in range(1, 7))
REASONS = {
    UNARMED.mac: "node2 has no deployment",
    UNKNOWN.mac: f"no machine with {UNKNOWN.mac} is enrolled",
}
_numbers = itertools.count(0x77000000)


@pytest.fixture(scope="module")
def there(store: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Armed machines, by archive and by script, and one that is enrolled only."""
    with scene(tmp_path_factory.mktemp("plan")) as there:
        for machine in (ARMED, UNARMED, FRESH, CLAIMS, ANSWERS):
            there.enrol(machine)
            # One shape: else the many questions of these tests are complaints about the last one.
            pins = {"personalities": ["direct", "http"]}
            there.appliance.api("PATCH", f"/v1/machines/{machine.name}", pins)
        for machine in (ARMED, FRESH, CLAIMS):
            there.deploy(machine.name, wake=False)
        there.deploy(ANSWERS.name, "installer", wake=False)
        there.appliance.settle()
        yield there


@pytest.fixture
def player(there: Scene, request: pytest.FixtureRequest) -> Iterator[Player]:
    """The card of the machine that the test is about (ARMED if it names none)."""
    machine: MachineSpec = getattr(request, "param", ARMED)
    # Each has an address of its own, for the appliance's kernel remembers whose an address was.
    with played(there.rack, machine.mac, f"10.77.0.{Mac(machine.mac).packed[5]}") as player:
        yield player


def plan(there: Scene, mac: str, *words: str) -> dict[str, Any]:
    """What the command prints as JSON."""
    found: dict[str, Any] = json.loads(there.appliance.cli("plan", mac, *words, "--json").stdout)
    return found


def sent(there: Scene, player: Player, request: bytes) -> bytes | None:
    """What answers this request on the wire: the UDP payload, or None for nothing at all.

    ARMED asks right after. Its answer proves that the request was heard and gone by.
    """
    number = next(_numbers)
    last = discover(Mac(ARMED.mac), BY_NAME["uefi-amd64-pxe"], number)
    with there.rack.capture() as frames:
        player.broadcast(request)
        answered = player.answer(frames, last, there.rack.spec.appliance_mac)
    payloads = [payload_of(frame) for frame in there.said(frames.all)]
    assert payloads.pop() == answered
    assert len(payloads) < 2
    return payloads[0] if payloads else None


def printed(found: dict[str, Any]) -> bytes | None:
    """The OFFER in a plan."""
    return None if found["offer"] is None else bytes.fromhex(found["offer"])


@pytest.mark.parametrize("machine", [FRESH, UNARMED, UNKNOWN], ids=["armed", "unarmed", "unknown"])
def test_command_and_api_say_the_same(there: Scene, machine: MachineSpec) -> None:
    """`plan --json` is `GET /v1/plan` and the OFFER; the text for people has all of it too."""
    found = plan(there, machine.mac)
    offer = printed(found)
    assert there.appliance.api("GET", f"/v1/plan?mac={machine.mac}") == {
        key: value for key, value in found.items() if key != "offer"
    }
    assert found["reason"] == REASONS.get(machine.mac, "node4 is armed for debian")
    text = there.appliance.cli("plan", machine.mac).stdout
    assert found["reason"] in text
    assert found["script"] in text
    assert (offer is not None) == (machine is FRESH)
    if offer is not None:
        assert offer.hex() in text.replace("\n", "")
        assert found["payload"].rstrip("\n") in text


@pytest.mark.parametrize("firmware", OWN_FIRMWARE, ids=lambda row: row.name)
def test_the_offer_to_every_kind_of_firmware(
    there: Scene, player: Player, firmware: Firmware
) -> None:
    """Each row of the table is offered what the plan for it prints, or is met with silence."""
    found = plan(there, ARMED.mac, "--firmware", firmware.name)
    assert sent(there, player, discover(Mac(ARMED.mac), firmware)) == printed(found)
    assert (printed(found) is None) == (found["kind"] != "boot")
    assert found["reason"]


@pytest.mark.parametrize("firmware", RECORDED)
def test_the_offer_to_a_recorded_request(there: Scene, player: Player, firmware: str) -> None:
    """What real firmware sent is answered with what `plan --request` prints, its own echoed."""
    request = readdressed(recorded(firmware), ARMED.mac, next(_numbers))
    found = plan(there, ARMED.mac, "--request", request.hex())
    assert sent(there, player, request) == printed(found)


@pytest.mark.parametrize("machine", [UNARMED, UNKNOWN], ids=["unarmed", "unknown"])
@pytest.mark.parametrize("firmware", RECORDED)
def test_silence_where_the_plan_says_so(
    there: Scene, player: Player, machine: MachineSpec, firmware: str
) -> None:
    """No offer is printed, none is sent, and the plan has the reason."""
    request = readdressed(recorded(firmware), machine.mac, next(_numbers))
    found = plan(there, machine.mac, "--request", request.hex())
    assert sent(there, player, request) is printed(found) is None
    assert found["reason"] == REASONS[machine.mac]


@pytest.mark.parametrize("firmware", ["bios-pxe", "uefi-amd64-pxe", "uefi-amd64-http"])
def test_the_first_file(there: Scene, player: Player, firmware: str) -> None:
    """What the plan names is there, by the way that this firmware takes: the loader's own bytes."""
    name = plan(there, ARMED.mac, "--firmware", firmware)["first_file"]
    if "://" in name:
        body = player.http(name).body
        role = name.removeprefix(f"http://{player.server}/")
    else:
        found = player.tftp(name)
        assert found is not None
        body, role = found, name
    artifact = ArtifactStore(ARTIFACTS).manifest("loaders").artifacts[role]
    assert hashlib.sha256(body).hexdigest() == artifact.sha256


@pytest.mark.parametrize("firmware", ["bios-ipxe", "uefi-amd64-ipxe"])
def test_the_first_file_of_ipxe_is_its_script(there: Scene, player: Player, firmware: str) -> None:
    """The URL that the plan names gives the script that the plan prints."""
    found = plan(there, ARMED.mac, "--firmware", firmware)
    assert player.http(found["first_file"]).text == found["script"]


@pytest.mark.parametrize("player", [ARMED, UNARMED], ids=["armed", "unarmed"], indirect=True)
def test_the_script_of_an_enrolled_machine(there: Scene, player: Player) -> None:
    """GRUB's script, by HTTP and by TFTP, is the printed one; unarmed, it says why."""
    found = plan(there, player.mac, "--firmware", "uefi-amd64-pxe")
    path = f"boot/{player.mac}/{found['script_name']}"
    assert player.http(path).text == found["script"]
    assert player.tftp(path) == found["script"].encode()
    reason = REASONS.get(player.mac)
    if reason:
        assert reason in found["script"]
        assert found["first_file"] is None
        assert player.tftp("sb/shimx64.efi") is None
    else:
        assert f"/{found['kernel']}/" in found["script"]
        assert f"/{found['initrd']}/" in found["script"]


@pytest.mark.parametrize("player", [UNKNOWN], ids=["unknown"], indirect=True)
@pytest.mark.parametrize("firmware", ["bios-pxe", "uefi-amd64-pxe"])
def test_the_script_of_an_unknown_machine(there: Scene, player: Player, firmware: str) -> None:
    """By HTTP the printed one, with the reason; by TFTP nothing at all."""
    found = plan(there, player.mac, "--firmware", firmware)
    path = f"boot/{player.mac}/{found['script_name']}"
    reply = player.http(path)
    assert (reply.status, reply.text) == (200, found["script"])
    assert REASONS[player.mac] in reply.text
    with played(there.rack, ARMED.mac, f"10.77.0.{Mac(ARMED.mac).packed[5]}") as machine:
        assert player.hears_nothing_by_tftp(path, machine)


@pytest.mark.parametrize("player", [CLAIMS, ANSWERS], ids=["order", "answers"], indirect=True)
def test_the_payload(there: Scene, player: Player) -> None:
    """The claim gives what the plan printed, once, but for its secrets, in whose place a word
    stands; the plan then says so, and DHCP is silent."""
    found = plan(there, player.mac)
    reply = player.http(_payload_url(found))
    assert (reply.status, _without_tokens(reply.text)) == (200, found["payload"])
    there.appliance.settle()
    after = plan(there, player.mac)
    assert after["kind"] == "local"
    assert after["reason"].endswith("took its answers already and is answers")
    assert after["payload"] is after["offer"] is None
    request = discover(Mac(player.mac), BY_NAME["uefi-amd64-pxe"], next(_numbers))
    assert sent(there, player, request) is None
    path = f"boot/{player.mac}/{after['script_name']}"
    assert player.http(path).text == after["script"] != found["script"]


def _without_tokens(text: str) -> str:
    return re.sub(r"(/deployments/|/health/)[0-9a-f]{64}", rf"\1{SECRET_WORD}", text)


def _payload_url(found: dict[str, Any]) -> str:
    """Where the kernel's arguments send the agent, or the installer."""
    arguments = " ".join(found["arguments"])
    if named := re.search(r"\burl=(http://\S+/answers/\S+)", arguments):
        return named[1]
    words = dict(word.split("=", 1) for word in found["arguments"] if "=" in word)
    return f"{words['ironwake.url']}/deployments/{words['ironwake.token']}/order"
