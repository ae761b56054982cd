"""FAI: what it says while it works, by its monitor and by its hooks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.families.fai import FAMILY, reports
from ironwake.report import Stage


@pytest.mark.parametrize(
    ("line", "stage", "step"),
    [
        (b"node1 TASKBEGIN partition", Stage.INSTALLING, "partition"),
        (b"node1 TASKEND partition 710", Stage.FAILED, "partition"),
        (b"node1 TASKERROR partition 21", None, ""),
        (b"node1 TASKEND partition 0", None, ""),
        (b"node1 TASKBEGIN faiend", None, ""),
        (b"node1 HOOK partition.IRONWAKE.sh", None, ""),
        (b"node1 check", None, ""),
    ],
)
def test_what_the_monitor_is_told(line: bytes, stage: Stage | None, step: str) -> None:
    """Lines as FAI 6.0.3 has sent them."""
    said = reports.message(line)
    assert said is not None
    callback = reports.monitored(said)
    assert (callback.stage if callback else None) == stage
    if callback:
        assert callback.step == step


@given(st.binary(max_size=300))
def test_hostile_lines_and_forms_are_no_news(raw: bytes) -> None:
    """Nothing is raised, and no text of theirs comes through but names of tasks."""
    said = reports.message(raw)
    callback = (reports.monitored(said) if said else None) or FAMILY.heard("", raw)
    assert callback is None or callback.stage in (Stage.INSTALLING, Stage.FAILED)


def test_only_the_last_task_without_errors_is_an_end() -> None:
    """FAI runs the hook of its last task from its `die`, too, with the task that failed."""
    heard = [
        FAMILY.heard("", f"event=result&task={task}&code={code}".encode())
        for task, code in (("savelog", 0), ("mountdisks", 0), ("savelog", 471), ("partition", 710))
    ]
    stages = [callback.stage if callback else None for callback in heard]
    assert stages == [Stage.INSTALLED, Stage.FAILED, Stage.FAILED, Stage.FAILED]
    assert heard[3] is not None
    assert "too small" in heard[3].message
