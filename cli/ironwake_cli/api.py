"""The controller's public API (`/v1`), as the command line uses it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import httpx2

from ironwake.errors import BrokenError, IronwakeError, RefusedError
from ironwake_runtime.reply import Reply, problem

_PATIENCE = 60.0  # seconds for one answer; a BMC that does not answer is given 25 of them
# The controller sends a comment at least every 15 s, so that a silent line is a dead one.
_STREAM_PATIENCE = 45.0

Document = dict[str, Any]


class Api:
    """Calls with the admin token.

    Every method raises IronwakeError: the controller's own, or BrokenError when it is away.
    """

    def __init__(self, url: str, token: str, http: httpx2.Client | None = None) -> None:
        self._url = url
        self._http = http or httpx2.Client(base_url=url, timeout=_PATIENCE, trust_env=False)
        self._headers = {"authorization": f"Bearer {token}"}

    def get(self, path: str, **query: str) -> Any:
        """The document at this path below /v1."""
        return self._call("GET", path, query=query)

    def post(self, path: str, body: Mapping[str, object] | None = None) -> Any:
        return self._call("POST", path, body=body or {})

    def put(self, path: str, body: Mapping[str, object]) -> Any:
        return self._call("PUT", path, body=body)

    def patch(self, path: str, body: Mapping[str, object]) -> Any:
        return self._call("PATCH", path, body=body)

    def delete(self, path: str) -> None:
        self._call("DELETE", path)

    def listing(self, path: str, **query: str) -> Iterator[Document]:
        """All items of a collection, page after page."""
        after: str | None = None
        while True:
            page = self.get(path, **query, **({"after": after} if after else {}))
            yield from page["items"]
            after = page.get("next")
            if not after:
                return

    def events(self, deployment: str, after: str = "") -> Iterator[Document | None]:
        """A deployment's events, those there are and those to come; ends when the stream does.

        None stands for "still there, nothing new". `after` is the last event's id that was seen.
        """
        headers = {**self._headers, "accept": "text/event-stream"}
        if after:
            headers["last-event-id"] = after
        path = f"/v1/deployments/{segment(deployment)}/events"
        timeout = httpx2.Timeout(_PATIENCE, read=_STREAM_PATIENCE)
        with (
            self._reaching(),
            self._http.stream("GET", path, headers=headers, timeout=timeout) as reply,
        ):
            if reply.status_code >= 400:
                reply.read()
                raise _problem(reply)
            yield from sse(reply.iter_lines())

    def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> Any:
        with self._reaching():
            reply = self._http.request(
                method, f"/v1/{path}", params=query or None, json=body, headers=self._headers
            )
        if reply.status_code >= 400:
            raise _problem(reply)
        try:
            return reply.json() if reply.content else None
        except ValueError as error:
            raise BrokenError(
                f"what answers at {self._url} is not the controller",
                "see IRONWAKE_CONTROLLER_URL",
            ) from error

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except httpx2.HTTPError as error:
            raise BrokenError(
                f"the controller at {self._url} does not answer: {error}",
                "start the appliance with 'ironwake serve', or see: ironwake doctor",
            ) from error


def _problem(reply: httpx2.Response) -> IronwakeError:
    error = problem(Reply(reply.status_code, reply.content))
    if reply.status_code in (401, 403):  # the wrong key is nobody's break-down
        return RefusedError(error.what, error.next_step or "see: ironwake token", error.where)
    return error


def segment(name: str) -> str:
    """A name as one part of a path, whatever is in it."""
    return quote(name, safe="")


def sse(lines: Iterable[str]) -> Iterator[Document | None]:
    """Server-sent events (WHATWG HTML §9.2.6) with JSON data; None for each comment.

    The event's `id` is given as `event_id` where the data has none of that name.
    """
    data: list[str] = []
    identity = ""
    for line in lines:
        if line.startswith(":"):
            yield None
        elif line == "":
            if data:
                document = json.loads("\n".join(data))
                yield {"event_id": identity, **document}
            data = []
        else:
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "data":
                data.append(value)
            elif field == "id":
                identity = value
