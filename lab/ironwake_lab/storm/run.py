"""A storm from its beginning to its result."""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ironwake.errors import InputError
from ironwake.progress import Progress, silent
from ironwake_lab.storm import boot, cable, stage, tally
from ironwake_lab.storm.driver import Driver, Ends
from ironwake_lab.storm.machine import Habits, Machine, Mark
from ironwake_lab.storm.roms import Kind
from ironwake_lab.storm.services import NAMES, Services, Use
from ironwake_lab.storm.stage import Sizes, Stage
from ironwake_lab.storm.tally import Result
from ironwake_lab.storm.weather import Climate, Weather
from ironwake_runtime import neighbours

_LOOK = 0.5  # seconds between looks at services and progress
_SETTLE = 45.0  # seconds after the end: connections that are kept are closed after 30
_WARMERS = 4  # machines that go first: what services load once is no leak
_MOST_NUMBER = 1 << 20
_VENDOR = bytes.fromhex("024957")  # locally administered, "IW"


@dataclass(frozen=True)
class StormSpec:
    """`clients` are enrolled, `installing` of them (0: all) switched on within `within` seconds.

    `last` seconds is how long each reports its progress, at `callbacks` reports a second of all
    together; 0 leaves both to `habits`. `kill_every`: seconds from one service's end to the next
    one's. `limit`: seconds after which it is over, whoever is still on the way.
    """

    clients: int
    within: float = 1.0
    kinds: tuple[Kind, ...] = (Kind.UEFI,)
    climate: Climate = field(default_factory=Climate)
    seed: int = 1
    installing: int = 0
    last: float = 0.0
    callbacks: float = 0.0
    kill_every: float = 0.0
    limit: float = 1800.0
    habits: Habits = field(default_factory=Habits)
    sizes: Sizes = field(default_factory=Sizes)

    def __post_init__(self) -> None:
        if not 1 <= self.clients <= stage.MOST:
            raise InputError(f"{self.clients} clients", f"use 1 to {stage.MOST}", "clients")
        if not 0 <= self.installing <= self.clients:
            raise InputError(
                f"{self.installing} of {self.clients} cannot install",
                "give at least as many --clients",
                "installing",
            )
        if (self.last > 0) != (self.callbacks > 0):
            raise InputError(
                "a sustained storm has a duration and a rate", "give --for and --callbacks", "for"
            )
        if min(self.within, self.last, self.callbacks, self.kill_every) < 0 or self.limit <= 0:
            raise InputError("times and rates are not negative", "", "within")

    @property
    def booting(self) -> int:
        """How many are switched on."""
        return self.installing or self.clients

    @property
    def addresses(self) -> int:
        """How many are needed."""
        return self.booting + _WARMERS

    @property
    def manner(self) -> Habits:
        """`habits`, with as many reports as the rate and the duration ask for."""
        if not self.last:
            return self.habits
        spacing = self.booting / self.callbacks
        reports = max(1, round(self.last / spacing))
        return replace(self.habits, reports=reports, spacing=spacing)


def machines_of(spec: StormSpec) -> tuple[Machine, ...]:
    """Its machines, kinds by turns; a seed gives the same ones again."""
    return tuple(_machine(spec, "storm", number, spec.manner) for number in range(spec.clients))


def warmers_of(spec: StormSpec) -> tuple[Machine, ...]:
    """Those that go first, and are not counted."""
    quick = replace(spec.habits, pace=0.0, reports=1, rivals=0.0)
    numbers = range(_MOST_NUMBER, _MOST_NUMBER + _WARMERS)
    return tuple(_machine(spec, "warm", number, quick) for number in numbers)


def _machine(spec: StormSpec, name: str, number: int, habits: Habits) -> Machine:
    return Machine(
        f"{name}{number % _MOST_NUMBER:04d}",
        _VENDOR + number.to_bytes(3, "big"),
        spec.kinds[number % len(spec.kinds)],
        habits,
        random.Random(f"machine {spec.seed} {number}"),  # noqa: S311 (no secret)
        boot.life,
    )


def raise_and_storm(
    spec: StormSpec,
    progress: Progress = silent,
    log: Path | None = None,
    first: StormSpec | None = None,
) -> Result:
    """Storm an appliance of its own, in a rack of its own; `log` takes what the services said.

    :param first: another storm before it, which does not count
    """
    addresses = max(one.addresses for one in (spec, first or spec))
    stage.check_neighbours(addresses, neighbours.room())
    with stage.raised(addresses, spec.sizes, progress, log) as there:
        if first is not None:
            storm(first, there, progress)
        return storm(spec, there, progress)


def storm(spec: StormSpec, there: Stage, progress: Progress = silent) -> Result:
    """Storm this one."""
    warmers, machines = warmers_of(spec), machines_of(spec)
    services = Services(there.rack.namespace)
    earlier = _newest(there)
    with stage.enrolled(there, (*warmers, *machines), len(warmers) + spec.booting, progress):
        progress("stage", None, "a few machines go first, so that caches are full")
        _Play(replace(spec, climate=Climate(), within=0.0), there, warmers).run()
        services.look()
        before = services.use()
        play = _Play(spec, there, machines[: spec.booting])
        began = time.monotonic()
        with _watched(spec, services, play, progress):
            play.run()
        seconds = time.monotonic() - began
        _settle(services, before)
        recorded = tally.Recorded.of(_events(there, earlier))
        return _result(play, seconds, services, before, recorded)


def _settle(services: Services, before: dict[str, Use]) -> None:
    """Wait until connections that are kept open for a while are closed."""
    end = time.monotonic() + _SETTLE
    settled = False
    while not settled and time.monotonic() < end:
        time.sleep(_LOOK)
        services.look()
        after = services.use()
        settled = all(
            name in after and after[name].descriptors <= use.descriptors
            for name, use in before.items()
        )


class _Play:
    """The machines at play, in a thread of its own: it has a network of its own."""

    def __init__(self, spec: StormSpec, there: Stage, machines: Sequence[Machine]) -> None:
        self.spec = spec
        self.machines = machines
        self.weather = Weather(spec.climate, spec.seed)
        self.counts: Counter[str] = Counter()
        self.cpu = 0.0
        self._there = there
        self._failure: BaseException | None = None
        self._stop: Callable[[], None] = lambda: None

    def run(self) -> None:
        """To its end, or to the limit."""
        thread = threading.Thread(target=self._thread, name="storm", daemon=True)
        thread.start()
        try:
            thread.join()
        except BaseException:  # Ctrl-C
            self._stop()
            thread.join()
            raise
        if self._failure is not None:
            raise self._failure

    def _thread(self) -> None:
        clear = self.spec.climate.is_clear
        try:
            tap = cable.open_tap(self._there.rack, whole_segments=clear)
            try:
                prefixes = self._there.prefixes
                tun = cable.leave_for_own_network(prefixes, whole_segments=clear)
                try:
                    asyncio.run(self._play(Ends(tap, tun)))
                finally:
                    os.close(tun)
            finally:
                os.close(tap)
        except BaseException as error:  # noqa: BLE001 (handed to the caller's thread)
            self._failure = error

    async def _play(self, ends: Ends) -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        if task is not None:
            self._stop = lambda: _call(loop, task.cancel)
        router = self._there.router
        driver = Driver(self.machines, ends, self.weather, router, stage.ROUTER_MAC)
        self.counts = driver.counts
        chance = random.Random(f"starts {self.spec.seed}")  # noqa: S311 (no secret)
        starts = [chance.uniform(0, self.spec.within) for _ in self.machines]
        used = time.thread_time()
        try:
            async with asyncio.timeout(self.spec.limit):
                await driver.run(starts)
        except TimeoutError:
            pass  # whoever is not through by now is told of in the result
        finally:
            self.cpu = time.thread_time() - used


def _call(loop: asyncio.AbstractEventLoop, what: Callable[[], object]) -> None:
    loop.call_soon_threadsafe(what)


# -- while it goes on ------------------------------------------------------------------------------


@contextmanager
def _watched(
    spec: StormSpec, services: Services, play: _Play, progress: Progress
) -> Iterator[None]:
    """Look at the services, end one now and then, and tell how far the machines are."""
    over = threading.Event()

    def watch() -> None:
        turns = 0
        next_kill = time.monotonic() + spec.kill_every
        while not over.wait(_LOOK):
            services.look()
            _tell(play, progress)
            if spec.kill_every and time.monotonic() >= next_kill:
                # The next one in turn that has been at work for about a round of all.
                at_work = spec.kill_every * (len(NAMES) - 1)
                for turn in range(turns, turns + len(NAMES)):
                    if services.kill(NAMES[turn % len(NAMES)], at_work):
                        turns = turn + 1
                        next_kill = time.monotonic() + spec.kill_every
                        break

    thread = threading.Thread(target=watch, name="storm-watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        _tell(play, progress)


_SHOWN = (Mark.OFFERED, Mark.LOADER, Mark.KERNEL, Mark.CLAIMED, Mark.SUCCEEDED)


def _tell(play: _Play, progress: Progress) -> None:
    total = len(play.machines)
    for mark in _SHOWN:
        count = sum(mark in machine.history.marks for machine in play.machines)
        progress(mark, count / total, f"{count} of {total}")


# -- afterwards ------------------------------------------------------------------------------------


def _events(there: Stage, after: int = 0) -> Iterator[dict[str, Any]]:
    """The appliance's history behind that number."""
    api = there.api()
    place = str(after)
    while place:
        page = api("GET", f"/v1/events?after={place}&limit=1000")
        yield from page["items"]
        place = page["next"] or ""
    api.close()


def _newest(there: Stage) -> int:
    """The number of the last thing that happened: an appliance may have had storms before."""
    return max((int(event["seq"]) for event in _events(there)), default=0)


def _result(
    play: _Play,
    seconds: float,
    services: Services,
    before: dict[str, Use],
    recorded: tally.Recorded,
) -> Result:
    machines = play.machines
    after = services.use()
    heard = sum(len(machine.history.heard) for machine in machines)
    weather = play.weather
    return Result(
        clients=len(machines),
        finished=sum(Mark.SUCCEEDED in machine.history.marks for machine in machines),
        seconds=round(seconds, 1),
        times=tally.times(machines),
        claims_twice=tally.claims_twice(machines, recorded),
        claims_refused=sum(machine.history.refused_again for machine in machines),
        reports_heard=heard,
        reports_lost=tally.reports_lost(machines, recorded),
        reports_per_second=tally.report_rate(machines),
        report_seconds=tally.report_times(machines),
        boots_failed=tally.failures(machines),
        unfinished=tally.unfinished(machines),
        octets=sum(machine.history.octets for machine in machines),
        exits=dict(services.exits),
        kills=dict(services.kills),
        services={
            name: tally.ServiceUse(
                before[name].rss,
                after[name].rss,
                services.peak.get(name, 0),
                before[name].descriptors,
                after[name].descriptors,
                round(after[name].cpu - before[name].cpu, 2),
            )
            for name in before
            if name in after
        },
        weather={
            "lost": weather.lost,
            "duplicated": weather.duplicated,
            "reordered": weather.reordered,
        },
        wire=dict(play.counts),
        generator_cpu=round(play.cpu, 2),
    )
