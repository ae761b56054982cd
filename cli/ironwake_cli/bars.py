"""Progress of long work, as `ironwake.progress.Progress`: bars for people, lines for logs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from ironwake.progress import Progress
from ironwake_cli.output import note


@contextmanager
def bars() -> Iterator[Progress]:
    """One live bar for each step, on standard error."""
    columns = (
        TextColumn("{task.fields[step]}"),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    tasks: dict[str, TaskID] = {}
    with Bars(*columns, console=Console(stderr=True)) as drawing:

        def show(step: str, fraction: float | None, message: str) -> None:
            if step not in tasks:
                tasks[step] = drawing.add_task("", step=step, total=None)
            drawing.update(tasks[step], description=_plain(message))
            if fraction is not None:
                drawing.update(tasks[step], total=1.0, completed=fraction)

        yield show


def lines(write: Callable[[str], None] = note) -> Progress:
    """A line for each new message; one that only counts up is told every tenth of the way."""
    told: dict[str, tuple[str, int]] = {}

    def show(step: str, fraction: float | None, message: str) -> None:
        tenth = -1 if fraction is None else int(fraction * 10)
        if told.get(step) == (message, tenth):
            return
        told[step] = (message, tenth)
        percent = "" if fraction is None else f" {fraction:.0%}"
        write(f"{step}{percent}: {message}")

    return show


def _plain(message: str) -> str:
    return message.replace("[", r"\[")
