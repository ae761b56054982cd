"""The answers are handed out once."""

from __future__ import annotations

import pytest

from ironwake import wire
from ironwake.mac import Mac
from ironwake.order import Order
from ironwake.plan import Silence
from ironwake.report import Callback, Grant, Seen, Stage
from tests.controller.appliance import CLIENT, MAC, Appliance

STRANGER = "10.77.0.66"
OTHER = "52:54:00:77:00:11"


@pytest.fixture
def token(appliance: Appliance) -> str:
    """Of an armed deployment of node1."""
    appliance.enrol()
    appliance.deploy()
    return appliance.tokens()[0]


def test_nobody_else_gets_the_answers(appliance: Appliance, token: str) -> None:
    """After the first claim another address, another boot, and another token get nothing."""
    assert appliance.claim(token, CLIENT, "boot-a").status_code == 200
    for client, boot in ((STRANGER, "boot-a"), (CLIENT, "boot-b"), (CLIENT, "")):
        assert appliance.claim(token, client, boot).status_code == 410
    assert appliance.claim("f" * 64).status_code == 404
    assert appliance.claim("").status_code == 404
    assert appliance.kinds().count("claimed") == 1
    assert appliance.kinds().count("refused") == 3


def test_the_same_client_may_repeat_until_it_reports(appliance: Appliance, token: str) -> None:
    """A dropped connection costs nothing; from the first report on, the answers are gone.

    Lines of its log are none: they come by a way of their own, at any time.
    """
    first = appliance.claim(token)
    assert appliance.report(token, Callback(Stage.LOG, "1", message="hello")).status_code == 204
    assert appliance.claim(token).content == first.content
    assert appliance.report(token, Callback(Stage.INSTALLING, "2", "x")).status_code == 204
    assert appliance.claim(token).status_code == 410


def test_the_same_client_may_repeat_for_five_minutes(appliance: Appliance, token: str) -> None:
    """A client that says nothing loses its right by the clock that never jumps."""
    appliance.claim(token)
    appliance.clock.pass_time(299)
    assert appliance.claim(token).status_code == 200
    appliance.clock.pass_time(2)
    assert appliance.claim(token).status_code == 410


def test_expired_arms_hand_out_nothing(appliance: Appliance, token: str) -> None:
    """The claim itself looks at the time, not only a task in the background."""
    appliance.clock.pass_time(60 * 60)
    assert appliance.claim(token).status_code == 410
    assert appliance.state() == "expired"


def test_locked_machines_get_nothing(appliance: Appliance, token: str) -> None:
    """A lock that comes between the kernel and the claim still holds."""
    appliance.good("POST", "/v1/machines/node1/lock")
    assert appliance.claim(token).status_code == 409
    assert appliance.state() == "armed"


def test_what_cannot_be_rendered_is_not_used_up(appliance: Appliance, token: str) -> None:
    """Media that vanish before the claim refuse it, and the deployment stays armed."""
    for path in (appliance.settings.artifacts / "manifests").iterdir():
        path.unlink()
    appliance.house.housekeeping.look()
    assert appliance.claim(token).status_code == 409
    assert appliance.state() == "armed"


def test_another_hardware_is_held(appliance: Appliance) -> None:
    """A machine that describes itself as another one than was enrolled gets no answers."""
    mine, other = (f"6d0c4a2e-0000-4000-8000-00000000000{n}" for n in (1, 2))
    appliance.enrol(uuid=mine)
    appliance.deploy()
    token, _ = appliance.tokens()
    facts = Callback(Stage.FACTS, "1", facts={"uuid": other})
    assert appliance.report(token, facts).status_code == 204
    reply = appliance.claim(token)
    assert reply.status_code == 409
    assert mine in reply.json()["detail"]
    assert "alarm" in appliance.kinds()
    # Nor is it booted again: its ramdisk would be refused again, and restart, for an hour.
    decision = appliance.house.views.index().resolve(Mac(MAC))
    assert isinstance(decision, Silence)
    assert "held back" in decision.reason


def test_byte_orders_of_a_uuid_are_one_machine(appliance: Appliance) -> None:
    """Firmware disagrees about the order of the first three groups; nobody is held for that."""
    appliance.enrol(uuid="6d0c4a2e-1122-4000-8000-000000000001")
    appliance.deploy()
    token, _ = appliance.tokens()
    facts = {"uuid": "2E4A0C6D-2211-0040-8000-000000000001"}
    appliance.report(token, Callback(Stage.FACTS, "1", facts=facts))
    assert appliance.claim(token).status_code == 200


def test_storms_of_refusals_are_a_few_lines(appliance: Appliance, token: str) -> None:
    """Whoever asks a thousand times, in ever new boots, fills no disk."""
    appliance.claim(token, CLIENT, "boot-a")
    for number in range(80):
        assert appliance.claim(token, STRANGER, "same").status_code == 410
        assert appliance.claim(token, STRANGER, str(number)).status_code == 410
    assert appliance.kinds().count("refused") == 50


def test_another_card_gets_no_answers(appliance: Appliance, token: str) -> None:
    """A token that was read on its way is no use to other cards, enrolled or not; it stays good."""
    appliance.enrol("node2", OTHER)
    appliance.see(Seen.ADDRESS, OTHER, STRANGER)
    for client, card in ((CLIENT, OTHER), (CLIENT, "52:54:00:77:00:99"), (STRANGER, "")):
        assert appliance.claim(token, client, mac=card).status_code == 409
    assert appliance.kinds().count("refused") == 3
    assert appliance.state() == "armed"
    # The card that is seen counts, whosever the address was before.
    assert appliance.claim(token, STRANGER, mac=MAC).status_code == 200


@pytest.mark.parametrize(("seen", "told"), [(OTHER, ""), ("", OTHER), ("", "")])
def test_the_order_is_about_the_card_that_asks(appliance: Appliance, seen: str, told: str) -> None:
    """Seen behind the address, else as DHCP saw it given; with neither, the machine's first."""
    appliance.enrol("node1", MAC, OTHER)
    appliance.deploy()
    if told:
        appliance.see(Seen.ADDRESS, told, CLIENT)
    reply = appliance.claim(appliance.tokens()[0], mac=seen)
    order = wire.decode(Order, wire.decode(Grant, reply.content).text)
    assert order.mac == (seen or told or MAC)
