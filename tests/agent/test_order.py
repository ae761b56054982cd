"""Fetching the order."""

from __future__ import annotations

import pytest

from ironwake import wire
from ironwake.errors import BrokenError, InputError, RefusedError
from ironwake.mac import Mac
from ironwake_agent.client import Answer, UnreachableError
from ironwake_agent.order import NothingToDoError, check_machine, fetch
from tests.agent.rig import ORDER, Clock


class Appliance:
    """Gives its answers one after the other, the last one again and again."""

    def __init__(self, *answers: Answer | Exception) -> None:
        self.answers = list(answers)
        self.asked = 0

    def __call__(self) -> Answer:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


GOOD = Answer(200, wire.encode(ORDER))
DEAD = UnreachableError("no whole answer from 10.77.0.2: Connection refused")
BUSY = Answer(503, b'{"detail": "the controller is away"}')


def test_an_order_comes_out_as_it_was_sent() -> None:
    """The order is parsed once, strictly, into the contract's own type."""
    assert fetch(Appliance(GOOD), Clock().patience(60), print) == ORDER


def test_an_appliance_that_comes_back_is_waited_for() -> None:
    """Refused connections and 503 are repeated with growing pauses; a person is told once each."""
    clock, said = Clock(), list[str]()
    appliance = Appliance(DEAD, DEAD, BUSY, BUSY, GOOD)
    assert fetch(appliance, clock.patience(60), said.append) == ORDER
    assert clock.pauses == [0.5, 1, 2, 4]
    assert len(said) == 2
    assert "the controller is away" in said[1]


def test_the_wait_has_an_end() -> None:
    """Nobody answers: the error says for how long, and what was wrong."""
    clock = Clock()
    with pytest.raises(BrokenError, match=r"no order within 600 s.*Connection refused"):
        fetch(Appliance(DEAD), clock.patience(600), lambda _: None)
    assert 600 <= clock.now < 620


@pytest.mark.parametrize("status", [404, 409, 410])
def test_nothing_to_do_is_known_at_once(status: int) -> None:
    """Handed out, cancelled or unknown: one question, and the appliance's own words."""
    appliance = Appliance(Answer(status, b'{"detail": "it was handed out already"}'))
    with pytest.raises(NothingToDoError, match="it was handed out already"):
        fetch(appliance, Clock().patience(60), lambda _: None)
    assert appliance.asked == 1


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"[]", wire.encode(ORDER)[:-9]])
def test_what_is_no_order_is_an_error(body: bytes) -> None:
    """A proxy's page or half an order is nobody's order."""
    with pytest.raises(InputError):
        fetch(Appliance(Answer(200, body)), Clock().patience(60), lambda _: None)


def test_an_order_for_another_machine_is_refused() -> None:
    """The machine must have the card that the order names."""
    check_machine(ORDER, [Mac("52:54:00:77:00:11"), ORDER.mac])
    with pytest.raises(RefusedError, match="node1"):
        check_machine(ORDER, [Mac("52:54:00:77:00:11")])
