"""Who may call what, and what calls may look like."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ironwake.errors import BrokenError
from ironwake_controller import app, guard
from ironwake_controller.tokens import Role, Tokens, load
from tests.controller.appliance import ADMIN, MAC, SERVICE, Appliance

_OWN = {Role.ADMIN: ADMIN, Role.SERVICE: SERVICE}
_WRONG = ("", "Bearer", "Bearer ", "Bearer wrong", f"Basic {ADMIN}", ADMIN, f"Bearer {ADMIN[:-1]}")


def _calls(application: FastAPI) -> Iterator[tuple[str, str]]:
    """Every method and path that the application knows, with names filled in."""
    for method, path in app.every_route(application):
        yield method, re.sub(r"\{[^}]*\}", "node1", path)


def test_every_route_has_a_door(appliance: Appliance) -> None:
    """A route that nobody has opened on purpose would answer nobody: that is a mistake here."""
    calls = list(_calls(app.routes(appliance.house)))
    assert len(calls) > 20
    assert [path for _, path in calls if guard.door(path) is None] == []


def test_no_route_without_its_token(appliance: Appliance) -> None:
    """No token, a wrong one, or the other role's changes nothing and shows nothing."""
    appliance.enrol()
    before = (appliance.history(), appliance.view())
    for method, path in _calls(app.routes(appliance.house)):
        roles = guard.door(path)
        for header in _WRONG if roles else ():
            reply = appliance.call(method, path, {}, headers={"authorization": header})
            assert reply.status_code == 401, (method, path, header)
            assert reply.headers["www-authenticate"] == "Bearer"
        for role in set(Role) - (roles or set(Role)):
            reply = appliance.call(method, path, {}, token=_OWN[role])
            assert reply.status_code == 403, (method, path, role)
            assert reply.headers["content-type"] == "application/problem+json"
    assert (appliance.history(), appliance.view()) == before


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/v2/machines", "/v1", "/internal", "//v1/machines"]
)
def test_paths_without_a_door_answer_nobody(appliance: Appliance, path: str) -> None:
    """What no row opens stays closed, even with a good token."""
    assert appliance.call("GET", path, token=ADMIN).status_code in (403, 404)
    assert appliance.call("GET", path, token="x").status_code == 401


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8080", 200),
        ("localhost", 200),
        ("[::1]:8080", 200),
        ("10.77.0.2", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example:8080", 421),
        ("", 421),
    ],
)
def test_host_names_of_others_are_refused(appliance: Appliance, host: str, status: int) -> None:
    """A page that makes its own name mean our address (DNS rebinding) gets nothing."""
    assert appliance.call("GET", "/healthz", headers={"host": host}).status_code == status


def test_large_and_deep_calls_are_refused(appliance: Appliance) -> None:
    """Neither a huge body nor a deep one costs more than its refusal."""
    large = b'"' + b"x" * (1 << 20) + b'"'
    assert appliance.call("POST", "/v1/machines", raw=large).status_code == 413
    deep = b"[" * 200_000
    assert appliance.call("POST", "/v1/machines", raw=deep).status_code == 422
    nested = b'{"name":' + b"[" * 100 + b"]" * 100 + b"}"
    assert appliance.call("POST", "/internal/claims", raw=nested).status_code == 422


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"NaN",
        b'{"name": "a", "macs": [NaN]}',
        b'{"name": "\\ud800", "macs": []}',
        b'{"name": "\\u0000", "macs": []}',
        b"\xff\xfe",
        b'{"stage": "installing", "percent": Infinity}',
        b'{"stage": "installing", "percent": 1' + b"0" * 5000 + b"}",
        b"[" + b"1" * 5000 + b"]",
        b"null",
    ],
)
def test_bad_json_is_a_problem(appliance: Appliance, raw: bytes) -> None:
    """What is not JSON, or what nothing behind can keep, is refused in words."""
    for path in (
        "/v1/machines",
        "/internal/observations",
        f"/internal/deployments/{'a' * 64}/callbacks",
    ):
        reply = appliance.call("POST", path, raw=raw)
        assert reply.status_code in (404, 422), (path, reply.text)
        assert reply.json()["detail"]


_PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
_JSON = st.recursive(
    _PLAIN,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
_FIELDS = (
    "name macs labels uuid profile erase minutes items stage percent facts token client hostname"
)
_BODIES = st.fixed_dictionaries({}, optional=dict.fromkeys(_FIELDS.split(), _JSON))
_CALLS = (
    ("POST", "/v1/machines"),
    ("PATCH", "/v1/machines/node1"),
    ("POST", "/v1/machines/node1/deploy"),
    ("POST", "/internal/observations"),
    ("POST", "/internal/claims"),
    ("POST", "/internal/health/x"),
)
_QUERIES = (
    "/v1/machines/{0}",
    "/v1/plan?mac={0}",
    "/v1/events?after={0}",
    "/v1/machines?label={0}&after={0}&state={0}",
    "/v1/deployments?after={0}",
)


@hypothesis_settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=_BODIES, query=st.text(max_size=20))
def test_no_input_breaks_us(appliance: Appliance, body: dict[str, object], query: str) -> None:
    """Whatever is sent, the answer is never that we are broken."""
    raw = json.dumps(body).encode()
    for method, path in _CALLS:
        assert appliance.call(method, path, raw=raw).status_code < 500
    for path in _QUERIES:
        assert appliance.call("GET", path.format(quote(query, safe=""))).status_code < 500


def test_numbers_beyond_the_database_are_refused(appliance: Appliance) -> None:
    """A page after 2^63 is a wrong call, not an overflow."""
    assert appliance.call("GET", f"/v1/events?after={2**63}").status_code == 422
    assert appliance.call("GET", f"/internal/view/changes?after={2**63}").status_code == 422
    headers = {"last-event-id": "9" * 400, "accept": "application/json"}
    assert appliance.call("GET", "/v1/events", headers=headers).status_code == 200


def test_errors_are_problems(appliance: Appliance) -> None:
    """Whoever finds the error, it has the same shape: what happened, what to do, where."""
    appliance.enrol()
    for method, path, body, status in (
        ("GET", "/v1/nothing", None, 404),
        ("PUT", "/v1/machines", {}, 405),
        ("POST", "/v1/machines", {"name": "x"}, 422),
        ("POST", "/v1/machines", {"name": "node1", "macs": ["xyz"]}, 422),
        ("GET", "/v1/machines/nobody", None, 404),
        ("GET", "/v1/machines?limit=0", None, 422),
        ("POST", "/v1/machines/node1/deploy", {"profile": "nothing"}, 404),
    ):
        reply = appliance.call(method, path, body)
        assert reply.status_code == status, reply.text
        assert reply.headers["content-type"] == "application/problem+json"
        problem = reply.json()
        assert problem["status"] == status
        assert problem["detail"]
        assert not problem["detail"].endswith(".")
    assert appliance.call("POST", "/v1/machines", {"name": "x"}).json()["where"] == "macs"


def test_a_form_header_does_no_harm(appliance: Appliance) -> None:
    """`curl -d` calls its body a form: it is read as the JSON that it is."""
    headers = {"content-type": "application/x-www-form-urlencoded"}
    body = {"name": "node1", "macs": [MAC]}
    assert appliance.call("POST", "/v1/machines", body, headers=headers).status_code == 201


def test_openapi_has_an_example_for_every_body(appliance: Appliance) -> None:
    """Who reads the description of the API finds something to copy."""
    document = appliance.good("GET", "/openapi.json")
    for name in (
        "NewMachine",
        "MachineChange",
        "Wanted",
        "MachineShape",
        "DeploymentShape",
        "EventShape",
    ):
        assert document["components"]["schemas"][name]["examples"]
    for path, methods in document["paths"].items():
        for method, call in methods.items():
            assert call.get("description"), (method, path)


def test_tokens_are_made_once_and_kept(tmp_path: Path) -> None:
    """The first start makes 256 random bits that only this user may read; later ones keep them."""
    path = tmp_path / "secrets" / "admin.token"
    first, made = load(path)
    assert made
    assert re.fullmatch("[0-9a-f]{64}", first)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load(path) == (first, False)


@pytest.mark.parametrize("text", ["", "\n", "short", "a b" * 20])
def test_a_damaged_token_file_is_refused(tmp_path: Path, text: str) -> None:
    """An empty or short token would open the door to everyone: we don't start with it."""
    path = tmp_path / "admin.token"
    path.write_text(text)
    with pytest.raises(BrokenError):
        load(path)


def test_tokens_are_told_apart() -> None:
    """Each token has its role; anything else has none."""
    tokens = Tokens.of(ADMIN, SERVICE)
    assert tokens.role(ADMIN) is Role.ADMIN
    assert tokens.role(SERVICE) is Role.SERVICE
    assert tokens.role("") is None
    assert tokens.role(ADMIN + "x") is None
