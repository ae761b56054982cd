"""Who may have a transfer: repeats, and what makes room when it gets crowded.

Pure, like `transfer`. UDP lets anyone ask in anyone's name, so a request that nobody acknowledges
must cost little, and never the place of a machine that is really loading: when the table is full
the oldest *half-open* transfer goes, and with none of those left the newcomer is not answered (its
firmware asks again by itself; an ERROR would make it give up).
"""

from __future__ import annotations

import enum
from collections import defaultdict
from dataclasses import dataclass

from ironwake_tftp.packet import ReadRequest
from ironwake_tftp.transfer import Address, Outcome, Transfer


@dataclass(frozen=True, slots=True)
class Caps:
    """Transfers at once. `settled`: seconds without an ACK after which a transfer may make room for
    its own source's next one; `late`: after which an equal request is a client anew.

    A busy server reads a repeated request seconds late, when its transfer runs already but has had
    no ACK for a while, either: to begin anew would leave the client at a port that is dead. Whoever
    was really reset repeats its request for longer than that (edk2 24 s, GRUB 32 s, iPXE 16 s).
    """

    total: int = 1024
    per_source: int = 4  # one machine loads one file at a time; a restart leaves a few behind
    settled: float = 1.0
    late: float = 6.0


class Verdict(enum.Enum):
    """What to do with a read request."""

    BEGIN = "begin"
    REPEAT = "repeat"  # `Transfer.repeat_offer` was called; send what it wants to send
    IGNORE = "ignore"  # a late duplicate of a request whose transfer is running
    REFUSE = "refuse"  # no room: silence


@dataclass(frozen=True, slots=True)
class Ruling:
    """A verdict on a request; `transfer` is the running one that is meant by REPEAT and IGNORE,
    `dropped` the one that was closed to make room."""

    verdict: Verdict
    transfer: Transfer | None = None
    dropped: Transfer | None = None


class Admission:
    """The table of running transfers, by client address and port."""

    def __init__(self, caps: Caps | None = None) -> None:
        self.caps = caps or Caps()
        self._running: dict[Address, Transfer] = {}  # oldest first
        self._by_source: defaultdict[str, int] = defaultdict(int)

    def __len__(self) -> int:
        return len(self._running)

    def ask(self, request: ReadRequest, client: Address, now: float) -> Ruling:
        """Judge a request; makes room by closing others (outcome REPLACED) where that is right."""
        known = self._running.get(client)
        if known is not None:
            return self._again(known, request, now)
        if self._by_source.get(client[0], 0) >= self.caps.per_source:
            source: str | None = client[0]
        elif len(self._running) >= self.caps.total:
            source = None
        else:
            return Ruling(Verdict.BEGIN)
        victim = self._oldest_half_open(source) or self._silent(source, now)
        if victim is None:
            return Ruling(Verdict.REFUSE)
        return self._drop(victim, "made room for a newer request")

    def _again(self, known: Transfer, request: ReadRequest, now: float) -> Ruling:
        if known.request == request:
            if known.half_open:
                known.repeat_offer()
                return Ruling(Verdict.REPEAT, known)
            if known.idle(now) < self.caps.late:
                return Ruling(Verdict.IGNORE, known)
        # Firmware counts its ports from the same number at every boot: this is a new boot.
        return self._drop(known, "the client asked anew from the same port")

    def _oldest_half_open(self, source: str | None) -> Transfer | None:
        mine = (t for t in self._running.values() if source is None or t.client[0] == source)
        return next((t for t in mine if t.half_open), None)

    def _silent(self, source: str | None, now: float) -> Transfer | None:
        """A source's own stalled transfer may go for its next one (a machine that was reset)."""
        if source is None:
            return None
        mine = (t for t in self._running.values() if t.client[0] == source)
        return next((t for t in mine if t.idle(now) >= self.caps.settled), None)

    def add(self, transfer: Transfer) -> None:
        """Enter a transfer after BEGIN."""
        self._running[transfer.client] = transfer
        self._by_source[transfer.client[0]] += 1

    def remove(self, transfer: Transfer) -> None:
        """Take a transfer out once it is closed; harmless when it is out already."""
        if self._running.get(transfer.client) is not transfer:
            return
        del self._running[transfer.client]
        self._by_source[transfer.client[0]] -= 1
        if not self._by_source[transfer.client[0]]:
            del self._by_source[transfer.client[0]]

    def _drop(self, transfer: Transfer, reason: str) -> Ruling:
        transfer.close(Outcome.REPLACED, reason)
        self.remove(transfer)
        return Ruling(Verdict.BEGIN, dropped=transfer)
