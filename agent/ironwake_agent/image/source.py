"""Ranges of an artifact, over a connection that is kept: asked again whenever it breaks."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from ironwake.errors import BrokenError
from ironwake.sizes import size_text
from ironwake_agent.client import TIMEOUT, UnreachableError, is_passing, reason
from ironwake_agent.complaints import Complaints
from ironwake_agent.patience import Patience
from ironwake_agent.unpack import DamagedError

_SKIP = 1 << 16


@dataclass(frozen=True)
class Place:
    """Where an artifact is fetched from, and its size in bytes."""

    url: str
    size: int


class Source:
    """One connection; a `with` block closes it.

    :param patience: how long nothing at all may come
    :param complain: told what is wrong; one for all connections
    :param check: called before each repeat; may raise to stop
    """

    def __init__(
        self,
        place: Place,
        patience: Patience,
        complain: Complaints,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._place = place
        self._check_stop = check
        self._patience = patience
        self._complain = complain
        self._parts = urlsplit(place.url)
        self._connection: http.client.HTTPConnection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def read(self, offset: int, room: memoryview) -> None:
        """Fill the room with what stands from `offset` on.

        :raises DamagedError: the artifact there is another one
        :raises BrokenError: the appliance refuses, or nothing comes for too long
        """
        done = 0
        waiting = self._patience.start()
        while done < len(room):
            try:
                done += self._some(offset + done, room[done:])
                waiting.progress()
                continue
            except UnreachableError as error:
                trouble = str(error)
                self._close()
            self._check_stop()
            self._complain(trouble)
            if not waiting.again():
                raise BrokenError(
                    f"nothing of the image came for {self._patience.seconds:g} s: {trouble}",
                    "look at the appliance and the network between",
                )

    def _some(self, offset: int, room: memoryview) -> int:
        """One answer, or its beginning where it breaks after some bytes."""
        count = 0
        kept = self._connection is not None
        try:
            with self._ask(offset, len(room)) as response:
                while count < len(room) and (more := response.readinto(room[count:])):
                    count += more
                if count == len(room) and response.isclosed():
                    return count
            self._close()  # what it still had to say belongs to nobody
        except (OSError, http.client.HTTPException) as error:
            if not count and kept:  # the appliance has ended it while nobody asked
                self._close()
                return self._some(offset, room)
            if not count:
                told = str(error) or type(error).__name__
                raise UnreachableError(
                    f"no whole answer from {self._parts.netloc}: {told}"
                ) from None
            self._close()
        if not count:
            raise UnreachableError(f"the connection to {self._parts.netloc} ended early")
        return count

    def _ask(self, offset: int, count: int) -> http.client.HTTPResponse:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(
                self._parts.hostname or "", self._parts.port, timeout=TIMEOUT
            )
        headers = {"Range": f"bytes={offset}-{offset + count - 1}"}
        self._connection.request("GET", self._parts.path or "/", headers=headers)
        response = self._connection.getresponse()
        if is_passing(response.status):
            raise UnreachableError(f"the appliance answered: {reason(response)}")
        if response.status not in (200, 206):
            raise BrokenError(
                f"the appliance does not give the image: {reason(response)}",
                "check that it is still there: ironwake image list",
            )
        self._check(response, offset)
        return response

    def _check(self, response: http.client.HTTPResponse, offset: int) -> None:
        if response.status == 206:
            said = response.getheader("Content-Range") or ""
            total = said.rpartition("/")[2]
            if not said.startswith(f"bytes {offset}-"):
                raise DamagedError(f"the appliance gave another range than was asked for: {said}")
        else:
            total = response.getheader("Content-Length") or ""
        if total.isdigit() and int(total) != self._place.size:
            raise DamagedError(
                f"the appliance has an image of {total} bytes ({size_text(int(total))}), the order"
                f" says {self._place.size}",
                "deploy again: the image has changed since",
            )
        if response.status == 200:  # a cache that knows no ranges
            room = memoryview(bytearray(_SKIP))
            while offset > 0 and (count := response.readinto(room[: min(offset, _SKIP)])):
                offset -= count

    def _close(self) -> None:
        if self._connection is not None:
            with suppress(OSError):
                self._connection.close()
            self._connection = None
