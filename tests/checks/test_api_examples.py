"""The calls that docs/api.md shows are taken, and the error that it shows is given."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field

from ironwake_testing.tree import blocks, read
from tests.controller.appliance import Appliance

TEXT = read("docs", "api.md")
SHOWN = "d3f9a2c1b"  # the deployment of the examples


@dataclass
class Call:
    """One line `call …` of an example: curl's words, understood."""

    method: str = "GET"
    path: str = ""
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)


def _calls() -> list[Call]:
    lines = [line for kind, body in blocks(TEXT) if kind == "sh" for line in body.splitlines()]
    return [_call(shlex.split(line)[1:]) for line in lines if line.startswith("call ")]


def _call(words: list[str]) -> Call:
    call = Call()
    while words:
        match words.pop(0):
            case "-X":
                call.method = words.pop(0)
            case "-d":
                call.method, call.body = "POST", words.pop(0).encode()
            case "-H":
                name, _, value = words.pop(0).partition(": ")
                call.headers[name] = value
            case "-N":
                pass
            case word:
                call.path = word.removeprefix("$API")
    return call


def test_every_call_that_is_shown_is_taken(appliance: Appliance) -> None:
    """One after the other, as a person would type them; the stream last, when it has an end."""
    appliance.profile("debian-12", "release: debian-12\n")
    calls = _calls()
    assert len(calls) >= 5
    real = ""
    for call in sorted(calls, key=lambda one: bool(one.headers)):
        path = call.path.replace(SHOWN, real)
        reply = appliance.call(call.method, path, raw=call.body, headers=call.headers)
        assert reply.status_code < 400, (call, reply.text)
        if path.endswith("/deploy"):
            real = reply.json()["id"]
        if call.headers:
            assert "event: cancelled" in reply.text


def test_the_error_that_is_shown_is_the_one_given(appliance: Appliance) -> None:
    """Word for word."""
    (shown,) = (json.loads(body) for kind, body in blocks(TEXT) if kind == "json")
    appliance.enrol("node1")
    body = {"name": "node2", "macs": ["52:54:00:77:00:10"]}
    assert appliance.call("POST", "/v1/machines", body).json() == shown
