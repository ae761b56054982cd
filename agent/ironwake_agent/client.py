"""HTTP to the appliance: plain requests, and what a refusal says."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from ironwake.errors import BrokenError

TIMEOUT = 30.0  # seconds without a byte
_LONGEST_REFUSAL = 1 << 16  # bytes that are read of one
_LONGEST = 4 << 20  # bytes of an answer that is read as a whole: an order is a few KiB


class UnreachableError(BrokenError):
    """No answer came: worth another try."""


@dataclass(frozen=True)
class Answer:
    """`status` is HTTP's; `body` at most 4 MiB."""

    status: int
    body: bytes

    @property
    def is_ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def is_over(self) -> bool:
        """What was asked for is not there, or not any more: no repeat will change that."""
        return self.status in (404, 410)

    @property
    def is_passing(self) -> bool:
        """The appliance is in trouble, not we: worth another try."""
        return is_passing(self.status)

    @property
    def reason(self) -> str:
        """What the answer says in words: problem+json's detail and next step, or its first line."""
        try:
            problem = json.loads(self.body)
        except ValueError:
            problem = None
        if isinstance(problem, dict):
            texts = [str(problem.get(key) or "") for key in ("detail", "next_step")]
            told = "; ".join(text for text in texts if text) or str(problem.get("title", ""))
        else:
            # Where scripts are asked for, a refusal is a comment.
            text = self.body.decode("utf-8", "replace").strip().removeprefix("# ")
            told = text.partition("\n")[0]
        return f"{told[:300]} (HTTP {self.status})" if told else f"HTTP {self.status}"


def request(
    method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """Send one request; UnreachableError where no whole answer comes."""
    with opened(method, url, body, headers) as response:
        return Answer(response.status, response.read(_LONGEST))


def is_passing(status: int) -> bool:
    """The appliance is in trouble, or whoever stands before it has too much to do."""
    return status >= 500 or status in (408, 429)


def reason(response: http.client.HTTPResponse) -> str:
    """What an answer says that is not the file that was asked for."""
    return Answer(response.status, response.read(_LONGEST_REFUSAL)).reason


@contextmanager
def opened(
    method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Iterator[http.client.HTTPResponse]:
    """An answer whose body is still to be read; UnreachableError also for errors while reading."""
    parts = urlsplit(url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT)
    try:
        connection.request(method, path or "/", body, {"Connection": "close", **(headers or {})})
        with connection.getresponse() as response:
            yield response
    except (OSError, http.client.HTTPException) as error:
        told = str(error) or type(error).__name__
        raise UnreachableError(f"no whole answer from {parts.netloc}: {told}") from None
    finally:
        connection.close()
