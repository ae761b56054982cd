"""Parts of a capture on their way to the appliance: whatever breaks, it goes on from there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Protocol

from ironwake.captured import DONE, Captured, Part, content_range
from ironwake.errors import BrokenError, RefusedError
from ironwake.wire import encode
from ironwake_agent import client
from ironwake_agent.client import Answer, UnreachableError
from ironwake_agent.complaints import Complaints
from ironwake_agent.patience import Patience

_PIECE = 4 << 20  # bytes of a request; one is kept until the appliance has it
_FINAL = (404, 410, 413)


class Request(Protocol):
    """`ironwake_agent.client.request`."""

    def __call__(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer: ...


class Upload:
    """One part. `write` keeps less than a piece; `end` sends what is left.

    :param url: the part's
    :param patience: how long nothing at all may be taken
    :param check: called before each piece; may raise to stop
    """

    def __init__(
        self,
        url: str,
        patience: Patience,
        say: Callable[[str], None],
        check: Callable[[], None] = lambda: None,
        request: Request = client.request,
        piece: int = _PIECE,
    ) -> None:
        self._url = url
        self._patience = patience
        self._complain = Complaints(say, patience.clock)
        self._check = check
        self._request = request
        self._piece = piece
        self._waiting = bytearray()
        self._sent = 0
        self._digest = hashlib.sha256()

    def write(self, data: bytes | memoryview) -> None:
        """Take bytes, and send whole pieces.

        :raises RefusedError: the appliance does not take them, and never will
        :raises BrokenError: it took nothing for too long
        """
        self._digest.update(data)
        self._waiting += data
        while len(self._waiting) >= self._piece:
            self._send(bytes(self._waiting[: self._piece]))
            del self._waiting[: self._piece]

    def end(self) -> Part:
        """Send the rest; what all of it is."""
        if self._waiting:
            self._send(bytes(self._waiting))
            self._waiting.clear()
        return Part(self._sent, self._digest.hexdigest())

    def _send(self, piece: bytes) -> None:
        waiting = self._patience.start()
        start, end = self._sent, self._sent + len(piece)
        trouble = ""
        while self._sent < end:
            self._check()
            left = piece[self._sent - start :]
            if trouble:
                self._complain(trouble)
                if not waiting.again():
                    raise silent(self._patience, trouble)
            trouble, before = self._put(left), self._sent
            if trouble:
                self._ask(start, end)
            if self._sent > before:
                waiting.progress()

    def _put(self, left: bytes) -> str:
        """What was wrong, or ""."""
        headers = {
            "Content-Range": content_range(self._sent, len(left)),
            "Content-Type": "application/octet-stream",
        }
        try:
            answer = self._request("PUT", self._url, left, headers)
        except UnreachableError as error:
            return str(error)
        if answer.is_ok:
            self._sent += len(left)
            return ""
        judge(answer)
        return answer.reason

    def _ask(self, start: int, end: int) -> None:
        """How much of this piece has come; whatever cannot be read is asked again later."""
        try:
            answer = self._request("GET", self._url)
        except UnreachableError:
            return
        judge(answer)
        text = answer.body.decode("ascii", "replace").strip()
        if not answer.is_ok or not text.isdigit():
            return
        held = int(text)
        if not start <= held <= end:
            raise BrokenError(
                f"the appliance has {held} bytes, and {start} to {end} are being sent",
                "begin the capture anew",
            )
        self._sent = held


def judge(answer: Answer) -> None:
    """Raise where no repeat would help."""
    if answer.status in _FINAL:
        raise RefusedError(f"the appliance does not take the image: {answer.reason}")


def silent(patience: Patience, trouble: str) -> BrokenError:
    return BrokenError(
        f"the appliance took nothing of the image for {patience.seconds:g} s: {trouble}",
        "look at the appliance and the network between",
    )


def finish(url: str, said: Captured, patience: Patience, request: Request = client.request) -> None:
    """The last word; returns once the appliance has it."""
    waiting = patience.start()
    while True:
        try:
            answer = request("PUT", f"{url}/{DONE}", encode(said), {})
        except UnreachableError as error:
            trouble = str(error)
        else:
            if answer.is_ok:
                return
            judge(answer)
            trouble = answer.reason
        if not waiting.again():
            raise silent(patience, trouble)
