"""Many small pieces of work in one commit: a flush of the disk is dear, and one is enough for all.

Machines report by the hundred, each report is a transaction, and each waits until it is on disk.
Whatever comes while one commit is under way goes into the next one: alone, a piece of work waits
for nobody; in a crowd, all share the flush, the view's new version and the boot epoch's file.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from ironwake.errors import BrokenError
from ironwake_controller.store.store import Store

_MOST = 64  # pieces of work in one commit: who came first must not wait for all others

T = TypeVar("T")


@dataclass
class _Piece:
    work: Callable[[], Any]
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = field(default=None)


class Together:
    """One thread writes for all who wait; `close` it before the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(1, "writer")
        self._lock = threading.Lock()
        self._waiting: deque[_Piece] = deque()
        self._at_work = False

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises, once all that it wrote by `Store.write` is on disk.

        What it wrote is undone when it raises; what others wrote beside it is not.
        """
        piece = _Piece(work, asyncio.get_running_loop().create_future())
        with self._lock:
            self._waiting.append(piece)
            start, self._at_work = not self._at_work, True
        if start:
            self._thread.submit(self._write_all)
        result: T = await piece.future
        return result

    def close(self) -> None:
        """Once all that waits is written."""
        self._thread.shutdown()

    def _write_all(self) -> None:
        while pieces := self._next():
            try:
                self._write(pieces)
            except BaseException as error:  # noqa: BLE001 (nobody may wait for ever)
                for piece in pieces:  # nothing of it is on disk, whoever went well
                    piece.error = error
            for loop in {piece.future.get_loop() for piece in pieces}:
                own = [piece for piece in pieces if piece.future.get_loop() is loop]
                with contextlib.suppress(RuntimeError):  # it has ended: nobody is left to tell
                    loop.call_soon_threadsafe(_settle, own)

    def _next(self) -> list[_Piece]:
        with self._lock:
            count = min(len(self._waiting), _MOST)
            self._at_work = count > 0
            return [self._waiting.popleft() for _ in range(count)]

    def _write(self, pieces: list[_Piece]) -> None:
        with self._store.together():
            for piece in pieces:
                try:
                    piece.result = piece.work()
                except SQLAlchemyError:
                    raise  # the transaction may be gone with all that is in it
                except Exception as error:  # noqa: BLE001 (the caller's, and raised there)
                    piece.error = error


def _settle(pieces: list[_Piece]) -> None:
    for piece in pieces:
        if piece.future.done():  # the caller has left
            continue
        if piece.error is None:
            piece.future.set_result(piece.result)
        elif isinstance(piece.error, Exception):
            piece.future.set_exception(piece.error)
        else:
            piece.future.set_exception(BrokenError(f"the writer was ended: {piece.error!r}"))
