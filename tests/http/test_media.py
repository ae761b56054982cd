"""What is inside an ISO, over HTTP: in place, byte for byte, and nothing beside it."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from ironwake import medium as media
from ironwake import routes
from ironwake.artifact import Manifest
from ironwake.deployment import Deployment
from ironwake.lifecycle import State
from ironwake.machine import Machine
from ironwake.methods import script
from ironwake.names import HostName
from ironwake.profile import Method, Profile
from ironwake.progress import silent
from ironwake.release import find
from ironwake.report import Seen
from ironwake.site import Policy, Shelf, Site
from ironwake.view import Index
from ironwake_imager.vendor.publish import Origin, Publisher
from ironwake_runtime.shortage import is_one
from ironwake_testing import discs
from tests.http.rig import ARMED, HEALTH, TOKEN, Rig, read_reply, run, view_of
from tests.runtime.test_shortage import no_more_files

NAME = "rocky-9"
RPM = "BaseOS/Packages/l/libstdc++-11.4.1-3.el9.x86_64.rpm"


@pytest.fixture(scope="module")
def disc(tmp_path_factory: pytest.TempPathFactory) -> discs.Disc:
    return discs.make(NAME, tmp_path_factory.mktemp("iso"))


def serving(
    disc: discs.Disc, test: Callable[[Rig, str], Coroutine[Any, Any, None]], name: str = NAME
) -> None:
    """Run a test with this medium on the shelf; it gets the path of its tree."""

    async def whole(rig: Rig) -> None:
        known = media.built_in()
        publisher = Publisher(rig.service.store, silent, known)
        manifest = publisher.iso(known[name], disc.path, Origin("a.iso", "nobody"))
        rig.shelf = _with(rig.shelf, manifest)
        rig.service.take(Index(view_of(rig.shelf)))
        tree = rig.shelf.find(name, "tree")
        assert tree is not None
        await test(rig, f"/{routes.tree(tree)}/")

    run(whole)


def _with(shelf: Shelf, manifest: Manifest) -> Shelf:
    more = Shelf.of([manifest])
    return Shelf((*shelf.items, *more.items), {**shelf.facts, **more.facts})


def test_every_file_is_the_original(disc: discs.Disc) -> None:
    """Kernel, initrd, packages: by GET, with a length, a tag, and for ever."""

    async def test(rig: Rig, tree: str) -> None:
        for path, data in disc.files.items():
            reply = await rig.ask(tree + quote(path))
            assert (reply.status, reply.body) == (200, data), path
            assert reply.field("Accept-Ranges") == "bytes"
            assert "immutable" in (reply.field("Cache-Control") or "")
        kernel = await rig.ask(rig.path(NAME, "installer-kernel"))
        assert kernel.body == disc.files[discs.RED_HAT["kernel"]]

    serving(disc, test)


def test_ranges_and_looks(disc: discs.Disc) -> None:
    """Parts are of the file, not of the ISO; HEAD has the length; the tag is good for If-Range."""

    async def test(rig: Rig, tree: str) -> None:
        data, path = disc.files["images/install.img"], tree + "images/install.img"
        looked = await rig.ask(path, "HEAD")
        assert (looked.status, looked.body) == (200, b"")
        assert looked.field("Content-Length") == str(len(data))
        tag = looked.field("ETag") or ""
        for first, last in ((0, 0), (100, 5000), (60_000, 69_999)):
            fields = (f"Range: bytes={first}-{last}", f"If-Range: {tag}")
            reply = await rig.ask(path, fields=fields)
            assert (reply.status, reply.body) == (206, data[first : last + 1])
            assert reply.field("Content-Range") == f"bytes {first}-{last}/{len(data)}"
        assert (await rig.ask(path, fields=("Range: bytes=-7",))).body == data[-7:]
        assert (await rig.ask(path, fields=(f"Range: bytes={len(data)}-",))).status == 416
        assert (await rig.ask(path, fields=(f"If-None-Match: {tag}",))).status == 304
        other = await rig.ask(tree + "media.repo")
        assert (other.status, other.body) == (200, b"")
        assert other.field("ETag") != tag

    serving(disc, test)


def test_many_files_by_one_connection(disc: discs.Disc) -> None:
    """As package tools ask: one after the other, files and what is not there."""

    async def test(rig: Rig, tree: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
        for path in (*disc.files, "updates.img", *disc.files):
            writer.write(f"GET {tree}{quote(path)} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            reply = await read_reply(reader)
            assert reply.status == (404 if path == "updates.img" else 200)
            if reply.status == 200:
                assert reply.body == disc.files[path]
        writer.close()

    serving(disc, test)


@pytest.mark.parametrize(
    "path",
    [
        *("images", "images/", "", "Images/install.img", "images/install.img/x", "nothing"),
        *("../rocky-9.iso", "..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd", "images/../.."),
        *("/etc/passwd", "images%00/install.img", "." + "/x" * 3000),
    ],
)
def test_nothing_else_is_there(disc: discs.Disc, path: str) -> None:
    """Folders, other letters' case, ways out."""

    async def test(rig: Rig, tree: str) -> None:
        assert (await rig.ask(tree + path)).status in (400, 404)

    serving(disc, test)


def test_only_trees_of_the_shelf(disc: discs.Disc) -> None:
    """An ISO's hash is no tree, nor is any other artifact's, nor one of a medium that went."""

    async def test(rig: Rig, tree: str) -> None:
        for role in ("iso", "installer-kernel"):
            item = rig.shelf.find(NAME, role)
            assert item is not None
            assert (await rig.ask(f"/media/{item.sha256}/.treeinfo")).status == 404
        assert (await rig.ask(f"/media/{'0' * 64}/.treeinfo")).status == 404
        assert (await rig.ask("/media/x/.treeinfo")).status == 404
        assert (await rig.ask(tree + ".treeinfo")).status == 200
        rig.service.take(Index(view_of(Shelf())))
        assert (await rig.ask(tree + ".treeinfo")).status == 404

    serving(disc, test)


def test_letters_case_where_the_medium_has_none() -> None:
    """ESXi's boot.cfg names files in small letters, as plain ISO 9660 is read; any case will do."""
    with tempfile.TemporaryDirectory() as folder:
        made = discs.make("esxi-8", Path(folder))

        async def test(rig: Rig, tree: str) -> None:
            for path in ("b.b00", "B.B00", "EFI/BOOT/BOOTX64.EFI"):
                assert (await rig.ask(tree + path)).body == made.files[path.lower()]
            boot = await rig.ask(tree + "efi/boot/bootx64.efi")
            assert boot.field("Content-Type") == "application/efi"

        serving(made, test, "esxi-8")


def test_an_iso_that_was_damaged_or_is_gone(disc: discs.Disc) -> None:
    """503 and not wrong bytes: cut off, and taken away."""

    async def test(rig: Rig, tree: str) -> None:
        iso = rig.shelf.find(NAME, "iso")
        assert iso is not None
        path = rig.service.store.path(iso.sha256)
        os.truncate(path, iso.size - 1)
        assert (await rig.ask(tree + RPM)).status == 503
        path.unlink()
        assert (await rig.ask(tree + RPM)).status == 503
        assert (await rig.ask(rig.path(NAME, "installer-kernel"))).status == 200

    serving(disc, test)


@pytest.mark.parametrize("damage", [b"{}", b"{}".ljust, bytes, None])
def test_a_table_that_was_damaged(
    disc: discs.Disc, damage: bytes | Callable[[int], bytes] | None
) -> None:
    """503, on the loop's way and on the carriers', and no word of our files; everything else is
    served on."""

    async def test(rig: Rig, tree: str) -> None:
        table = rig.shelf.find(NAME, "tree")
        assert table is not None
        stored = rig.service.store.path(table.sha256)
        stored.unlink()
        if damage is not None:
            stored.write_bytes(damage(table.size) if callable(damage) else damage)
        kernel = rig.path(NAME, "installer-kernel")
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
        for path, status in ((kernel, 200), (tree + ".treeinfo", 503), (kernel, 200)):
            writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            reply = await read_reply(reader)
            assert reply.status == status
            assert status == 200 or str(rig.service.store.directory).encode() not in reply.body
        writer.close()

    serving(disc, test)


@pytest.mark.parametrize("first", ["kernel", "nothing"])
def test_without_a_descriptor_a_table_is_not_damaged(disc: discs.Disc, first: str) -> None:
    """503 to ask again, on the carriers' way and the loop's, and it is said; then all is there."""

    async def test(rig: Rig, tree: str) -> None:
        said: list[dict[str, Any]] = []
        rig.service.loop.set_exception_handler(lambda _, context: said.append(context))
        before = rig.path(NAME, "installer-kernel") if first == "kernel" else tree + "../x"
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
        asked = f"GET {tree}media.repo HTTP/1.1\r\nHost: a\r\n\r\n".encode()
        writer.write(f"GET {before} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        await read_reply(reader)
        with no_more_files():
            writer.write(asked)
            short = await read_reply(reader)
        assert (short.status, b"no descriptor is free" in short.body) == (503, True)
        assert said
        assert all(is_one(context["exception"]) for context in said)
        writer.write(asked)
        assert (await read_reply(reader)).status == 200
        writer.close()

    serving(disc, test)


def test_packages_are_not_told_one_by_one(disc: discs.Disc) -> None:
    """An installation takes hundreds: the controller hears of the kernel, not of each of them."""

    async def test(rig: Rig, tree: str) -> None:
        await rig.ask(tree + quote(RPM))
        assert rig.reporter.of(Seen.SENT) == []
        await rig.ask(rig.path(NAME, "installer-kernel"))
        assert [one.detail["manifest"] for one in rig.reporter.of(Seen.KERNEL)] == [NAME]

    serving(disc, test)


def test_an_installers_own_words_lead_to_its_tree(disc: discs.Disc) -> None:
    """What the kernel of Rocky's installer is told is where its .treeinfo and packages are."""

    async def test(rig: Rig, tree: str) -> None:
        machine = Machine(HostName("node1"), (ARMED,))
        deployment = Deployment(
            id="d-1",
            machine="node1",
            profile_name="rocky",
            revision="1" * 64,
            profile=Profile(NAME, Method.SCRIPT),
            state=State.ARMED,
            token=TOKEN,
            health_token=HEALTH,
            release=find(NAME),
        )
        policy = Policy(Site("192.0.2.10", 24), rig.shelf)
        assert script.METHOD.missing(deployment, machine, policy) == ()
        boot = script.METHOD.boot(deployment, machine, ARMED, policy)
        told = {word for word in boot.arguments if "/media/" in word}
        assert {word.partition("http://192.0.2.10")[2].rstrip("/") + "/" for word in told} == {tree}
        for path in (".treeinfo", RPM):
            assert (await rig.ask(tree + quote(path))).body == disc.files[path]
        kernel = await rig.ask(f"/{routes.artifact(boot.kernel)}")
        assert kernel.body == disc.files[discs.RED_HAT["kernel"]]

    serving(disc, test)
