"""What comes back from machines and from our own services: callbacks, claims, observations."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from ironwake.disk import Disk
from ironwake.lifecycle import Evidence


class Stage(StrEnum):
    """What a callback may say."""

    FACTS = "facts"  # the machine's hardware, before the claim; moves nothing
    INSTALLING = "installing"  # a step, with percent
    INSTALLED = "installed"
    WORKING = "working"  # a step of an order that installs nothing, with percent
    DONE = "done"  # such an order is carried out
    FAILED = "failed"
    LOG = "log"  # lines of a log, for a person; moves nothing


QUESTION = "question"  # the step of a log's line that says what its installer asks, and waits
STAGE_EVIDENCE: dict[Stage, Evidence] = {
    Stage.INSTALLING: Evidence.PROGRESS,
    Stage.INSTALLED: Evidence.INSTALLED,
    Stage.WORKING: Evidence.WORK,
    Stage.DONE: Evidence.DONE,
    Stage.FAILED: Evidence.FAIL,
}


@dataclass(frozen=True)
class Callback:
    """A machine's report under its deployment's token.

    `id` is the sender's own, the same when it repeats a report whose reply was lost: each id counts
    once. `percent` is of the whole installation, 0 to 100, or None. `facts` and `disks` are for
    Stage.FACTS.
    """

    stage: Stage
    id: str = ""
    step: str = ""
    percent: float | None = None
    message: str = ""
    facts: dict[str, str] = field(default_factory=dict)
    disks: tuple[Disk, ...] = ()


@dataclass(frozen=True)
class HealthReport:
    """The installed system's first words, under its own token."""

    hostname: str = ""
    system: str = ""
    kernel: str = ""
    facts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ClaimRequest:
    """Somebody asks for the answers: under which token, from which address, in which boot.

    `boot` is the kernel's boot id where the client can tell it (the agent does), else "". `mac` is
    the card that has this address, "" where it is not seen, for a router is between.
    """

    token: str
    client: str
    boot: str = ""
    mac: str = ""


@dataclass(frozen=True)
class Grant:
    """The payload to send, once: `media_type` and the text itself.

    Where it is of several `files`, by name, `text` is for a person who wants to see it. Those of
    `binary` are bytes, in base64.
    """

    media_type: str
    text: str
    files: dict[str, str] = field(default_factory=dict)
    binary: tuple[str, ...] = ()


class Seen(StrEnum):
    """What a data-plane service saw or did."""

    DHCP = "dhcp"  # a DHCP request of this machine that was not answered with a boot
    OFFERED = "offered"  # the firmware asked and was offered a loader
    ADDRESS = "address"  # the machine's address was learned
    LOADER = "loader"  # the loader was asked for
    SCRIPT = "script"  # the boot script was asked for
    KERNEL = "kernel"
    INITRD = "initrd"
    ARCHIVE = "archive"
    SENT = "sent"  # a transfer ended; `detail` has bytes and seconds
    FOREIGN = "foreign"  # another DHCP or boot server; `detail["server"]` is it, as JSON
    CONFLICT = "conflict"  # an address that we may give is in use; `detail` has address and reason
    REFUSED = "refused"  # something was asked for and not given; `detail` has the reason


SEEN_EVIDENCE: dict[Seen, Evidence] = {
    Seen.DHCP: Evidence.REBOOTED,
    Seen.OFFERED: Evidence.OFFERED,
    Seen.LOADER: Evidence.LOADER,
    Seen.KERNEL: Evidence.KERNEL,
}


@dataclass(frozen=True)
class Observation:
    """`id` is unique (a service's start and a count), so that a repeated report counts once.

    `mac` or `client` (an IPv4 address) may be "" where the service can't know it.
    """

    id: str
    service: str
    seen: Seen
    mac: str = ""
    client: str = ""
    detail: dict[str, str] = field(default_factory=dict)


class Report(Protocol):
    """Takes an observation, without waiting; see `Observation` for the fields."""

    def __call__(
        self, seen: Seen, mac: str = "", client: str = "", detail: dict[str, str] | None = None
    ) -> None: ...


@dataclass(frozen=True)
class Observations:
    items: tuple[Observation, ...]
