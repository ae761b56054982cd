"""What the controller answered, and the error that it stands for."""

from __future__ import annotations

import json
from dataclasses import dataclass

from ironwake.errors import BY_STATUS, BrokenError, IronwakeError


@dataclass(frozen=True)
class Reply:
    """`body` is whole; of the headers, none is of use to the callers."""

    status: int
    body: bytes


def problem(reply: Reply) -> IronwakeError:
    """The error that a problem+json reply (RFC 9457) stands for."""
    try:
        data = json.loads(reply.body)
        what = str(data.get("detail") or data.get("title"))
        step, where = str(data.get("next_step", "")), str(data.get("where", ""))
    except (ValueError, AttributeError):
        what, step, where = f"the controller answered {reply.status}", "", ""
    return BY_STATUS.get(reply.status, BrokenError)(what, step, where)
