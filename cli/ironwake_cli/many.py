"""The same for several machines: which ones, some at once, and what failed for some."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import typer

from ironwake.errors import InputError, IronwakeError, UnknownError
from ironwake_cli.output import as_json, note
from ironwake_cli.session import Session

_AT_ONCE = 4  # as many as the controller asks at once
LABEL = typer.Option([], "--label", help="all machines with this key=value; repeatable")

Document = dict[str, Any]


def chosen(session: Session, names: Sequence[str], labels: Sequence[str]) -> list[str]:
    """Those that are named, and those with all of these labels."""
    from ironwake.machine import labels_of

    found = list(dict.fromkeys(names))
    if labels:
        wanted = labels_of(list(labels), "--label").items()
        listed = [one for one in session.api.listing("machines") if wanted <= one["labels"].items()]
        if not listed:
            raise UnknownError(
                f"no machine has {' and '.join(labels)}", "see: ironwake machine list"
            )
        found += [one["name"] for one in listed if one["name"] not in found]
    if not found:
        raise InputError("no machine is named", "name one or more, or a --label")
    return found


def each(
    names: Sequence[str],
    deed: Callable[[str], Document],
    show: Callable[[str, Document], None] | None,
) -> list[Document]:
    """Some at once, told in the order of their names as they were given.

    What fails for one of many is told, and stops none; the exit code is then that of the first.
    """
    from concurrent.futures import ThreadPoolExecutor

    results: list[Document] = []
    failed: list[IronwakeError] = []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for name, doing in [(name, pool.submit(deed, name)) for name in names]:
            try:
                results.append(doing.result())
            except IronwakeError as error:
                if len(names) == 1:
                    raise
                failed.append(error)
                results.append({"machine": name, "error": error.what, "next_step": error.next_step})
                note(f"ironwake: {name}: {error}")
            else:
                if show:
                    show(name, results[-1])
    if failed and not show:
        as_json(results)
    if failed:
        raise typer.Exit(failed[0].exit_code)
    return results
