"""`ironwake watch`: a deployment, live, hop by hop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import typer

from ironwake.errors import BrokenError
from ironwake_cli.output import note, on_terminal, say
from ironwake_cli.session import Session, of
from ironwake_cli.timeline import Timeline, read

if TYPE_CHECKING:
    from ironwake_cli.api import Api

_TRIES = 30  # of one second each: a controller that restarts is back long before
_PAUSE = 1.0


class Screen(Protocol):
    """Where a watched deployment is shown."""

    def __call__(self, line: str, percent: float, state: str) -> None:
        """One more hop; the deployment has come that far."""


def watch(
    context: typer.Context,
    target: str = typer.Argument(
        "", metavar="NAME|DEPLOYMENT", help="default: the newest deployment"
    ),
    timeout: float = typer.Option(0, "--timeout", min=0, help="give up after so many seconds"),
    json: bool = typer.Option(False, "--json", help="print each event as one line of JSON"),
) -> None:
    """Watch a deployment until it ends; the exit code is 0 only if it succeeded.

    Example:

        ironwake watch node1
    """
    from ironwake_cli.target import find, latest

    session = of(context)
    found = find(session, target) if target else latest(session)
    follow(session, found, timeout, json)


def follow(
    session: Session,
    deployment: dict[str, Any],
    timeout: float = 0,
    json: bool = False,
    quiet: bool = False,
) -> None:
    """Show a deployment until it ends, unless `quiet`; raises why it did not succeed."""
    timeline = Timeline(deployment["machine"], _system(deployment))
    deadline = time.monotonic() + timeout if timeout else float("inf")
    try:
        with _screen(timeline.machine, json or quiet) as show:
            for document in documents(session.api, deployment["id"]):
                if document is not None:
                    line = timeline.take(read(document))
                    told = _json(document) if json else "" if quiet else line
                    show(told, timeline.percent, timeline.state)
                if timeline.over or time.monotonic() > deadline:
                    break
    except KeyboardInterrupt:
        note(f"the deployment goes on; cancel it with: ironwake cancel {timeline.machine}")
        raise
    conclusion = timeline.conclusion()
    if not quiet:
        (note if json else say)(conclusion)


def documents(
    api: Api, deployment: str, pause: Callable[[float], None] = time.sleep
) -> Iterator[dict[str, Any] | None]:
    """All events, each once; a stream that breaks is taken up again where it ended."""
    last, failures = "", 0
    while True:
        try:
            for document in api.events(deployment, last):
                failures = 0
                if document is not None:
                    last = str(document["seq"])
                yield document
        except BrokenError:
            failures += 1
            if failures > _TRIES:
                raise
        yield None
        pause(_PAUSE)


def _system(deployment: dict[str, Any]) -> str:
    from ironwake.release import built_in

    release = str(deployment.get("release") or "")
    row = built_in().get(release)
    return row.title if row else release or deployment["profile"]


def _json(document: dict[str, Any]) -> str:
    from json import dumps

    return dumps(document, ensure_ascii=False)


@contextmanager
def _screen(machine: str, json: bool) -> Iterator[Screen]:
    if json or not on_terminal():
        yield _plain
        return
    with _live(machine) as show:
        yield show


def _plain(line: str, percent: float, state: str) -> None:  # noqa: ARG001 (a `Screen`)
    if line:
        say(line)


@contextmanager
def _live(machine: str) -> Iterator[Screen]:
    """A line for each hop, and below them a bar."""
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn(machine),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, transient=True) as progress:
        task = progress.add_task("", total=100)

        def show(line: str, percent: float, state: str) -> None:
            if line:
                progress.console.print(line, markup=False, highlight=False, soft_wrap=True)
            progress.update(task, completed=percent, description=state.replace("_", " "))

        yield show
