"""Callbacks and health reports: committed before they are answered, whatever the sender's shell."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.errors import GoneError, InputError, RefusedError, UnknownError
from ironwake.profile import Method
from ironwake.release import find
from ironwake.report import Callback, HealthReport, Stage
from ironwake_http import words
from ironwake_http.limits import Limits
from ironwake_testing.core import make_bench
from tests.http.rig import HEALTH, TOKEN, UNKNOWN_TOKEN, Rig, read_reply, run

CALLBACKS = f"/deployments/{TOKEN}/callbacks"


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_callback_as_json(method: str) -> None:
    """A JSON callback reaches the controller as it was meant."""

    async def test(rig: Rig) -> None:
        body = {"stage": "installing", "id": "7", "step": "write", "percent": 12.5}
        reply = await rig.ask(CALLBACKS, method, body=json.dumps(body).encode())
        assert (reply.status, reply.body) == (204, b"")
        wanted = Callback(Stage.INSTALLING, id="7", step="write", percent=12.5)
        assert rig.controller.callbacks == [(TOKEN, wanted)]

    run(test)


def test_a_callback_as_a_query() -> None:
    """Installers' wget gives the fields in the query, with an empty body."""

    async def test(rig: Rig) -> None:
        query = "?stage=installing&step=partition%20disks&id=early&percent=3"
        form = "Content-Type: application/x-www-form-urlencoded"
        assert (await rig.ask(CALLBACKS + query, "POST", (form,))).status == 204
        wanted = Callback(Stage.INSTALLING, id="early", step="partition disks", percent=3.0)
        assert rig.controller.callbacks == [(TOKEN, wanted)]

    run(test)


def test_a_log_as_it_is() -> None:
    """With `stage=log` in the query the body is the log, whatever bytes are in it."""

    async def test(rig: Rig) -> None:
        reply = await rig.ask(
            f"{CALLBACKS}?stage=log", "POST", body=b"line one\nline \xff\n" * 9000
        )
        assert reply.status == 204
        ((_, callback),) = rig.controller.callbacks
        assert callback.message == "line one\nline \N{REPLACEMENT CHARACTER}\n" * 9000

    run(test)


def test_our_own_second_try_has_the_same_id() -> None:
    """A callback without an id gets one, so that repeating it after a lost reply counts once."""

    async def test(rig: Rig) -> None:
        rig.controller.away = 2
        assert (await rig.ask(f"{CALLBACKS}?stage=installed", "POST")).status == 204
        ((_, callback),) = rig.controller.callbacks
        assert callback.id
        assert rig.controller.attempts == 3

    run(test)


def test_chunked_bodies_are_read() -> None:
    """A body in chunks is as good as one with a length."""

    async def test(rig: Rig) -> None:
        head = f"POST {CALLBACKS} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        parts = b'b\r\n{"stage": "\r\n' + b'b\r\ninstalled"}\r\n' + b"0\r\n\r\n"
        assert (await rig.say(head.encode() + parts)).status == 204

    run(test)


def test_expect_continue_is_answered() -> None:
    """A client that waits for leave to send its body gets it."""

    async def test(rig: Rig) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
        head = f"POST {CALLBACKS} HTTP/1.1\r\nHost: a\r\nContent-Length: 21\r\n"
        writer.write(f"{head}Expect: 100-continue\r\n\r\n".encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        writer.write(b'{"stage":"installed"}')
        assert (await read_reply(reader)).status == 204
        writer.close()

    run(test)


@pytest.mark.parametrize(
    "error",
    [
        UnknownError("no such deployment"),
        RefusedError("out of turn", "it can take: claimed"),
        GoneError("it is over"),
        InputError("no such field"),
    ],
)
def test_the_controllers_answer_is_passed_on(error: Exception) -> None:
    """Its refusals come back with their status and words, on one line of plain text."""

    async def test(rig: Rig) -> None:
        rig.controller.error = error  # type: ignore[assignment]
        reply = await rig.ask(f"{CALLBACKS}?stage=installed", "POST")
        assert reply.status == error.status  # type: ignore[attr-defined]
        assert reply.body == f"# {error}\n".encode()

    run(test)


def test_health_reports() -> None:
    """The installed system's report is passed on; an empty one, too; 503 when nobody takes it."""

    async def test(rig: Rig) -> None:
        body = b'{"hostname": "node1", "system": "Debian", "kernel": "6.1"}'
        assert (await rig.ask(f"/health/{HEALTH}", "POST", body=body)).status == 204
        assert (await rig.ask(f"/health/{HEALTH}", "POST")).status == 204
        assert rig.controller.reports == [
            (HEALTH, HealthReport("node1", "Debian", "6.1")),
            (HEALTH, HealthReport()),
        ]
        rig.controller.away = 100
        reply = await rig.ask(f"/health/{HEALTH}", "POST", body=body)
        assert (reply.status, reply.field("Retry-After")) == (503, "5")

    run(test)


BAD = (
    b"{",
    b"[]",
    b'"stage"',
    b"{}",
    b'{"stage": "rooted"}',
    b'{"stage": "installed", "arm": true}',
    b'{"stage": "installing", "percent": NaN}',
    b'{"stage": "installing", "percent": 101}',
    b'{"stage": "installing", "percent": ' + b"9" * 400 + b"}",
    b'{"stage": "installing", "percent": ' + b"9" * 5000 + b"}",
    b'{"stage": "failed", "message": "\\ud800"}',
    b'{"\\ud800": 1}',
    b"[" * 60_000,
    b'{"facts": ' + b'{"a":' * 900 + b"1" + b"}" * 901,
    b"\xff\xfe",
    b"\x1f\x8b\x08",
)


@pytest.mark.parametrize("body", BAD)
def test_bad_bodies_are_refused(body: bytes) -> None:
    """Whatever is not a report is the sender's fault, said on one line, and goes no further."""

    async def test(rig: Rig) -> None:
        for target in (CALLBACKS, f"/health/{HEALTH}"):
            reply = await rig.ask(target, "POST", body=body)
            if target == CALLBACKS or reply.status != 204:
                assert reply.status == 422
                assert reply.body.startswith(b"# ")
        assert not rig.controller.callbacks

    run(test)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(
    st.text(), st.binary() | JSON.map(json.dumps).map(str.encode) | st.just(b'{"stage":"failed"}')
)
def test_any_words_are_a_report_or_the_senders_fault(query: str, body: bytes) -> None:
    """No query and no body does more than raise InputError."""
    for read in (lambda: words.callback(query, body), lambda: words.health(body)):
        with contextlib.suppress(InputError):
            read()


def test_oversized_bodies_are_cut() -> None:
    """Too many bytes, told or not, are 413 and the end of the connection; logs may be longer."""

    async def test(rig: Rig) -> None:
        many = b" " * (64 << 10) + b'{"stage":"installed"}'
        assert (await rig.ask(CALLBACKS, "POST", body=many)).status == 413
        log = b'{"stage":"log","message":"' + b"x" * (65 << 10) + b'"}'
        assert (await rig.ask(CALLBACKS, "POST", body=log)).status == 204
        unknown = f"/deployments/{UNKNOWN_TOKEN}/callbacks"
        assert (await rig.ask(unknown, "POST", body=log)).status == 413
        assert (await rig.ask(CALLBACKS, "POST", body=b" " * ((1 << 20) + 1))).status == 413

    run(test, limits=Limits(linger=0.01))


def test_endless_bodies_are_cut() -> None:
    """A body in chunks without an end is refused at the limit, and the connection closed."""

    async def test(rig: Rig) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
        head = f"POST /health/{HEALTH} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        writer.write(head.encode())

        async def for_ever() -> None:
            while True:
                writer.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")
                await writer.drain()

        flood = asyncio.ensure_future(for_ever())
        assert (await read_reply(reader)).status == 413
        with pytest.raises(ConnectionError):
            await flood
        writer.close()

    run(test, limits=Limits(linger=0.01))


def test_slow_bodies_are_cut() -> None:
    """A body that was promised and does not come is 408."""

    async def test(rig: Rig) -> None:
        head = f"POST /health/{HEALTH} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{{"
        assert (await rig.say(head.encode())).status == 408

    run(test, limits=Limits(body=0.01, linger=0.01))


UBUNTU = make_bench().with_method(Method.SCRIPT)
UBUNTU = dataclasses.replace(
    UBUNTU,
    deployment=dataclasses.replace(UBUNTU.deployment, token=TOKEN, release=find("ubuntu-24.04")),
)
INSTALLERS = f"/deployments/{TOKEN}/reports"


def _event(kind: str, name: str, **more: str) -> bytes:
    return json.dumps({"event_type": kind, "name": name, "description": "d"} | more).encode()


def test_an_installers_own_words_become_callbacks() -> None:
    """As the deployment's family understands them; what is no news is taken all the same."""

    async def test(rig: Rig) -> None:
        rig.service.take(UBUNTU.index())
        form = "Content-Type: application/json"
        for body in (
            _event("start", "subiquity/Meta/status_GET"),
            _event("start", "subiquity/Install/install/configure_apt"),
            b"\xff no event",
            _event("finish", "subiquity/Late/run", result="FAIL"),
        ):
            assert (await rig.ask(INSTALLERS, "POST", (form,), body)).status == 204
        first, second = (callback for _, callback in rig.controller.callbacks)
        assert (first.stage, first.step, first.percent) == (Stage.INSTALLING, "apt", 8.0)
        assert (second.stage, second.step) == (Stage.FAILED, "late commands")

    run(test)


def test_a_live_systems_form_is_progress() -> None:
    """cloud-init's phone_home."""
    bench = make_bench().with_method(Method.LIVE)

    async def test(rig: Rig) -> None:
        rig.service.take(bench.index())
        target = f"/deployments/{bench.deployment.token}/reports"
        form = "Content-Type: application/x-www-form-urlencoded"
        body = b"instance_id=d1&hostname=node1"
        assert (await rig.ask(target, "POST", (form,), body)).status == 204
        ((_, callback),) = rig.controller.callbacks
        assert (callback.stage, callback.step) == (Stage.WORKING, "cloud-init")

    run(test)


def test_others_words_reach_nobody() -> None:
    """An agent reports by callbacks; a token that nobody has is refused."""

    async def test(rig: Rig) -> None:
        body = _event("finish", "subiquity/Late/run", result="FAIL")
        assert (await rig.ask(INSTALLERS, "POST", body=body)).status == 204
        unknown = INSTALLERS.replace(TOKEN, UNKNOWN_TOKEN)
        assert (await rig.ask(unknown, "POST", body=body)).status == 404
        assert (await rig.ask(INSTALLERS, "POST", body=b"x" * (1 << 17))).status == 413
        assert rig.controller.attempts == 0

    run(test)


def test_without_a_view_an_installer_is_asked_to_come_again() -> None:
    """Nobody knows yet whose words these are."""

    async def test(rig: Rig) -> None:
        assert (await rig.ask(INSTALLERS, "POST", body=b"{}")).status == 503

    run(test, view=False)
