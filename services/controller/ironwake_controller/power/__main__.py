"""The child process of `job`: one piece of work from standard input, its answer on output."""

from __future__ import annotations

import sys

from ironwake import wire
from ironwake.errors import BrokenError, IronwakeError
from ironwake_controller.power import drivers
from ironwake_controller.power.driver import Outcome, Target
from ironwake_controller.power.job import Answer, Job
from ironwake_controller.power.start import start


def _work(job: Job) -> Outcome:
    driver = drivers.find(job.driver)
    settings = drivers.read(driver, job.settings)
    target = Target(job.machine, job.macs)
    if job.operation is None:
        return start(driver, settings, target, job.cycle)
    return driver.carry_out(job.operation, settings, target)


def _answer(job: Job) -> Answer:
    try:
        done = _work(job)
    except IronwakeError as error:
        return Answer(error.what, status=error.status, next_step=error.next_step, where=error.where)
    except Exception as error:  # noqa: BLE001 (libraries: a person reads a line, no traceback)
        return Answer(
            f"the power driver {job.driver} failed: {type(error).__name__}: {str(error)[:300]}",
            status=BrokenError.status,
            next_step="see what it talks to, and report this if it stays so",
        )
    return Answer(done.message, done.state)


def main() -> None:
    """Entry point of `python -m ironwake_controller.power`."""
    job = wire.decode(Job, sys.stdin.buffer.read())
    sys.stdout.buffer.write(wire.encode(_answer(job)))


if __name__ == "__main__":
    main()
