"""Bodies and queries of machines' reports to the core's dataclasses, strictly. Pure.

All that a hostile body can do is to be refused: InputError, with the field and what it may be.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from ironwake import families, wire
from ironwake.deployment import Deployment
from ironwake.errors import InputError
from ironwake.methods import live
from ironwake.profile import Method
from ironwake.report import Callback, HealthReport, Stage

_FIELDS = 32


def callback(query: str, body: bytes) -> Callback:
    """A callback: JSON, or the fields in the query with an empty body.

    With `stage=log` in the query, the body is the log itself: `wget --post-file=/var/log/syslog`.
    """
    given = _pairs(query) if query else {}
    if given.get("stage") == Stage.LOG and body and not body.lstrip().startswith(b"{"):
        given["message"] = body.decode("utf-8", "replace")
    elif body.strip():
        return _checked(wire.decode(Callback, body, foreign=True))
    if "percent" in given:
        given["percent"] = _number(given["percent"])
    return _checked(wire.load(Callback, given))


def heard(deployment: Deployment, content_type: str, body: bytes) -> Callback | None:
    """What this deployment's installer says in its own words; None for what is no news."""
    match deployment.profile.method:
        case Method.SCRIPT:
            return families.of(deployment.need_release()).heard(content_type, body)
        case Method.LIVE:
            return live.heard(content_type, body)
    return None


def health(body: bytes) -> HealthReport:
    """A health report: JSON; an empty body is one without details."""
    return wire.decode(HealthReport, body, foreign=True) if body.strip() else HealthReport()


def _pairs(query: str) -> dict[str, Any]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_FIELDS)
    except ValueError:
        raise InputError("the query has too many fields", "give each field once") from None
    if len({name for name, _ in pairs}) < len(pairs):
        raise InputError("the query has a field twice", "give each field once")
    return dict(pairs)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{text!r:.40} is not a number", "", "percent") from None


def _checked(report: Callback) -> Callback:
    # Not-a-number compares false with everything, so it ends here as well.
    if report.percent is not None and not 0 <= report.percent <= 100:
        raise InputError(f"{report.percent!r} is not between 0 and 100", "", "percent")
    return report
