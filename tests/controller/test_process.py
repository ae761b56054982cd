"""The real process: killed, doubled, stopped, misconfigured."""

from __future__ import annotations

import signal
import socket
import threading

import httpx2
import pytest

from ironwake import wire
from ironwake.report import Callback, ClaimRequest, Stage
from ironwake.view import View
from ironwake_controller.__main__ import listen
from tests.controller.appliance import MAC
from tests.controller.process import PATIENCE, Process, Start


def _claimed(process: Process, port: int) -> str:
    """The token of a deployment whose answers were handed out."""
    with process.client(port, "admin") as admin, process.client(port, "service") as service:
        admin.post("/v1/machines", json={"name": "node1", "macs": [MAC]}).raise_for_status()
        body = {"profile": "web", "wake": False}
        admin.post("/v1/machines/node1/deploy", json=body).raise_for_status()
        view = wire.decode(View, service.get("/internal/view").content)
        deployment = view.entries[0].deployment
        assert deployment is not None
        claim = ClaimRequest(deployment.token, "10.77.0.100")
        service.post("/internal/claims", content=wire.encode(claim)).raise_for_status()
    return deployment.token


def _stream(
    process: Process, port: int, token: str, prefix: str, acked: list[str], enough: threading.Event
) -> None:
    """Send reports until the controller is gone; note those that it acknowledged."""
    with process.client(port, "service") as service:
        for number in range(10_000):
            name = f"{prefix}-{number}"
            said = wire.encode(Callback(Stage.LOG, name, message=name))
            try:
                reply = service.post(f"/internal/deployments/{token}/callbacks", content=said)
            except httpx2.HTTPError:
                return
            assert reply.status_code == 204
            acked.append(name)
            if number == 15:
                enough.set()


def test_kill_loses_nothing_that_was_acknowledged(start: Start) -> None:
    """After kill -9 in a stream of reports, each acknowledged one is there, once."""
    process = start()
    port = process.wait_ready()
    token = _claimed(process, port)
    acked: list[str] = []
    for life in range(3):
        enough = [threading.Event() for _ in range(3)]
        senders = [
            threading.Thread(
                target=_stream, args=(process, port, token, f"{life}-{n}", acked, enough[n])
            )
            for n in range(3)
        ]
        for sender in senders:
            sender.start()
        assert all(event.wait(PATIENCE) for event in enough)
        assert process.end(signal.SIGKILL) == -signal.SIGKILL
        for sender in senders:
            sender.join(PATIENCE)
        process = start()
        port = process.wait_ready()
    with process.client(port, "admin") as admin:
        told, after = [], "0"
        while after is not None:
            page = admin.get("/v1/events", params={"after": after, "limit": 1000}).json()
            told += [item["message"] for item in page["items"] if item["kind"] == "log"]
            after = page["next"]
    assert len(acked) >= 3 * 3 * 16
    assert len(told) == len(set(told))
    assert set(acked) <= set(told)


def test_a_second_controller_names_the_first(start: Start) -> None:
    """Two controllers on one database: the second refuses, with the pid to look for."""
    first = start()
    first.wait_ready()
    status, said = start().finish()
    assert status == 4
    assert f"pid {first.process.pid}" in said
    assert "Traceback" not in said
    assert first.process.poll() is None


def test_stopping_is_orderly(start: Start) -> None:
    """SIGTERM ends it with status 0, streams and long polls included."""
    process = start()
    port = process.wait_ready()
    with (
        process.client(port, "admin") as admin,
        admin.stream("GET", "/v1/events", headers={"accept": "text/event-stream"}) as reply,
    ):
        lines = reply.iter_lines()
        assert next(lines).startswith(":")
        process.process.send_signal(signal.SIGTERM)
        assert [line for line in lines if line and not line.startswith(":")] == []
        assert process.process.wait(PATIENCE) == 0


@pytest.mark.parametrize(
    ("setting", "value", "status", "says"),
    [
        ("IRONWAKE_CONTROLLER_LISTEN", "8080", 2, "not an address and a port"),
        ("IRONWAKE_INTERFACE", "no-such-card", 2, "no-such-card"),
        ("IRONWAKE_DOMAIN", "not a domain", 2, "not a domain name"),
        ("IRONWAKE_DATABASE_URL", "nonsense", 2, "not a database URL"),
    ],
)
def test_wrong_settings_end_it_with_one_line(
    start: Start, setting: str, value: str, status: int, says: str
) -> None:
    """What is wrong stands on one line; nothing is started."""
    code, said = start(**{setting: value}).finish()
    assert code == status, said
    assert says in said
    assert "Traceback" not in said


def test_a_busy_port_is_told(start: Start) -> None:
    """The port that is in use is named, with the setting."""
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        code, said = start(IRONWAKE_CONTROLLER_LISTEN=f"127.0.0.1:{port}").finish()
    assert code == 4
    assert f"TCP port {port}, which the controller service needs, is in use by" in said
    assert "Traceback" not in said


def test_answers_leave_at_once() -> None:
    """No answer waits for the client's delayed ACK (40 ms each)."""
    with listen("127.0.0.1:0") as sock, socket.create_connection(sock.getsockname()) as client:
        accepted, _ = sock.accept()
        with accepted:
            assert client.fileno() >= 0
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
