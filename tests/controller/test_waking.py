"""Who is woken, when, how often, and where the packets go."""

from __future__ import annotations

import itertools
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.errors import BrokenError, InputError
from ironwake.mac import Mac
from ironwake.report import Seen
from ironwake.site import Site
from ironwake_controller.wake import packets
from ironwake_controller.wake.packets import Magic
from ironwake_controller.wake.queue import PAUSES, WakeQueue
from tests.controller.appliance import MAC, Appliance, Opened

OTHER = "52:54:00:77:00:99"


def test_packets_go_out_with_growing_pauses_until_it_is_seen(appliance: Appliance) -> None:
    """Armed machines are woken at once and again, until their DHCP request is seen."""
    appliance.enrol()
    appliance.deploy()
    sent: list[int] = []
    for second in range(60):
        appliance.house.wake_loop.wake()
        if len(appliance.power.woken) > len(sent):
            sent.append(second)
            assert appliance.power.woken[-1] == MAC
        appliance.clock.pass_time(1)
    assert sent == [0, 2, 6, 14, 29, 59]
    appliance.see(Seen.DHCP)
    appliance.clock.pass_time(60)
    appliance.house.wake_loop.wake()
    assert len(appliance.power.woken) == len(sent)
    assert appliance.kinds().count("wake") == 1


def test_waking_ends_with_the_deployment_and_with_the_deadline(appliance: Appliance) -> None:
    """Nobody is woken for something that was cancelled, nor for ever."""
    appliance.enrol()
    made = appliance.deploy()
    loop, power = appliance.house.wake_loop, appliance.power
    loop.wake()
    appliance.good("POST", f"/v1/deployments/{made['id']}/cancel")
    appliance.clock.pass_time(30)
    loop.wake()
    assert len(power.woken) == 1
    appliance.good("POST", "/v1/machines/node1/wake")
    for _ in range(700):
        loop.wake()
        appliance.clock.pass_time(1)
    count = len(power.woken)
    appliance.clock.pass_time(1000)
    loop.wake()
    assert len(power.woken) == count
    assert 20 < count < 30


def test_nobody_is_woken_without_a_wish(appliance: Appliance) -> None:
    """Neither enrolling nor a deployment without waking sends a packet."""
    appliance.enrol()
    appliance.deploy(wake=False)
    appliance.house.wake_loop.wake()
    assert appliance.power.woken == []


def test_a_restart_goes_on_waking(opened: Opened, tmp_path: Path) -> None:
    """A machine that is still awaited after our restart gets its packets again."""
    first = opened(tmp_path)
    first.enrol()
    first.deploy()
    first.close()
    second = opened(tmp_path)
    second.house.wake_loop.wake()
    assert second.power.woken == [MAC]


def test_failing_to_send_is_told_once(appliance: Appliance) -> None:
    """A missing interface is a line of history with its reason, not one per attempt."""
    appliance.power.broken = "the network is down"
    appliance.enrol()
    appliance.deploy()
    for _ in range(60):
        appliance.house.wake_loop.wake()
        appliance.clock.pass_time(1)
    lines = [event for event in appliance.history() if event.kind == "wake"]
    assert [line.message for line in lines] == ["the network is down"]


def test_all_cards_of_a_machine_are_woken(appliance: Appliance) -> None:
    """Only one of them may have the cable: nobody knows which."""
    appliance.enrol("node1", MAC, OTHER)
    appliance.good("POST", "/v1/machines/node1/wake")
    appliance.house.wake_loop.wake()
    (magic,) = appliance.power.sent
    assert magic.macs == (MAC, OTHER)


def test_a_machine_has_targets_password_and_interface_of_its_own(appliance: Appliance) -> None:
    """What its power settings say is what its packets get."""
    appliance.enrol()
    settings = {"targets": ["10.9.9.255"], "secureon": "01:23:45:67:89:AB", "interface": "eth7"}
    body = {"driver": "wol", "settings": settings}
    appliance.good("PUT", "/v1/machines/node1/power", body)
    appliance.good("POST", "/v1/machines/node1/power/on")
    appliance.house.wake_loop.wake()
    assert appliance.power.sent == [Magic((Mac(MAC),), ("10.9.9.255",), "eth7", "0123456789ab")]


@given(
    rate=st.floats(0.5, 200),
    arrivals=st.lists(st.floats(0, 5), min_size=1, max_size=60),
    looks=st.lists(st.floats(0.001, 0.7), min_size=1, max_size=20),
)
def test_no_second_has_more_than_the_rate(
    rate: float, arrivals: list[float], looks: list[float]
) -> None:
    """However many sleep, and however late we look: turns are never closer than the rate says."""
    queue, now, turns = WakeQueue(rate), 0.0, []
    waiting = sorted(arrivals)
    for number, pause in zip(range(400), itertools.cycle(looks), strict=False):
        while waiting and waiting[0] <= now:
            queue.begin(len(waiting), waiting.pop(0), 100.0)
        if queue.due(now) is not None:
            turns.append(now)
        now += min(pause, queue.rest(now)) or 1e-6 * number
    gaps = [after - before for before, after in itertools.pairwise(turns)]
    assert all(gap >= 1 / rate - 1e-9 for gap in gaps)


def test_a_hundred_machines_take_five_seconds_at_twenty_per_second() -> None:
    """Each gets its first packet, in the order of asking, one every 50 ms."""
    queue, now = WakeQueue(20), 0.0
    first: dict[int, float] = {}
    for number in range(100):
        queue.begin(number, 0.0, 600.0)
    while len(first) < 100:
        turn = queue.due(now)
        if turn is not None and turn.number == 1:
            first[turn.machine_id] = now
        now += queue.rest(now)
    assert list(first) == list(range(100))
    assert max(first.values()) == pytest.approx(99 * 0.05, abs=1e-6)


def test_rest_knows_the_next_turn() -> None:
    """Nobody sleeping: for ever; otherwise until the pause or the rate allows it."""
    queue = WakeQueue(20)
    assert queue.rest(0.0) == float("inf")
    queue.begin(1, 5.0, 100.0)
    assert queue.rest(0.0) == 5.0
    assert queue.due(5.0) is not None
    assert queue.rest(5.0) == PAUSES[0]
    queue.begin(2, 5.0, 100.0)
    assert queue.rest(5.0) == pytest.approx(0.05)


def test_packets_go_to_the_subnets_own_broadcast() -> None:
    """Never to all networks: only where the machines are."""
    assert packets.broadcast(Site("10.77.0.2", 24)) == "10.77.0.255"
    assert packets.broadcast(Site("172.16.5.9", 20)) == "172.16.15.255"


@contextmanager
def _listening() -> Iterator[tuple[socket.socket, str]]:
    """What hears magic packets on the loopback interface, and its address there.

    The port is always 9, so the address is one that no other run has.
    """
    address = f"127.{'.'.join(str(1 + octet % 254) for octet in secrets.token_bytes(3))}"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(300)
        sock.bind((address, 9))
        yield sock, address


@pytest.mark.root  # a port below 1024
def test_the_packets_are_magic() -> None:
    """Six times ff, sixteen times the card, the password: for each card, at each target."""
    with _listening() as (sock, address):
        send = packets.sender(lambda: Site("127.0.0.1", 32), [address])
        send(Magic((Mac(MAC), Mac(OTHER)), secureon="0123456789ab"))
        heard = {sock.recv(2000), sock.recv(2000)}
    password = bytes.fromhex("0123456789ab")
    assert heard == {b"\xff" * 6 + Mac(mac).packed * 16 + password for mac in (MAC, OTHER)}


@pytest.mark.root  # a port below 1024
def test_a_place_that_is_not_reached_takes_nothing_from_the_others() -> None:
    """The error names it with the setting to look at; the other place has its packet."""
    with _listening() as (sock, address):
        send = packets.sender(lambda: Site("192.0.2.1", 24), [address])
        with pytest.raises(BrokenError, match=r"192\.0\.2\.1") as caught:
            send(Magic((Mac(MAC),), secureon="0123456789ab"))
        assert len(sock.recv(2000)) == 108
    assert "IRONWAKE_INTERFACE" in caught.value.next_step
    assert address not in caught.value.what
    assert "0123456789ab" not in str(caught.value)


@pytest.mark.root  # a port below 1024
def test_an_interface_that_is_gone_leaves_the_other_places() -> None:
    """A machine's own interface may be unplugged, or misspelt."""
    with _listening() as (sock, address):
        send = packets.sender(lambda: Site("127.0.0.1", 32), [address])
        with pytest.raises(BrokenError, match="'nowhere0'"):
            send(Magic((Mac(MAC),), interface="nowhere0"))
        assert len(sock.recv(2000)) == 102


def test_targets_are_checked_at_the_start() -> None:
    """Addresses and names, with commas or blanks between them; a typo is told with its setting."""
    assert packets.targets_of("10.1.2.255, relay.example  10.1.2.255") == (
        "10.1.2.255",
        "relay.example",
    )
    for wrong in ("10.1.2.256", "10.1.2", "-x", "a_b", "::1"):
        with pytest.raises(InputError) as caught:
            packets.targets_of(wrong)
        assert caught.value.where == "IRONWAKE_WAKE_TARGETS"
