"""The webhook driver against a real HTTP server, and how it reads answers."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.errors import BrokenError, IronwakeError, RefusedError
from ironwake_controller.power import drivers
from ironwake_controller.power.driver import Operation, Outcome, PowerState, Target
from ironwake_controller.power.webhook import Reading, read
from ironwake_testing.bmc import Certificate
from ironwake_testing.web import Web, web

DRIVER = drivers.find("webhook")
TARGET = Target("node1", ("52:54:00:77:00:10",))


@contextmanager
def _outlet(certificate: Certificate | None = None) -> Iterator[Web]:
    """A PDU's web server: whatever it is asked, it does."""
    with web(certificate) as made:
        made.status, made.body = 200, b""
        yield made


@pytest.fixture
def outlet() -> Iterator[Web]:
    with _outlet() as made:
        yield made


def _do(operation: str, **given: Any) -> Outcome:
    return DRIVER.carry_out(Operation(operation), drivers.read(DRIVER, given), TARGET)


def test_a_call_is_filled_in_as_its_place_wants(outlet: Web) -> None:
    """In a URL values are quoted, in JSON they are JSON, in a header they are as they are."""
    _do(
        "on",
        on={
            "url": f"{outlet.url}/plug/${{number}}?by=${{machine}}&key=${{token}}",
            "method": "PUT",
            "body": '{"state": "on", "note": "${note}", "mac": "${mac}"}',
        },
        headers={"X-Key": "k ${token}"},
        values={"number": "3/4", "note": 'say "on"'},
        secrets={"token": "a&b c"},
    )
    ((method, path, body, headers),) = outlet.asked
    assert (method, path) == ("PUT", "/plug/3%2F4?by=node1&key=a%26b%20c")
    assert json.loads(body) == {"state": "on", "note": 'say "on"', "mac": TARGET.macs[0]}
    assert headers["x-key"] == "k a&b c"
    assert headers["content-type"] == "application/json"


def test_a_user_and_password_go_as_basic_authentication(outlet: Web) -> None:
    """RFC 7617, at once: many a plug asks for nothing and then refuses."""
    _do("off", off={"url": f"{outlet.url}/off", "method": "GET"}, user="me", password="pw")
    assert (
        outlet.asked[0].headers["authorization"] == f"Basic {base64.b64encode(b'me:pw').decode()}"
    )


def test_it_can_what_it_has_calls_for(outlet: Web) -> None:
    """A cycle is made of off and on where it has no call of its own."""
    on, off = {"url": f"{outlet.url}/on"}, {"url": f"{outlet.url}/off"}
    assert DRIVER.can(drivers.read(DRIVER, {"on": on})) == {Operation.ON}
    both = drivers.read(DRIVER, {"on": on, "off": off})
    assert DRIVER.can(both) == {Operation.ON, Operation.OFF, Operation.CYCLE}
    _do("cycle", on=on, off=off)
    assert [path for _, path, _, _ in outlet.asked] == ["/off", "/on"]
    with pytest.raises(RefusedError, match="can't do status"):
        _do("status", on=on)


@pytest.mark.parametrize(
    ("status", "expect", "error"),
    [
        (204, [], None),
        (202, [202, 303], None),
        (200, [202], BrokenError),
        (303, [], BrokenError),
        (401, [], RefusedError),
        (500, [], BrokenError),
    ],
)
def test_only_the_expected_status_is_success(
    outlet: Web, status: int, expect: list[int], error: type[IronwakeError] | None
) -> None:
    """Any 2xx, or what is listed; a redirection is followed by nobody."""
    outlet.status = status
    call = {"url": f"{outlet.url}/on?key=${{token}}", "expect": expect}
    if error is None:
        _do("on", on=call, secrets={"token": "canary"})
        return
    with pytest.raises(error) as caught:
        _do("on", on=call, secrets={"token": "canary"})
    assert str(status) in caught.value.what
    assert "canary" not in str(caught.value)
    assert len(outlet.asked) == 1


@pytest.mark.parametrize(
    ("body", "reading", "state"),
    [
        (b"ON\n", {}, "on"),
        (b'{"relays": [{"ison": false}]}', {"path": "relays.0.ison"}, "off"),
        (b'{"state": 1}', {"path": "$.state"}, "on"),
        (b"<b>Outlet 3: Ein</b>", {"pattern": r"Outlet 3: (\w+)", "on": ["ein"]}, "on"),
        (b"x" * 100_000, {"pattern": "^x", "off": ["x"]}, "off"),
    ],
)
def test_the_status_is_read_as_told(
    outlet: Web, body: bytes, reading: dict[str, Any], state: str
) -> None:
    """By a path into JSON, by a pattern in any text, or the answer as a whole."""
    outlet.body = body
    found = _do("status", status={"url": outlet.url, "method": "GET"}, reading=reading)
    assert found.state == PowerState(state)


@given(
    answer=st.text(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    ).map(json.dumps),
    path=st.sampled_from(["", "a", "0", "a.0.b", "$.a", "..", "-1"]),
)
def test_any_answer_is_a_state_or_an_error_in_words(answer: str, path: str) -> None:
    """A switch may say what it likes: nothing but our own error comes of it."""
    with suppress(BrokenError):
        assert read(answer, Reading(path=path)) in (PowerState.ON, PowerState.OFF)


def test_nobody_there_is_told_without_the_url(outlet: Web) -> None:
    """The rest of the URL may hold a secret: only the host is named."""
    with pytest.raises(BrokenError, match=r"the switch at 127\.0\.0\.1 does not answer") as caught:
        _do("on", on={"url": "http://127.0.0.1:1/${token}"}, secrets={"token": "canary"})
    assert "canary" not in str(caught.value)


def test_certificates_are_verified_unless_said_otherwise(tmp_path: Path) -> None:
    """By the given authority, by this host's, or by nobody's."""
    certificate = Certificate.make(tmp_path)
    with _outlet(certificate) as outlet:
        call = {"url": f"{outlet.url}/on"}
        with pytest.raises(RefusedError, match="certificate that is not believed"):
            _do("on", on=call)
        assert outlet.asked == []
        _do("on", on=call, ca=certificate.pem)
        _do("on", on=call, verify=False)
    assert len(outlet.asked) == 2
