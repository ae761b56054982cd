"""Immutable bytes: whole, resumed, remembered, and nothing that is not on the shelf."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.mac import Mac
from ironwake.report import Seen
from ironwake_http.ranges import Part, select
from tests.http.rig import ARCHIVE, ARMED, HIDDEN, IDLE, KERNEL, SHIM, Rig, run


def test_an_artifact_by_its_hash() -> None:
    """The whole file comes with its hash as entity tag, for ever, by a length."""

    async def test(rig: Rig) -> None:
        reply = await rig.ask(rig.path("ramdisk-generic", "kernel"))
        assert (reply.status, reply.body) == (200, KERNEL)
        assert reply.field("ETag") == f'"{hashlib.sha256(KERNEL).hexdigest()}"'
        assert "immutable" in (reply.field("Cache-Control") or "")
        assert reply.field("Accept-Ranges") == "bytes"

    run(test)


def test_a_broken_download_is_resumed_to_the_same_bytes() -> None:
    """Pieces that follow each other by Range, held together by If-Range, are the file."""

    async def test(rig: Rig) -> None:
        target, body, tag = rig.path("debian-12", "archive"), b"", ""
        while len(body) < len(ARCHIVE):
            end = "" if len(body) > 2_000_000 else str(len(body) + 999_999)
            fields = (f"Range: bytes={len(body)}-{end}", *([f"If-Range: {tag}"] if tag else []))
            reply = await rig.ask(target, fields=fields)
            assert reply.status == 206
            tag = reply.field("ETag") or ""
            assert (reply.field("Content-Range") or "").startswith(f"bytes {len(body)}-")
            body += reply.body
        assert body == ARCHIVE

    run(test)


@given(st.integers(0, 40), st.text("0123456789-,= ", max_size=12), st.booleans())
def test_any_range_gives_bytes_that_exist(size: int, text: str, get: bool) -> None:
    """Whatever the header says, the part lies within the file, and HEAD is of the whole."""
    part = select("GET" if get else "HEAD", {"Range": f"bytes={text}"}, "tag", size)
    assert part.status in (200, 206, 416)
    assert 0 <= part.start <= part.start + part.count <= size
    if not get or part.status == 200:
        assert part == Part(200, 0, size)
    if part.status == 206:
        assert part.count > 0


CASES = (
    ({"Range": "bytes=2-4"}, Part(206, 2, 3)),
    ({"Range": "bytes=2-"}, Part(206, 2, 8)),
    ({"Range": "bytes=-3"}, Part(206, 7, 3)),
    ({"Range": "bytes=-30"}, Part(206, 0, 10)),
    ({"Range": "bytes=8-99"}, Part(206, 8, 2)),
    ({"Range": "bytes=10-"}, Part(416, 0, 0)),
    ({"Range": "bytes=-0"}, Part(416, 0, 0)),
    ({"Range": "bytes=4-2"}, Part(200, 0, 10)),
    ({"Range": "bytes=0-1,3-4"}, Part(200, 0, 10)),
    ({"Range": "lines=1-2"}, Part(200, 0, 10)),
    ({"Range": "bytes=2-4", "If-Range": '"tag"'}, Part(206, 2, 3)),
    ({"Range": "bytes=2-4", "If-Range": '"old"'}, Part(200, 0, 10)),
    ({"Range": "bytes=2-4", "If-Range": "Sat, 01 Jan 2000 00:00:00 GMT"}, Part(200, 0, 10)),
    ({"If-None-Match": '"other", W/"tag"'}, Part(304, 0, 0)),
    ({"If-None-Match": "*"}, Part(304, 0, 0)),
    ({"If-None-Match": '"other"'}, Part(200, 0, 10)),
)


@pytest.mark.parametrize(("fields", "part"), CASES)
def test_conditions(fields: dict[str, str], part: Part) -> None:
    """Ranges and conditions mean what RFC 9110 says, and what is malformed means nothing."""
    assert select("GET", fields, "tag", 10) == part


def test_conditions_on_the_wire() -> None:
    """A copy that is known is not sent again, and bytes that there are not are refused."""

    async def test(rig: Rig) -> None:
        target = rig.path("ramdisk-generic", "kernel")
        tag = (await rig.ask(target, "HEAD")).field("ETag")
        reply = await rig.ask(target, fields=(f"If-None-Match: {tag}",))
        assert (reply.status, reply.field("ETag")) == (304, tag)
        reply = await rig.ask(target, fields=("Range: bytes=999999999-",))
        assert (reply.status, reply.field("Content-Range")) == (416, f"bytes */{len(KERNEL)}")
        assert reply.body

    run(test)


def test_only_what_is_on_the_shelf() -> None:
    """Bytes in the store without a manifest, and wrong file names, are not there."""

    async def test(rig: Rig) -> None:
        hidden = hashlib.sha256(HIDDEN).hexdigest()
        kernel = hashlib.sha256(KERNEL).hexdigest()
        for target in (
            f"/artifacts/{hidden}/kernel",
            f"/artifacts/{kernel}/other",
            f"/artifacts/{kernel.upper()}/kernel",
            f"/artifacts/{kernel}",
        ):
            reply = await rig.ask(target)
            assert reply.status == 404
            assert HIDDEN not in reply.body

    run(test)


def test_a_damaged_store_says_so() -> None:
    """A file that is gone, short, or a link is our fault: 503, and none of its bytes."""

    async def test(rig: Rig) -> None:
        target = rig.path("ramdisk-generic", "kernel")
        path = rig.service.store.path(hashlib.sha256(KERNEL).hexdigest())
        path.write_bytes(KERNEL[:-1])
        assert (await rig.ask(target)).status == 503
        path.unlink()
        assert (await rig.ask(target)).status == 503
        path.symlink_to(rig.service.store.path(hashlib.sha256(SHIM).hexdigest()))
        reply = await rig.ask(target)
        assert reply.status == 503
        assert reply.body.startswith(b"# ")

    run(test)


def test_what_was_fetched_is_observed_once() -> None:
    """A kernel, a ramdisk, an archive and a loader are told as such; HEAD and resuming are not."""

    async def test(rig: Rig) -> None:
        await rig.ask(f"/boot/{ARMED}/grub.cfg")
        for target, seen in (
            ("/sb/shimx64.efi", Seen.LOADER),
            (rig.path("ramdisk-generic", "kernel"), Seen.KERNEL),
            (rig.path("debian-12", "installer-kernel"), Seen.KERNEL),
            (rig.path("ramdisk-generic", "initrd"), Seen.INITRD),
            (rig.path("debian-12", "archive"), Seen.ARCHIVE),
        ):
            rig.reporter.items.clear()
            await rig.ask(target, "HEAD")
            await rig.ask(target)
            await rig.ask(target, fields=("Range: bytes=100-200",))
            (item,) = rig.reporter.of(seen)
            assert (item.mac, item.client) == (ARMED, "127.0.0.1")

    run(test)


def test_the_end_of_a_large_transfer_is_observed() -> None:
    """SENT carries the bytes and seconds of a large file, and nothing is told of a small one."""

    async def test(rig: Rig) -> None:
        await rig.ask(rig.path("ramdisk-generic", "kernel"))
        assert not rig.reporter.of(Seen.SENT)
        await rig.ask(rig.path("debian-12", "archive"))
        item = await rig.reporter.first(Seen.SENT)  # told after the last byte has left
        assert rig.reporter.of(Seen.SENT) == [item]
        assert item.detail["bytes"] == str(len(ARCHIVE))
        assert float(item.detail["seconds"]) >= 0
        assert item.detail["complete"] == "yes"

    run(test)


def test_whose_request_it_was() -> None:
    """The neighbour table names the machine before the view's address does, if it is enrolled."""

    async def by_view(rig: Rig) -> None:
        await rig.ask("/sb/shimx64.efi")
        assert rig.reporter.items[0].mac == IDLE

    async def by_neighbour(rig: Rig) -> None:
        await rig.ask("/sb/shimx64.efi")
        assert rig.reporter.items[0].mac == ARMED

    run(by_view)
    run(by_view, neighbour=lambda _: Mac("52:54:00:00:00:01"))
    run(by_neighbour, neighbour=lambda _: ARMED)
