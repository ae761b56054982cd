"""`ironwake lab storm`: how an appliance stands hundreds of machines that start at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ironwake.errors import BrokenError, InputError
from ironwake.progress import Progress
from ironwake_cli import quantities
from ironwake_cli.output import JSON, as_json, facts, on_terminal, say, size, table
from ironwake_cli.session import Session, of
from ironwake_cli.signals import stopped_by_signals

if TYPE_CHECKING:
    from ironwake_lab.storm.roms import Kind
    from ironwake_lab.storm.run import StormSpec
    from ironwake_lab.storm.tally import Result


def storm(
    context: typer.Context,
    clients: int = typer.Option(500, "--clients", help="how many machines are enrolled"),
    within: str = typer.Option("1s", "--within", help="they are switched on within this time"),
    firmware: str = typer.Option(
        "uefi", "--firmware", help="of the machines, by turns: uefi, uefi-http, bios, ipxe"
    ),
    loss: str = typer.Option("0%", "--loss", help="share of frames that are lost, each way"),
    duplicate: str = typer.Option("0%", "--duplicate", help="share that arrives twice"),
    reorder: str = typer.Option("0%", "--reorder", help="share that others overtake"),
    seed: int = typer.Option(1, "--seed", help="the same number makes the same storm"),
    most: str = typer.Option(
        "1M", "--bytes", help="of kernel, ramdisk and archive each; 0: all of them"
    ),
    pace: float = typer.Option(
        1.0, "--pace", min=0, help="time that machines need between hops; 1: quick hardware"
    ),
    installing: int = typer.Option(0, "--installing", help="only so many are switched on"),
    last: str = typer.Option("0s", "--for", help="how long each reports its progress"),
    callbacks: str = typer.Option("0/s", "--callbacks", help="reports of all together, with --for"),
    kill_every: str = typer.Option(
        "0s", "--kill-every", help="end a service this often, one after the other"
    ),
    limit: str = typer.Option("30m", "--limit", help="it is over then, whoever is on the way"),
    rack: str = typer.Option(
        "", "--rack", help="storm the appliance in this rack; default: one of its own"
    ),
    profile: str = typer.Option("debian", "--profile", help="what they become, with --rack"),
    log: Path | None = typer.Option(
        None, "--log", help="keep here what the services said; without --rack"
    ),
    json: bool = JSON,
) -> None:
    """Switch on hundreds of machines at once, packet by packet, and see how the appliance does.

    Each has its own MAC and address, and the options, timers and repeats of real firmware. A rack
    without uplink is raised with an appliance in it; the end, or Ctrl-C, leaves nothing behind.
    Needs root.

    Example:

        ironwake lab storm --clients 500 --within 1s
        ironwake lab storm --clients 50 --kill-every 2s --loss 1% --seed 7
        ironwake lab storm --clients 1000 --installing 250 --for 5m --callbacks 200/s
    """
    from ironwake_lab.storm.machine import Habits
    from ironwake_lab.storm.run import StormSpec
    from ironwake_lab.storm.weather import Climate

    if rack and log:
        raise InputError("the log of --rack's appliance is its own", "leave out --log", "log")
    spec = StormSpec(
        clients,
        quantities.seconds(within, "within"),
        _kinds(firmware),
        Climate(
            quantities.share(loss, "loss"),
            quantities.share(duplicate, "duplicate"),
            quantities.share(reorder, "reorder"),
        ),
        seed,
        installing,
        quantities.seconds(last, "for"),
        quantities.per_second(callbacks, "callbacks"),
        quantities.seconds(kill_every, "kill-every"),
        quantities.seconds(limit, "limit"),
        Habits(pace=pace, most=quantities.octets(most, "bytes")),
    )
    with stopped_by_signals(), _progress() as progress:
        result = _run(spec, of(context), rack, profile, log, progress)
    _tell(result, json)


def _kinds(text: str) -> tuple[Kind, ...]:
    from ironwake_lab.storm.roms import Kind

    try:
        return tuple(Kind(word.strip()) for word in text.split(","))
    except ValueError as error:
        known = ", ".join(Kind)
        raise InputError(f"{error}", f"use some of: {known}", "firmware") from None


def _run(
    spec: StormSpec,
    session: Session,
    rack: str,
    profile: str,
    log: Path | None,
    progress: Progress,
) -> Result:
    from ironwake_lab import commands
    from ironwake_lab.host import need_root
    from ironwake_lab.storm import run, stage

    need_root()
    if not rack:
        return run.raise_and_storm(spec, progress, log)
    there = stage.borrowed(commands.attach(rack), session.token(), profile, spec.addresses)
    try:
        return run.storm(spec, there, progress)
    finally:
        stage.forget(there, (*run.warmers_of(spec), *run.machines_of(spec)))


@contextmanager
def _progress() -> Iterator[Progress]:
    from ironwake_cli.bars import bars, lines

    if on_terminal():
        with bars() as drawing:
            yield drawing
        return
    write = lines()
    tenths: dict[str, int] = {}

    def show(step: str, fraction: float | None, message: str) -> None:
        tenth = -1 if fraction is None else int(fraction * 10)
        if fraction is None or tenths.get(step, 0) != tenth:
            tenths[step] = tenth
            write(step, fraction, message)

    yield show


def _tell(result: Result, json: bool) -> None:
    from dataclasses import asdict

    if json:
        as_json({**asdict(result), "sound": result.is_sound})
    else:
        for line in _lines(result):
            say(line)
    if not result.is_sound:
        raise BrokenError(
            f"{result.finished} of {result.clients} machines are through, "
            f"{result.claims_twice} orders were given twice, {result.reports_lost} reports lost, "
            f"{sum(result.exits.values())} services ended",
            "the lines above say more; --log FILE keeps what the services said",
        )


def _lines(result: Result) -> Iterator[str]:
    hops = ("SECONDS TO", "MACHINES", "P50", "P99", "MAX")
    rows = [(hop, t.count, t.p50, t.p99, t.max) for hop, t in result.times.items() if t.count]
    yield from table(hops, rows)
    yield ""
    heads = ("SERVICE", "MEMORY BEFORE", "AFTER", "MOST", "FILES BEFORE", "AFTER", "CPU S", "ENDED")
    yield from table(
        heads,
        [
            (
                name,
                size(use.rss_before),
                size(use.rss_after),
                size(use.rss_peak),
                use.descriptors_before,
                use.descriptors_after,
                use.cpu,
                result.exits.get(name, 0),
            )
            for name, use in result.services.items()
        ],
    )
    yield ""
    yield from facts(
        (
            ("machines through", f"{result.finished} of {result.clients}"),
            ("seconds", result.seconds),
            ("orders given twice", str(result.claims_twice)),
            ("second askers refused", str(result.claims_refused)),
            ("reports heard", f"{result.reports_heard}, {result.reports_per_second} a second"),
            ("reports lost", str(result.reports_lost)),
            (
                "report acknowledged after",
                f"{result.report_seconds.p50} s, 99% {result.report_seconds.p99} s",
            ),
            ("loaded", size(result.octets)),
            ("services killed", _counted(result.kills)),
            ("boots that failed", _counted(result.boots_failed)),
            ("not through", _counted(result.unfinished)),
            ("weather", _counted({k: v for k, v in result.weather.items() if v})),
            ("processor of the storm itself", f"{result.generator_cpu} s"),
        )
    )


def _counted(counts: dict[str, int]) -> str:
    return "; ".join(f"{count} x {what}" for what, count in sorted(counts.items()))
