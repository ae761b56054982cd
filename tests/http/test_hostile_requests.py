"""Requests that nobody sends who means well: one reply at most for each, and nothing done."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread, Timer

import pytest

from ironwake_http.limits import Limits
from ironwake_http.table import ROUTES
from ironwake_testing.hostile_http import (
    BROKEN_JSON,
    JSON,
    assert_quiet,
    converse,
    converse_all,
    flood,
    heads,
    peak_memory,
    ranges,
    request,
    smuggling,
    traversals,
)
from ironwake_testing.quiet import quiet as quiet
from tests.http.rig import ARMED, HEALTH, HIDDEN, KERNEL, TOKEN, Rig, run

ROOMY = Limits(connections=4096, per_address=4096)
HURRIED = dataclasses.replace(ROOMY, idle=0.5, body=0.5, linger=0.2)
PATIENT = Limits(idle=600, body=600, linger=600)
CALLBACKS = f"/deployments/{TOKEN}/callbacks"
FILE = b"GET /sb/shimx64.efi HTTP/1.1\r\nHost: a\r\n\r\n"
SMUGGLED = request(f"{CALLBACKS}?stage=installed&id=smuggled", "POST")
# What stands before it on the connection: nothing, a small reply, and a file.
BEFORE = {"at once": b"", "after a reply": FILE.replace(b"GET", b"HEAD"), "after a file": FILE}
_ROOM = 48 << 20  # bytes that a process may grow by
_PATIENCE = 60.0  # seconds: an end for a broken run, never a measure


@pytest.mark.parametrize("before", BEFORE)
def test_no_request_hides_in_another(before: str) -> None:
    """Whatever states its length in two ways, or in none that we know, carries nothing else in."""
    rows = smuggling(CALLBACKS, (), SMUGGLED)
    bodies = {f"GET {name}": b"GET" + row[4:] for name, row in rows.items()}
    loaders = {
        name: row.replace(CALLBACKS.encode(), b"/sb/shimx64.efi", 1) for name, row in bodies.items()
    }

    async def test(rig: Rig) -> None:
        for kind in (rows, bodies, loaders):
            found = await converse_all(rig.port, (BEFORE[before] + row for row in kind.values()))
            for name, answers in zip(kind, found, strict=True):
                answers.check(name)
                rest = answers.statuses[2 if BEFORE[before] else 1 :]
                assert all(status >= 400 for status in rest), (name, answers.raw[-600:])
        assert rig.controller.callbacks == []

    run(test, limits=HURRIED)


@pytest.mark.parametrize("before", BEFORE)
def test_strange_heads(before: str) -> None:
    """What is not HTTP, and too much of it, is refused in words, or ends without any."""
    rows = heads()

    async def test(rig: Rig) -> None:
        found = await converse_all(rig.port, (BEFORE[before] + row for row in rows.values()))
        for name, answers in zip(rows, found, strict=True):
            answers.check(name)
            if 400 in answers.statuses:
                assert b"# this is not a request that we understand\n" in answers.raw

    run(test, limits=HURRIED)


def test_json_that_is_none() -> None:
    """What a strict reader does not take is refused; zero characters, by the controller."""
    broken = BROKEN_JSON - {"zero"}

    async def test(rig: Rig) -> None:
        for target in (CALLBACKS, f"/health/{HEALTH}"):
            calls = [request(target, "POST", body=body) for body in JSON.values()]
            found = await converse_all(rig.port, calls)
            for name, answers in zip(JSON, found, strict=True):
                answers.check(name)
                assert answers.statuses == [422] or name not in broken, (name, answers.raw)

    run(test, limits=ROOMY)


def test_strange_ranges() -> None:
    """Every Range header gets bytes of the file that it names, all of them, or none."""
    rows = list(ranges(len(KERNEL)))

    async def test(rig: Rig) -> None:
        target = rig.path("ramdisk-generic", "kernel")
        calls = [request(target, fields=(f"Range: {row}",)) for row in rows]
        for row, answers in zip(rows, await converse_all(rig.port, calls), strict=True):
            answers.check(row)
            (status,) = answers.statuses
            head, _, body = answers.raw.partition(b"\r\n\r\n")
            if status == 206:
                part = re.search(rb"Content-Range: bytes (\d+)-(\d+)/(\d+)\r\n", head + b"\r\n")
                assert part is not None
                first, last, size = map(int, part.groups())
                assert size == len(KERNEL)
                assert body == KERNEL[first : last + 1] != b"", row
            elif status == 200:
                assert body == KERNEL, row
            else:
                assert status in (400, 416), row

    run(test, limits=ROOMY)


ROOTS = ("", "/sb", "/artifacts", f"/artifacts/{'0' * 64}", "/ipxe", f"/boot/{ARMED}",
         f"/deployments/{TOKEN}/answers", "http://x/sb")  # fmt: skip


def test_no_traversal_leads_anywhere() -> None:
    """One of ten ways out of a folder: 404, or no request at all, and no byte from outside."""
    _walk(list(traversals(ROOTS))[::10])


@pytest.mark.deep
@pytest.mark.parametrize("part", range(8))
def test_no_traversal_at_all_leads_anywhere(part: int) -> None:
    """All of them, more than twenty thousand."""
    names = list(traversals(ROOTS))
    assert len(names) > 20_000
    _walk(names[part::8])


def _walk(names: list[str]) -> None:
    async def test(rig: Rig) -> None:
        found = await converse_all(rig.port, (request(name) for name in names))
        for name, answers in zip(names, found, strict=True):
            assert answers.statuses in ([400], [404]), (name, answers.raw[:300])
            assert b"\r\n\r\n# " in answers.raw, name
            assert b"root:" not in answers.raw
            assert HIDDEN not in answers.raw
        assert rig.controller.attempts == 0

    run(test, limits=ROOMY)


_POST = f"POST {CALLBACKS} HTTP/1.1\r\nHost: a\r\n".encode()
HALVES = {
    "heads": FILE[:-2],
    "heads after a file": FILE + FILE[:-2],
    "bodies": _POST + b"Content-Length: 99\r\n\r\n{",
    "chunks": _POST + b"Transfer-Encoding: chunked\r\n\r\n9",
}


@pytest.mark.parametrize("half", HALVES)
def test_who_leaves_in_the_middle_is_no_error(half: str) -> None:
    """Half a request and then nothing: the log has no word of an exception."""

    async def test(rig: Rig) -> None:
        for end in (b"", b"zz\r\n"):
            _, writer = await asyncio.open_connection("127.0.0.1", rig.port)
            writer.write(HALVES[half] + end)
            await writer.drain()
            writer.transport.abort()
        assert (await rig.ask("/healthz")).status == 200

    run(test, limits=PATIENT)


@pytest.mark.parametrize("half", HALVES)
def test_nine_hundred_slow_ones_keep_nobody_out(half: str) -> None:
    """While all of them are held, from fifteen addresses, a machine gets its script and a file."""

    async def test(rig: Rig) -> None:
        held = [
            await asyncio.open_connection("127.0.0.1", rig.port, local_addr=(f"127.0.1.{one}", 0))
            for one in range(1, 16)
            for _ in range(60)
        ]
        for _, writer in held:
            writer.write(HALVES[half])
        for target in ("/healthz", f"/boot/{ARMED}/grub.cfg", "/sb/shimx64.efi"):
            assert (await converse(rig.port, request(target))).statuses == [200]
        assert not any(reader.at_eof() for reader, _ in held)
        for _, writer in held:
            writer.transport.abort()

    run(test, limits=PATIENT)


def test_too_much_is_not_kept(tmp_path: Path) -> None:
    """Sixteen megabytes to every route at once, with a length and without: no memory for them."""
    # Without a controller a good token's order is waited for: that is no matter of bodies.
    targets = [
        (method, re.sub(r"\{file\*?\}", "preseed.cfg", route.pattern).replace("{token}", token))
        for route in ROUTES
        for method, token in (("GET", "x"), ("POST", TOKEN), ("PUT", TOKEN))
    ]

    async def whole(port: int) -> None:
        for length in (None, 16 << 20):
            found = await asyncio.gather(
                *(flood(port, method, target, (), length) for method, target in targets)
            )
            for (method, target), answers in zip(targets, found, strict=True):
                assert set(answers.statuses) <= {200, 400, 404, 405, 413}, (method, target)
            assert any(413 in answers.statuses for answers in found)
        assert (await converse(port, request("/healthz"))).statuses == [200]

    with process(tmp_path) as (port, running, said):
        before = peak_memory(running.pid)
        asyncio.run(whole(port))
        assert peak_memory(running.pid) - before < _ROOM
        running.terminate()
        assert running.wait(_PATIENCE) == 0
    assert_quiet("".join(said))


@contextmanager
def process(folder: Path) -> Iterator[tuple[int, subprocess.Popen[str], list[str]]]:
    """The service as a process of its own, without a controller: port, process, and what it says,
    all of it once it has ended."""
    said: list[str] = []
    with ExitStack() as stack:
        for _ in range(10):  # somebody may take a free port before it does
            with socket.create_server(("127.0.0.1", 0)) as sock:
                port = sock.getsockname()[1]
            running = stack.enter_context(_started(folder, port))
            if _listens(running, said):
                break
            assert any("in use" in line for line in said), said
        else:
            raise AssertionError(f"there is no free port: {said}")
        assert running.stderr is not None
        reading = Thread(target=said.extend, args=(running.stderr,))
        reading.start()
        try:
            yield port, running, said
        finally:
            running.kill()
            reading.join()


def _listens(running: subprocess.Popen[str], said: list[str]) -> bool:
    """Read what it says until it listens, or ends; after a while it is ended."""
    assert running.stderr is not None
    timer = Timer(_PATIENCE, running.kill)
    timer.start()
    try:
        for line in running.stderr:
            said.append(line)
            if "listening" in line:
                return True
        return False
    finally:
        timer.cancel()


@contextmanager
def _started(folder: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    environment = {
        **{key: value for key, value in os.environ.items() if "IRONWAKE" not in key},
        "IRONWAKE_STATE_DIR": str(folder),
        "IRONWAKE_ADDRESS": "127.0.0.1",
        "IRONWAKE_MIRROR": "http://mirror.example/debian",
        "IRONWAKE_HTTP_PORT": str(port),
        "IRONWAKE_CONTROLLER_URL": "http://127.0.0.1:1",
    }
    command = [sys.executable, "-m", "ironwake_http"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as running:
        try:
            yield running
        finally:
            running.kill()
