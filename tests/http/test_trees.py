"""Tables of media in memory: how many, who reads them, and what goes on while they come and go."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from ironwake import routes
from ironwake.artifact import Artifact, Manifest
from ironwake.errors import BrokenError
from ironwake.iso.image import Place, Tree
from ironwake.iso.table import Table, encode
from ironwake.site import Shelf, Stored
from ironwake.view import Index
from ironwake_http.stock import TREE
from ironwake_http.trees import Trees
from ironwake_runtime.artifacts import ArtifactStore
from tests.http.rig import Rig, put, request, run, view_of

_DESCRIPTORS = Path("/proc/self/fd")
PATH = "packages/a.rpm"


class Counting(ArtifactStore):
    """Notes what is looked for in it."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.asked: list[str] = []

    def path(self, sha256: str) -> Path:
        self.asked.append(sha256)
        return super().path(sha256)


def table_of(store: ArtifactStore, number: int, content: bytes = b"") -> Stored:
    """A medium's table of one file, which is the medium's whole content."""
    holder = put(store, content or f"content {number:03}".encode())
    raw = encode(Table(holder, Tree({PATH: Place(0, holder.size)})))
    table = put(store, raw)
    return Stored(f"medium-{number}", TREE, table.sha256, table.size, "tree.json")


def test_the_tables_that_were_asked_for_last_are_kept(tmp_path: Path) -> None:
    """So many bytes of them: one more drives out the one that nobody has asked for, for longest."""
    store = Counting(tmp_path)
    items = [table_of(store, number) for number in range(17)]
    (size,) = {item.size for item in items}
    trees = Trees(store, kept=16 * size)
    first = trees.table(items[0])
    for item in items[1:16]:
        trees.table(item)
    assert trees.table(items[0]) is first
    trees.table(items[16])
    for item in items:
        store.path(item.sha256).unlink()
    for item in (items[0], *items[2:]):
        assert trees.table(item).tree.find(PATH)
    with pytest.raises(BrokenError):
        trees.table(items[1])


def test_a_table_larger_than_all_that_is_kept_is_kept_alone(tmp_path: Path) -> None:
    """Its medium's requests must not read it again each time."""
    store = Counting(tmp_path)
    small, large = table_of(store, 1), table_of(store, 2)
    trees = Trees(store, kept=1)
    trees.table(small)
    found = trees.table(large)
    store.asked.clear()
    assert trees.table(large) is found
    assert store.asked == []
    trees.table(small)
    assert store.asked == [small.sha256]


def test_many_threads_read_a_table_once(tmp_path: Path) -> None:
    """All wait for the one that reads it, and get the same; whichever they ask for, it is right."""
    store = Counting(tmp_path)
    items = [table_of(store, number) for number in range(8)]
    trees = Trees(store)
    store.asked.clear()
    together = threading.Barrier(8)

    def ask(turn: int) -> dict[str, int]:
        together.wait(60)
        return {one.manifest: id(trees.table(one)) for one in (*items[turn:], *items[:turn])}

    with ThreadPoolExecutor(8) as threads:
        first, *others = threads.map(ask, range(8))
    assert all(one == first for one in others)
    assert sorted(store.asked) == sorted(item.sha256 for item in items)


def test_threads_that_drive_out_each_others_tables(tmp_path: Path) -> None:
    """With room for two of them, each request still gets its own medium's."""
    store = ArtifactStore(tmp_path)
    items = [table_of(store, number) for number in range(5)]
    trees = Trees(store, kept=2 * items[0].size)

    def ask(turn: int) -> bool:
        item = items[turn % 5]
        holder = trees.table(item).holder
        return store.path(holder.sha256).read_bytes() == f"content {turn % 5:03}".encode()

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(ask, range(500)))


@contextmanager
def shelved(rig: Rig, items: list[Stored]) -> Iterator[list[str]]:
    """These tables on the shelf, of which one is kept; gives their files' paths."""
    rig.service.trees = Trees(rig.service.store, kept=1)
    manifests = (
        Manifest(
            item.manifest,
            "media",
            "2026-01-02T03:04:05Z",
            "0" * 64,
            {TREE: Artifact(item.sha256, item.size)},
            {TREE: item.file},
        )
        for item in items
    )
    rig.service.take(Index(view_of(Shelf.of(manifests))))
    yield [f"/{routes.tree(item)}/{PATH}" for item in items]


def open_files() -> int:
    return len(list(_DESCRIPTORS.iterdir()))


def test_a_transfer_goes_on_while_its_table_is_driven_out() -> None:
    """It has its own descriptor, and nothing else of the medium; at the end all are closed."""
    content = bytes(range(256)) * (64 << 10)

    async def test(rig: Rig) -> None:
        store = rig.service.store
        items = [table_of(store, 0, content), *(table_of(store, n) for n in range(1, 20))]
        with shelved(rig, items) as (large, *others):
            assert (await rig.ask(others[0])).status == 200
            before = open_files()
            reader, writer = await asyncio.open_connection("127.0.0.1", rig.port, limit=1 << 16)
            writer.write(request(large))
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            for number, path in enumerate((*others, *others), 1):
                reply = await rig.ask(path)
                assert reply.body == f"content {(number - 1) % 19 + 1:03}".encode()
            for item in items:
                store.path(item.sha256).unlink()
            assert await reader.readexactly(len(content)) == content
            writer.close()
            await writer.wait_closed()
            async with asyncio.timeout(60):
                while open_files() > before:
                    await asyncio.sleep(0)

    run(test)
