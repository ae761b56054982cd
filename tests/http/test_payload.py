"""The order and the answers: once, to whom the controller says, and not a byte more."""

from __future__ import annotations

import pytest

from ironwake.errors import GoneError, UnknownError
from ironwake.report import ClaimRequest, Seen
from tests.http.rig import PRESEED_TOKEN, STRANGER, TOKEN, UNKNOWN_TOKEN, Rig, run

ORDER = f"/deployments/{TOKEN}/order"
ANSWERS = f"/deployments/{PRESEED_TOKEN}/answers/preseed.cfg"


def test_the_claim_names_the_client_and_its_boot() -> None:
    """What is claimed goes out as the controller gave it, in the name of this client and boot."""

    async def test(rig: Rig) -> None:
        reply = await rig.ask(ORDER, fields=("X-Ironwake-Boot: 1b-2c",))
        assert reply.status == 200
        assert reply.body == '{"order": "ü"}'.encode()
        assert reply.field("Content-Type") == "application/json"
        assert reply.field("Cache-Control") == "no-store"
        reply = await rig.ask(ANSWERS, fields=("X-Forwarded-For: 10.0.0.1", "X-Ironwake-Boot: {}"))
        assert reply.status == 200
        assert rig.controller.claims == [
            ClaimRequest(TOKEN, "127.0.0.1", "1b-2c"),
            ClaimRequest(PRESEED_TOKEN, "127.0.0.1", ""),
        ]

    run(test)


def test_the_claim_names_the_card() -> None:
    """The card that is seen behind the client's address goes along: the controller judges it."""

    async def test(rig: Rig) -> None:
        await rig.ask(ORDER)
        assert [claim.mac for claim in rig.controller.claims] == [STRANGER]

    run(test, neighbour=lambda _: STRANGER)


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("HEAD", ORDER),
        ("HEAD", ANSWERS),
        ("GET", f"/deployments/{PRESEED_TOKEN}/order"),
        ("GET", f"/deployments/{TOKEN}/answers/preseed.cfg"),
        ("GET", f"/deployments/{PRESEED_TOKEN}/answers/user-data"),
        ("GET", f"/deployments/{UNKNOWN_TOKEN}/answers/passwd"),
        ("GET", f"/deployments/{TOKEN}%2f..%2f{TOKEN}/order"),
        ("GET", "/deployments//order"),
        ("POST", ORDER),
    ],
)
def test_what_claims_nothing(method: str, target: str) -> None:
    """A look, a wrong name, a wrong method and a bad token never reach the controller."""

    async def test(rig: Rig) -> None:
        reply = await rig.ask(target, method)
        assert reply.status in ((200,) if method == "HEAD" else (404, 405))
        assert rig.controller.attempts == 0

    run(test)


def test_a_token_newer_than_the_view_is_the_controllers_to_judge() -> None:
    """The view may lag behind an arming: an unknown token is asked for all the same."""

    async def test(rig: Rig) -> None:
        assert (await rig.ask(f"/deployments/{UNKNOWN_TOKEN}/order")).status == 200

    run(test)
    run(test, view=False)


def test_a_controller_that_comes_back_is_waited_for() -> None:
    """While it is away the request is held, and then answered."""

    async def test(rig: Rig) -> None:
        rig.controller.away = 3
        assert (await rig.ask(ORDER)).status == 200
        assert rig.controller.attempts == 4

    run(test)


def test_a_controller_that_stays_away() -> None:
    """At the end of our patience the client is told to ask again."""

    async def test(rig: Rig) -> None:
        rig.controller.away = 100
        reply = await rig.ask(ORDER)
        assert (reply.status, reply.field("Retry-After")) == (503, "5")
        assert reply.body.startswith(b"# ")

    run(test)


def test_refusals_are_harmless_and_tell_nothing() -> None:
    """Unknown is 404 and used up is 410, in fixed words: nothing of what the controller said."""

    async def test(rig: Rig) -> None:
        for error, status in ((UnknownError(f"no {TOKEN}"), 404), (GoneError(f"had {TOKEN}"), 410)):
            rig.controller.error = error
            reply = await rig.ask(ORDER)
            assert reply.status == status
            assert reply.body.startswith(b"# ")
            assert TOKEN.encode() not in reply.body
        unknown = await rig.ask(f"/deployments/{TOKEN}/answers/preseed.cfg")
        rig.controller.error = UnknownError("no")
        assert unknown.body == (await rig.ask(f"/deployments/{UNKNOWN_TOKEN}/order")).body
        refused = rig.reporter.of(Seen.REFUSED)
        assert refused
        assert not any(TOKEN in str(item) for item in refused)

    run(test)
