"""The life of a deployment, from the table that moves deployments.

`python -m ironwake_cli.lifecycle docs/next-boot.md` renews that document's part of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from ironwake.deadlines import DEADLINES
from ironwake.lifecycle import BOOTABLE, ENDS, TABLE, Evidence, State
from ironwake_cli import renewal

_HEAD = """\
Made from the table in `core/ironwake/lifecycle.py`. A deployment is one intent, consumed once: it
moves forward by evidence, or it ends. Serving a file is no evidence: the machine's next request is,
or its own report.

```mermaid
stateDiagram-v2
"""

_SAID: dict[Evidence, str] = {
    Evidence.ARM: "an authenticated person deployed the machine",
    Evidence.OFFERED: "dhcp: the firmware asked and was offered a loader",
    Evidence.LOADER: "tftp or http: the loader was asked for",
    Evidence.KERNEL: "http: the kernel was asked for",
    Evidence.CLAIMED: "controller: the order or the answers were handed out, once",
    Evidence.PROGRESS: "a callback with the deployment's token",
    Evidence.INSTALLED: "the installer's last callback with the deployment's token",
    Evidence.WORK: "a callback with the deployment's token, of an order that installs nothing",
    Evidence.DONE: "the last callback of such an order, or a person who ends it",
    Evidence.REBOOTED: "dhcp: the machine was seen again",
    Evidence.HEALTH: "the installed system's report, with a token of its own",
    Evidence.CONFIRM: "controller: nothing more has to be checked",
    Evidence.FAIL: "a callback that says so",
    Evidence.CANCEL: "an authenticated person",
    Evidence.EXPIRE: "the time of the arming ran out before anything was claimed",
}


def document() -> str:
    """The part of docs/next-boot.md that is made."""
    common = _common()
    ways = ", ".join(f"`{evidence}` leads to `{state}`" for evidence, state in common.items())
    return (
        _HEAD
        + "".join(f"    {line}\n" for line in _arrows(common))
        + "```\n\n"
        + f"From every state that is no end, {ways}; left out above\nand below.\n\n"
        + "Only a machine whose deployment is "
        + ", ".join(f"`{state}`" for state in TABLE if state in BOOTABLE)
        + " is booted by us.\n`answers` is the point of no return: whatever boots later, boots the "
        "disk.\n\n### States\n\n"
        + "`stuck` is no state but a judgement: nothing was heard in a state for so many seconds\n"
        "(times `IRONWAKE_DEADLINE_SCALE`).\n\n"
        + "| state | takes | stuck after | then a person reads |\n|---|---|---|---|\n"
        + "".join(_row(state, common) for state in TABLE)
        + "\n### Evidence\n\n| evidence | what it is |\n|---|---|\n"
        + "".join(f"| `{evidence}` | {_SAID[evidence]} |\n" for evidence in Evidence)
    )


def _common() -> dict[Evidence, State]:
    """What leads from every state that is no end to the same one."""
    rows = [row.items() for row in TABLE.values() if row]
    return {
        evidence: state for evidence, state in rows[0] if all((evidence, state) in r for r in rows)
    }


def _arrows(common: dict[Evidence, State]) -> Iterator[str]:
    yield f"[*] --> {State.REQUESTED}"
    for state, row in TABLE.items():
        by_target: defaultdict[State, list[str]] = defaultdict(list)
        for evidence, target in row.items():
            if evidence not in common and target is not state:
                by_target[target].append(evidence)
        for target, names in by_target.items():
            yield f"{state} --> {target}: {', '.join(names)}"
    for state in TABLE:
        if state in ENDS:
            yield f"{state} --> [*]"


def _row(state: State, common: dict[Evidence, State]) -> str:
    takes = ", ".join(
        f"`{evidence}`" + ("" if target is state else f" → {target}")
        for evidence, target in TABLE[state].items()
        if evidence not in common
    )
    deadline = DEADLINES.get(state)
    seconds = f"{deadline.seconds:g} s" if deadline else ""
    text = f"{deadline.cause}; {deadline.next_step}" if deadline else ""
    return f"| `{state}` | {takes or 'nothing: it is an end'} | {seconds} | {text} |\n"


if __name__ == "__main__":
    renewal.main(document)
