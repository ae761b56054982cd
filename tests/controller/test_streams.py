"""Who waits hears at once: server-sent events, and the data plane's long poll."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from ironwake.report import Callback, Seen, Stage
from tests.controller.appliance import ADMIN, SERVICE, Appliance

_PATIENCE = 30.0  # seconds until a test that waits for what never comes fails


class Stream:
    """A call whose answer is read while it is being made."""

    def __init__(self, messages: asyncio.Queue[dict[str, Any]]) -> None:
        self._messages = messages
        self._text = ""

    async def line(self) -> str:
        """The next block of the stream; "" at its end."""
        while "\n\n" not in self._text:
            message = await asyncio.wait_for(self._messages.get(), _PATIENCE)
            self._text += message.get("body", b"").decode()
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                return ""
        block, _, self._text = self._text.partition("\n\n")
        return block

    async def event(self) -> dict[str, Any] | None:
        """The next event's data with its id; comments are skipped; None at the end."""
        while block := await self.line():
            fields = dict(row.split(": ", 1) for row in block.splitlines() if row[0] != ":")
            if fields:
                document: dict[str, Any] = json.loads(fields["data"])
                assert fields["id"] == str(document["seq"])
                assert fields["event"] == document["kind"]
                return document
        return None


@asynccontextmanager
async def _opened(appliance: Appliance, path: str, **headers: str) -> AsyncIterator[Stream]:
    messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    gone = asyncio.Event()
    asked = False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    given = {"host": "localhost", "accept": "text/event-stream", **headers}
    given.setdefault("authorization", f"Bearer {ADMIN}")
    plain, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": plain,
        "raw_path": plain.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in given.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8080),
    }
    call: Callable[..., Coroutine[Any, Any, None]] = appliance.app  # type: ignore[assignment]
    task = asyncio.create_task(call(scope, receive, messages.put))
    try:
        yield Stream(messages)
    finally:
        gone.set()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_a_deployment_is_followed_to_its_end(appliance: Appliance) -> None:
    """Each event arrives as it happens, in order, and the stream ends with the deployment."""
    appliance.enrol()
    made = appliance.deploy(wake=False)
    token, _ = appliance.tokens()

    async def follow() -> list[str]:
        kinds = []
        async with _opened(appliance, f"/v1/deployments/{made['id']}/events") as stream:
            steps = iter(
                (
                    lambda: appliance.see(Seen.OFFERED, file="x"),
                    lambda: appliance.claim(token),
                    lambda: appliance.report(token, Callback(Stage.FAILED, "f")),
                )
            )
            while (event := await stream.event()) is not None:
                kinds.append(event["kind"])
                if (step := next(steps, None)) is not None:
                    await asyncio.to_thread(step)
        return kinds

    assert asyncio.run(follow()) == ["armed", "offered", "claimed", "failed"]


def test_a_broken_stream_goes_on_where_it_was(appliance: Appliance) -> None:
    """With the last event's id nothing comes twice and nothing is left out."""
    appliance.enrol()
    made = appliance.deploy(wake=False)
    for number in range(5):
        appliance.report(appliance.tokens()[0], Callback(Stage.LOG, str(number), message="x"))
    appliance.good("POST", f"/v1/deployments/{made['id']}/cancel")

    async def read(start: str) -> list[int]:
        path, seqs = f"/v1/deployments/{made['id']}/events", []
        async with _opened(appliance, path, last_event_id=start) as stream:
            while (event := await stream.event()) is not None:
                seqs.append(event["seq"])
        return seqs

    everything = asyncio.run(read(""))
    assert len(everything) == 7
    for cut in range(len(everything)):
        assert asyncio.run(read(str(everything[cut]))) == everything[cut + 1 :]


def test_all_machines_are_followed(appliance: Appliance) -> None:
    """The history of everything can be followed too, from now or from the beginning."""

    async def follow() -> list[str]:
        async with _opened(appliance, "/v1/events") as stream:
            assert (await stream.line()).startswith(":")
            await asyncio.to_thread(appliance.enrol)
            first = await stream.event()
            await asyncio.to_thread(appliance.enrol, "node2", "52:54:00:77:00:11")
            second = await stream.event()
        assert first is not None
        assert second is not None
        return [first["machine"], second["machine"]]

    assert asyncio.run(follow()) == ["node1", "node2"]
    page = appliance.good("GET", "/v1/events?machine=node2")
    assert [item["machine"] for item in page["items"]] == ["node2"]


def test_pages_of_events_join(appliance: Appliance) -> None:
    """As JSON the same history comes in pages."""
    for number in range(5):
        appliance.enrol(f"node{number}", f"52:54:00:77:00:1{number}")
    seqs, after = [], "0"
    while after is not None:
        page = appliance.good("GET", f"/v1/events?limit=2&after={after}")
        seqs += [item["seq"] for item in page["items"]]
        after = page["next"]
    assert len(seqs) == 5
    assert seqs == sorted(seqs)


def test_closing_ends_the_streams(appliance: Appliance) -> None:
    """A stopping controller lets go of everybody who waits."""

    async def follow() -> dict[str, Any] | None:
        async with _opened(appliance, "/v1/events") as stream:
            await stream.line()
            appliance.house.store.bell.close()
            return await stream.event()

    assert asyncio.run(follow()) is None


def test_the_long_poll_hears_a_change_at_once(appliance: Appliance) -> None:
    """A poll that waits is answered by the change, not by the end of its time."""
    version = appliance.view().version
    own = f"Bearer {SERVICE}"

    async def poll() -> Any:
        path = f"/internal/view/changes?after={version}&wait=50"
        async with _opened(appliance, path, authorization=own) as stream:
            await asyncio.to_thread(appliance.enrol)
            text = ""
            while True:
                message = await asyncio.wait_for(stream._messages.get(), _PATIENCE)
                text += message.get("body", b"").decode()
                if message["type"] == "http.response.body" and not message.get("more_body"):
                    return json.loads(text)

    view = asyncio.run(poll())["view"]
    assert [entry["machine"]["name"] for entry in view["entries"]] == ["node1"]
    assert view["version"] > version


def test_the_long_poll_says_when_nothing_changed(appliance: Appliance) -> None:
    """No news is 204; a version of another history is answered with ours."""
    version = appliance.view().version
    path = "/internal/view/changes"
    assert appliance.call("GET", f"{path}?after={version}&wait=0.01").status_code == 204
    assert appliance.call("GET", f"{path}?after={version + 10}&wait=9").status_code == 200


def test_lines_of_history_do_not_change_the_view(appliance: Appliance) -> None:
    """What moves nothing wakes no data-plane service."""
    appliance.enrol()
    appliance.deploy(wake=False)
    token, _ = appliance.tokens()
    version = appliance.view().version
    appliance.report(token, Callback(Stage.LOG, "1", message="hello"))
    appliance.see(Seen.INITRD, file="initrd")
    assert appliance.view().version == version
    appliance.see(Seen.KERNEL, file="vmlinuz")
    assert appliance.view().version > version
