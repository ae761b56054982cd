"""The controller as services see it: its errors, its view, and what is reported to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import structlog

from ironwake import wire
from ironwake.errors import BrokenError, GoneError, IronwakeError, RefusedError, UnknownError
from ironwake.report import Callback, ClaimRequest, Grant, HealthReport, Seen, Stage
from ironwake.site import Site
from ironwake.view import Index, View, ViewChange
from ironwake_runtime.controller import ControllerClient, Reporter, ViewFollower
from ironwake_testing.stand_in import Answer, StandIn, standing_in

LOG = structlog.get_logger()
VIEW = View(7, Site("10.77.0.2", 24))


@pytest.fixture
def controller() -> Iterator[StandIn]:
    with standing_in() as stand_in:
        yield stand_in


@pytest.fixture
def token_file(tmp_path: Path, controller: StandIn) -> Path:
    path = tmp_path / "service.token"
    path.write_text(controller.token + "\n")
    return path


def call(
    controller: StandIn,
    token_file: Path,
    work: Callable[[ControllerClient], Awaitable[object]],
) -> object:
    """Run one piece of work with a client, to its end."""

    async def whole() -> object:
        client = ControllerClient(controller.url, token_file)
        try:
            return await work(client)
        finally:
            await client.close()

    return asyncio.run(whole())


def as_answer(value: object) -> Answer:
    return Answer(200, wire.encode(value))


def test_a_view_is_asked_for_by_version(controller: StandIn, token_file: Path) -> None:
    """A newer view is decoded; 204 means that nothing changed."""
    controller.on("GET", "/internal/view/changes", as_answer(ViewChange(VIEW)), Answer(204))
    assert call(controller, token_file, lambda client: client.changes(3)) == ViewChange(VIEW)
    assert call(controller, token_file, lambda client: client.changes(7)) is None
    assert [asked.query["after"] for asked in controller.asked] == ["3", "7"]


def test_a_claim_is_one_request(controller: StandIn, token_file: Path) -> None:
    """The payload comes back as the controller gave it, for the token, client and boot given."""
    controller.on("POST", "/internal/claims", as_answer(Grant("text/plain", "order")))
    request = ClaimRequest("ab" * 32, "10.77.0.100", "boot-1")
    assert call(controller, token_file, lambda c: c.claim(request)) == Grant("text/plain", "order")
    assert wire.load(ClaimRequest, controller.asked[0].body) == request


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, UnknownError), (409, RefusedError), (410, GoneError), (500, BrokenError)],
)
def test_a_problem_keeps_its_class_and_words(
    controller: StandIn, token_file: Path, status: int, kind: type[IronwakeError]
) -> None:
    """Unknown, refused, gone and broken stay apart, with what happened and the next step."""
    body = {"title": "x", "status": status, "detail": "it is over", "next_step": "deploy anew"}
    controller.on("POST", "/internal/health/t", Answer(status, body))
    with pytest.raises(kind) as caught:
        call(controller, token_file, lambda client: client.health("t", HealthReport()))
    assert (caught.value.what, caught.value.next_step) == ("it is over", "deploy anew")


def test_an_answer_that_is_no_problem_document(controller: StandIn, token_file: Path) -> None:
    """Whatever stands in the way (a proxy's page) is our fault, named with its status."""
    controller.on("POST", "/internal/deployments/t/callbacks", Answer(502, "<html>", "text/html"))
    callback = Callback(Stage.INSTALLING)
    with pytest.raises(BrokenError, match="502"):
        call(controller, token_file, lambda client: client.callback("t", callback))


def test_a_controller_that_is_away(tmp_path: Path) -> None:
    """No token file yet, or nobody listening: both say that the controller does not answer."""
    missing = StandIn("http://127.0.0.1:1", "")
    with pytest.raises(BrokenError, match=r"http://127.0.0.1:1 does not answer"):
        call(missing, tmp_path / "none", lambda client: client.changes(0))
    (tmp_path / "token").write_text("t")
    with pytest.raises(BrokenError, match=r"http://127.0.0.1:1 does not answer"):
        call(missing, tmp_path / "token", lambda client: client.changes(0))


def test_a_new_token_is_taken_up(controller: StandIn, token_file: Path) -> None:
    """The file is read for each call: a controller that starts later, or anew, is understood."""
    controller.on("GET", "/internal/view/changes", Answer(204))
    token_file.write_text("stale")

    async def work(client: ControllerClient) -> None:
        with pytest.raises(BrokenError):
            await client.changes(0)
        await asyncio.to_thread(token_file.write_text, controller.token)
        await client.changes(0)

    call(controller, token_file, work)


def follow_until(
    controller: StandIn, token_file: Path, saved: Path, enough: Callable[[list[Index]], bool]
) -> list[Index]:
    """Follow the view until the indexes seen are enough."""
    seen: list[Index] = []

    async def work(client: ControllerClient) -> None:
        follower = ViewFollower(client, saved, LOG)
        done = asyncio.Event()

        def take(index: Index) -> None:
            seen.append(index)
            if enough(seen):
                done.set()

        follower.on_change(take)
        task = asyncio.ensure_future(follower.run())
        await asyncio.wait_for(done.wait(), 60)
        task.cancel()

    call(controller, token_file, work)
    return seen


def test_the_view_survives_a_controller_that_is_away(
    controller: StandIn, token_file: Path, tmp_path: Path
) -> None:
    """A failed poll changes nothing and is repeated; each new view is told once and saved."""
    newer = View(8, VIEW.site)
    first, second = as_answer(ViewChange(VIEW)), as_answer(ViewChange(newer, since=7))
    controller.on("GET", "/internal/view/changes", first, Answer(503), Answer(204), second)
    saved = tmp_path / "views" / "dhcp.json"
    seen = follow_until(controller, token_file, saved, lambda s: s[-1].view.version == 8)
    assert [index.view.version for index in seen] == [7, 8]
    assert [asked.query["after"] for asked in controller.asked][:4] == ["-1", "7", "7", "7"]
    assert wire.decode(View, saved.read_bytes()) == newer
    assert saved.stat().st_mode & 0o777 == 0o600


def test_a_saved_view_is_there_at_once(tmp_path: Path) -> None:
    """A service that starts while the controller is away goes on with what it knew."""
    saved = tmp_path / "tftp.json"
    saved.write_bytes(wire.encode(VIEW))
    follower = ViewFollower(ControllerClient("http://127.0.0.1:1", tmp_path / "t"), saved, LOG)
    told: list[Index] = []
    follower.on_change(told.append)
    assert [index.view for index in told] == [VIEW]


@pytest.mark.parametrize("damage", [b"", b"{", b'{"version": "x"}', b"\xff\xfe", b"[]"])
def test_a_damaged_saved_view_is_no_view(tmp_path: Path, damage: bytes) -> None:
    """After a power cut, half a file is the same as none: silence, not a crash."""
    saved = tmp_path / "tftp.json"
    saved.write_bytes(damage)
    client = ControllerClient("http://127.0.0.1:1", tmp_path / "t")
    assert ViewFollower(client, saved, LOG).index is None


def test_observations_arrive_in_order_and_once(controller: StandIn, token_file: Path) -> None:
    """A batch that failed is sent again, with the ids by which the controller knows it."""
    path = "/internal/observations"
    controller.on("POST", path, Answer(503), Answer(204))

    async def work(client: ControllerClient) -> None:
        reporter = Reporter(client, "tftp", LOG)
        task = asyncio.ensure_future(reporter.run())
        reporter.report(Seen.LOADER, "52:54:00:77:00:10", "", {"file": "sb/shimx64.efi"})
        reporter.report(Seen.SENT)
        await asyncio.to_thread(controller.wait_asked, path, 2)
        task.cancel()

    call(controller, token_file, work)
    first, second = (asked.body["items"] for asked in controller.asked[:2])
    assert [item["seen"] for item in second] == ["loader", "sent"]
    assert first == second[: len(first)]
    ids = [item["id"] for item in second]
    assert len(set(ids)) == 2
    assert all(name.startswith("tftp-") for name in ids)
    assert json.dumps(second[0]["detail"]) == '{"file": "sb/shimx64.efi"}'


def test_two_starts_of_a_service_never_share_an_id(tmp_path: Path) -> None:
    """Ids of a restarted service are new ones, though it counts from zero again."""
    client = ControllerClient("http://127.0.0.1:1", tmp_path / "t")
    ids = set()
    for _ in range(2):
        reporter = Reporter(client, "dns", LOG)
        reporter.report(Seen.DHCP)
        ids.add(reporter._queue[0].id)
    assert len(ids) == 2
