"""Several threads at one list of jobs: what they call (zstd, hashes, the disk) needs no Python."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import TypeVar

from ironwake.errors import GoneError

Job = TypeVar("Job")
_BEAT = 1.0  # seconds after which `told` is asked at the latest whether to go on


class StoppedError(GoneError):
    """Another thread has failed already: its words count."""


Check = Callable[[], None]
Worker = Callable[[Check], AbstractContextManager[Callable[[Job], int]]]


def work(
    jobs: Iterable[Job], worker: Worker[Job], told: Callable[[int], None], count: int = 3
) -> None:
    """Do all jobs; the first error, of whichever thread, ends all and is raised.

    :param worker: makes what does one job after the other, and answers how much it has done; it is
        given a check that raises StoppedError once all shall end
    :param told: called here with each answer, and with 0 from time to time; may raise to stop
    """
    todo, lock, stop = iter(jobs), threading.Lock(), threading.Event()
    news: queue.SimpleQueue[int | BaseException | None] = queue.SimpleQueue()

    def check() -> None:
        if stop.is_set():
            raise StoppedError("stopped")

    def run() -> None:
        try:
            with worker(check) as do:
                while not stop.is_set():
                    with lock:
                        job = next(todo, None)
                    if job is None:
                        break
                    news.put(do(job))
        except BaseException as error:  # noqa: BLE001 - raised where it is heard
            news.put(error)
        finally:
            news.put(None)

    threads = [threading.Thread(target=run, name=f"image-{n}", daemon=True) for n in range(count)]
    for thread in threads:
        thread.start()
    try:
        _listen(news, told, count, stop)
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _listen(
    news: queue.SimpleQueue[int | BaseException | None],
    told: Callable[[int], None],
    count: int,
    stop: threading.Event,
) -> None:
    trouble: BaseException | None = None
    while count:
        try:
            word = news.get(timeout=_BEAT)
        except queue.Empty:
            word = 0
        if word is None:
            count -= 1
        elif isinstance(word, BaseException):
            if trouble is None or isinstance(trouble, StoppedError):
                trouble = word
            stop.set()
        elif trouble is None:
            try:
                told(word)
            except BaseException as error:  # noqa: BLE001 - raised once all have ended
                trouble = error
                stop.set()
    if trouble is not None:
        raise trouble
