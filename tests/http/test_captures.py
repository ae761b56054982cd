"""What machines send of themselves: only under their own token, piece by piece, and never twice."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ironwake import wire
from ironwake.captured import About, Captured, Part
from ironwake.errors import RefusedError
from ironwake.image import ImageKind
from ironwake.lifecycle import State
from ironwake.profile import Capture, Method, Profile
from ironwake.view import Index
from ironwake_http.captures import Captures
from ironwake_http.limits import Limits
from tests.http.rig import PRESEED_TOKEN, TOKEN, UNKNOWN_TOKEN, Reply, Rig, run, view_of

PLACE = f"/deployments/{TOKEN}/capture"
ID = "d1234abcd"
PACK, INDEX = bytes(range(256)) * 40, b"IWPACK1\n" + bytes(100)


def capturing(rig: Rig, state: State = State.ANSWERS, asked: str = "", token: str = TOKEN) -> None:
    """The service's view has such a deployment."""
    view = view_of(rig.shelf)
    entry, *others = view.entries
    assert entry.deployment is not None
    capture = Capture("web", root=asked)
    deployment = dataclasses.replace(
        entry.deployment,
        id=ID,
        state=state,
        token=token,
        profile=Profile(method=Method.CAPTURE, capture=capture),
    )
    now = dataclasses.replace(entry, deployment=deployment)
    rig.service.take(Index(dataclasses.replace(view, version=2, entries=(now, *others))))


async def put(rig: Rig, part: str, data: bytes, start: int = 0, place: str = PLACE) -> Reply:
    span = f"Content-Range: bytes {start}-{start + len(data) - 1}/*"
    return await rig.ask(f"{place}/{part}", "PUT", (span,), data)


async def done(rig: Rig, **parts: bytes) -> Reply:
    said = {name: Part(len(data), hashlib.sha256(data).hexdigest()) for name, data in parts.items()}
    return await rig.ask(f"{PLACE}/done", "PUT", body=wire.encode(Captured(said, "0" * 64)))


def folder(rig: Rig) -> Path:
    return rig.service.captures.folder / ID


def test_a_disk_comes_in_pieces_and_is_whole_at_the_end() -> None:
    """Each reply says how much is there; whose it is, is written by what we know ourselves."""

    async def test(rig: Rig) -> None:
        capturing(rig)
        assert (await rig.ask(f"{PLACE}/pack")).body == b"0\n"
        assert (await put(rig, "pack", PACK[:5000])).field("Upload-Offset") == "5000"
        for method in ("GET", "HEAD"):
            there = await rig.ask(f"{PLACE}/pack", method)
            assert (there.status, there.field("Upload-Offset")) == (200, "5000")
        assert (await put(rig, "pack", PACK[5000:], 5000)).status == 200
        assert (await put(rig, "index", INDEX)).status == 200
        for _ in range(2):
            assert (await done(rig, pack=PACK, index=INDEX)).status == 200
        assert (folder(rig) / "pack").read_bytes() == PACK
        about = wire.decode(About, (folder(rig) / "about.json").read_bytes())
        assert about == About(ID, "armed", "web", ImageKind.DISK)
        assert json.loads((folder(rig) / "done.json").read_bytes())["parts"].keys() == {
            "pack",
            "index",
        }

    run(test)


def test_after_the_last_word_nothing_is_taken() -> None:
    """Neither more bytes nor another word."""

    async def test(rig: Rig) -> None:
        capturing(rig, asked="auto")
        await put(rig, "archive", PACK)
        assert (await done(rig, archive=PACK)).status == 200
        assert (await put(rig, "archive", b"more", len(PACK))).status == 410
        assert (await done(rig, archive=PACK[::-1])).status == 409
        assert (folder(rig) / "archive").read_bytes() == PACK

    run(test)


@pytest.mark.parametrize("start", [0, 4999, 5001])
def test_only_what_follows_is_taken(start: int) -> None:
    """A repeat whose reply was lost, a gap, an overlap: refused, with how much is there."""

    async def test(rig: Rig) -> None:
        capturing(rig)
        await put(rig, "pack", PACK[:5000])
        reply = await put(rig, "pack", PACK[start:], start)
        assert (reply.status, reply.field("Upload-Offset")) == (409, "5000")
        assert (folder(rig) / "pack").read_bytes() == PACK[:5000]

    run(test)


def test_what_came_before_a_broken_connection_stays() -> None:
    """The machine asks, and goes on behind it."""
    data = bytes(range(256)) * (3 << 12)

    async def test(rig: Rig) -> None:
        capturing(rig)
        _, writer = await asyncio.open_connection("127.0.0.1", rig.port)
        head = (
            f"PUT {PLACE}/pack HTTP/1.1\r\nHost: appliance\r\nContent-Length: {len(data)}\r\n"
            f"Content-Range: bytes 0-{len(data) - 1}/*\r\n\r\n"
        )
        writer.write(head.encode() + data[: (2 << 20) + 17])
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        while (reply := await put(rig, "pack", data, 0)).status != 409 or reply.field(
            "Upload-Offset"
        ) == "0":
            await asyncio.sleep(0)
        while True:  # until the broken one has been let go
            held = int((await rig.ask(f"{PLACE}/pack")).body)
            if (await put(rig, "pack", data[held:], held)).status == 200:
                break
        assert held
        assert (folder(rig) / "pack").read_bytes() == data

    run(test)


@pytest.mark.parametrize("token", [UNKNOWN_TOKEN, PRESEED_TOKEN, "x", "..%2f..", "0" * 200])
def test_another_token_leaves_no_byte(token: str) -> None:
    """Unknown ones, and that of an installation, whatever their shape: the same 404."""

    async def test(rig: Rig) -> None:
        capturing(rig)
        place = f"/deployments/{token}/capture"
        for method in ("GET", "HEAD"):
            assert (await rig.ask(f"{place}/pack", method)).status == 404
        assert (await put(rig, "pack", PACK, place=place)).status == 404
        assert not rig.service.captures.folder.exists()

    run(test)


@pytest.mark.parametrize("state", [State.ARMED, State.KERNEL, State.SUCCEEDED, State.CANCELLED])
def test_only_while_the_order_is_carried_out(state: State) -> None:
    """Before its order was handed out, and once it has ended, a machine leaves nothing here."""

    async def test(rig: Rig) -> None:
        capturing(rig, state)
        assert (await put(rig, "pack", PACK)).status == 409
        assert not rig.service.captures.folder.exists()

    run(test)


@pytest.mark.parametrize("part", ["archive", "about.json", "done.json", "..", "%2e%2e%2fpack", "x"])
def test_a_part_that_is_none_is_refused(part: str) -> None:
    """A disk has two parts, and no name of a file is one by chance."""

    async def test(rig: Rig) -> None:
        capturing(rig)
        assert (await put(rig, part, PACK)).status == 422
        assert (await rig.ask(f"{PLACE}/{part}")).status == 422
        assert not rig.service.captures.folder.exists()

    run(test)


def test_more_than_any_may_have_is_refused() -> None:
    """Of a part as a whole, and in one request."""

    async def test(rig: Rig) -> None:
        capturing(rig)
        start = 200 << 20
        reply = await rig.ask(
            f"{PLACE}/pack", "PUT", (f"Content-Range: bytes {start}-{start}/*",), b"x"
        )
        assert reply.status == 413
        assert (await put(rig, "index", bytes(5000))).status == 413
        assert not (folder(rig) / "pack").exists()

    run(test, limits=Limits(piece=4096))


@pytest.mark.parametrize(
    "span", ["", "bytes 0-9/10", "bytes 9-0/*", "bytes 0-4/*", "bytes */*", "bytes 0-10/*"]
)
def test_a_range_that_is_not_the_bodys_is_refused(span: str) -> None:
    """Nothing is written for it."""

    async def test(rig: Rig) -> None:
        capturing(rig)
        fields = (f"Content-Range: {span}",) if span else ()
        assert (await rig.ask(f"{PLACE}/pack", "PUT", fields, bytes(10))).status == 422
        assert not (folder(rig) / "pack").exists()

    run(test)


def test_a_disk_that_is_nearly_full_takes_nothing() -> None:
    """Other things need what is left; the machine asks again, for there may be room by then."""

    async def test(rig: Rig) -> None:
        captures = rig.service.captures
        rig.service.captures = dataclasses.replace(captures, reserve=1 << 60)
        capturing(rig)
        reply = await put(rig, "pack", PACK)
        assert reply.status == 507
        assert b"there is no room" in reply.body
        rig.service.captures = captures
        assert (await put(rig, "pack", PACK)).status == 200

    run(test)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b'{"parts": {"pack": {"size": 1, "sha256": "x"}}}',
        b'{"parts": {"pack": {"size": -1, "sha256": "' + b"0" * 64 + b'"}}}',
        b'{"parts": {"../pack": {"size": 0, "sha256": "' + b"0" * 64 + b'"}}}',
    ],
)
def test_a_last_word_that_is_none_ends_nothing(body: bytes) -> None:
    """Hostile or torn: 422, and what came can go on."""

    async def test(rig: Rig) -> None:
        capturing(rig)
        await put(rig, "pack", PACK)
        await put(rig, "index", INDEX)
        assert (await rig.ask(f"{PLACE}/done", "PUT", body=body)).status == 422
        assert (await done(rig, pack=PACK, index=INDEX + b"x")).status == 409
        assert (await done(rig, pack=PACK, index=INDEX)).status == 200

    run(test)


def test_one_connection_at_a_time(tmp_path: Path) -> None:
    """Two that write one part would mix it up: the second is sent away."""
    captures = Captures(tmp_path, reserve=0)
    about = About(ID, "node1", "web", ImageKind.DISK)

    async def one() -> AsyncIterator[bytes]:
        yield b"x"

    async def while_another() -> AsyncIterator[bytes]:
        with pytest.raises(RefusedError, match="another connection is at it"):
            await captures.append(about, "pack", (0, 1), one())
        yield b"y"

    assert asyncio.run(captures.append(about, "pack", (0, 1), while_another())) == 1
    assert (tmp_path / ID / "pack").read_bytes() == b"y"


def test_what_nobody_goes_on_with_is_cleared_away(tmp_path: Path) -> None:
    """Of deployments that ended without a last word; what waits to be an image stays."""
    captures = Captures(tmp_path, reserve=0)
    for name in ("d1", "d2", "d3"):
        captures.begin(About(name, "node1", "web", ImageKind.DISK))
    (tmp_path / "d2" / "done.json").write_text("{}")
    (tmp_path / "else").mkdir()
    captures.clear({"d1"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d1", "d2", "else"]
