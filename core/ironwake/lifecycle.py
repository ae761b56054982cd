"""The life of a deployment: one intent, consumed once, moved only by evidence.

Rules.
1. A deployment moves forward or it ends. Nothing moves it back, and nothing re-arms it: trying
   again is a new deployment.
2. Serving is not evidence. What moves a deployment is the machine's *next* request, a callback
   with the deployment's token, or the health report with the installed system's own token.
3. The destructive point is `claimed`: before it, a boot may be repeated as often as firmware likes;
   after it, every later boot goes to the local disk.
4. Requests before the claim may go unseen (a relay hides the address, a cache answers), so each of
   them may be skipped. What follows the claim is reported by the machine itself and may not be.
5. An end is an end: succeeded, failed, cancelled and expired take no evidence at all.
6. An order that installs nothing (a wipe, a rescue system, a capture) leaves nothing that could
   report its health: it is `working`, and ends with its machine's own last word. What is
   `installing` never does: it is `succeeded` only when the installed system has said so itself.

`stuck` is no state but a judgement about one: a deadline has passed. See `deadlines`.
"""

from __future__ import annotations

from enum import StrEnum

from ironwake.errors import RefusedError


class State(StrEnum):
    REQUESTED = "requested"
    ARMED = "armed"
    OFFERED = "offered"
    LOADER = "loader"
    KERNEL = "kernel"
    ANSWERS = "answers"
    WORKING = "working"
    INSTALLING = "installing"
    INSTALLED = "installed"
    FIRST_BOOT = "first_boot"
    HEALTHY = "healthy"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Evidence(StrEnum):
    """What may move a deployment, and who saw it."""

    ARM = "arm"  # an authenticated person
    OFFERED = "offered"  # dhcp: the firmware asked and was answered
    LOADER = "loader"  # tftp or http: the loader was asked for
    KERNEL = "kernel"  # http: the kernel was asked for
    CLAIMED = "claimed"  # controller: the answers or the order were handed out, once
    PROGRESS = "progress"  # callback with the deployment's token
    INSTALLED = "installed"  # callback with the deployment's token
    WORK = "work"  # the same, of an order that installs nothing
    DONE = "done"  # the same: it is carried out
    REBOOTED = "rebooted"  # dhcp: the machine was seen again
    HEALTH = "health"  # report with the installed system's own token
    CONFIRM = "confirm"  # controller: every health check of the profile has passed
    FAIL = "fail"  # callback with the deployment's token, or a person
    CANCEL = "cancel"  # an authenticated person
    EXPIRE = "expire"  # the arming ran out before anything was claimed


_S, _E = State, Evidence
_END = {_E.FAIL: _S.FAILED, _E.CANCEL: _S.CANCELLED}

# A row that leads to its own state says: this is expected here, and it changes nothing.
TABLE: dict[State, dict[Evidence, State]] = {
    _S.REQUESTED: {_E.ARM: _S.ARMED, **_END},
    _S.ARMED: {
        _E.OFFERED: _S.OFFERED,
        _E.LOADER: _S.LOADER,
        _E.KERNEL: _S.KERNEL,
        _E.CLAIMED: _S.ANSWERS,
        _E.EXPIRE: _S.EXPIRED,
        **_END,
    },
    _S.OFFERED: {
        _E.OFFERED: _S.OFFERED,
        _E.LOADER: _S.LOADER,
        _E.KERNEL: _S.KERNEL,
        _E.CLAIMED: _S.ANSWERS,
        _E.EXPIRE: _S.EXPIRED,
        **_END,
    },
    _S.LOADER: {
        _E.OFFERED: _S.LOADER,
        _E.LOADER: _S.LOADER,
        _E.KERNEL: _S.KERNEL,
        _E.CLAIMED: _S.ANSWERS,
        _E.EXPIRE: _S.EXPIRED,
        **_END,
    },
    _S.KERNEL: {
        _E.OFFERED: _S.KERNEL,
        _E.LOADER: _S.KERNEL,
        _E.KERNEL: _S.KERNEL,
        _E.CLAIMED: _S.ANSWERS,
        _E.EXPIRE: _S.EXPIRED,
        **_END,
    },
    # A restart on the way goes to the disk; how many are expected, the profile says.
    _S.ANSWERS: {_E.REBOOTED: _S.ANSWERS, _E.PROGRESS: _S.INSTALLING, _E.WORK: _S.WORKING, **_END},
    # Health: of a system that runs from memory.
    _S.WORKING: {
        _E.REBOOTED: _S.WORKING,
        _E.WORK: _S.WORKING,
        _E.HEALTH: _S.HEALTHY,
        _E.DONE: _S.SUCCEEDED,
        **_END,
    },
    _S.INSTALLING: {
        _E.REBOOTED: _S.INSTALLING,
        _E.PROGRESS: _S.INSTALLING,
        _E.INSTALLED: _S.INSTALLED,
        **_END,
    },
    _S.INSTALLED: {
        _E.INSTALLED: _S.INSTALLED,  # the machine's repeat of a report whose reply was lost
        _E.REBOOTED: _S.FIRST_BOOT,
        _E.HEALTH: _S.HEALTHY,
        **_END,
    },
    _S.FIRST_BOOT: {_E.REBOOTED: _S.FIRST_BOOT, _E.HEALTH: _S.HEALTHY, **_END},
    _S.HEALTHY: {_E.HEALTH: _S.HEALTHY, _E.CONFIRM: _S.SUCCEEDED, **_END},
    _S.SUCCEEDED: {},
    _S.FAILED: {},
    _S.CANCELLED: {},
    _S.EXPIRED: {},
}

ENDS = frozenset(state for state, row in TABLE.items() if not row)
# Armed and not yet claimed: the only states in which a machine is booted by us.
BOOTABLE = frozenset({_S.ARMED, _S.OFFERED, _S.LOADER, _S.KERNEL})


def advance(state: State, evidence: Evidence) -> State:
    """The state after `evidence`; RefusedError, with what is possible, where the table has none."""
    row = TABLE[state]
    if evidence not in row:
        can = ", ".join(row) or "nothing more: it has ended"
        raise RefusedError(
            f"a deployment that is {state} cannot take {evidence!s}", f"it can take: {can}"
        )
    return row[evidence]


def accepts(state: State, evidence: Evidence) -> bool:
    """Whether `evidence` means anything in `state`."""
    return evidence in TABLE[state]
