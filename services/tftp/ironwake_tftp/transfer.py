"""One file on its way to one client: datagrams and the clock in, datagrams out.

No socket, no loop, no clock in here, in the shape of aioquic: the caller hands over datagrams and
the time, asks for datagrams to send, and calls back when the timer says so. So loss, reordering
and give-up are tested in microseconds.

The life of a transfer::

    OFFERED ──first ACK──► SENDING ──ACK of the last block──► CLOSED (completed)
       │                      │
       └─ERROR: PROBED        ├─ERROR: ABORTED
       └─half-open too long   └─no progress: TIMED_OUT

- OFFERED: the answer to the RRQ is out (an OACK, or DATA 1 when no option was taken) and nothing
  has come back, so the source address may be forged. Until the first ACK, one request draws at
  most two packets: TFTP's well-known use as a reflector needs the third.
- An ERROR in answer to an OACK is *normal*: edk2 asks for `tsize` only, gets its OACK, says
  "ERROR 8, User aborted the transfer", and asks again for the bytes.
- SENDING: a *flight* is the window of blocks after the last acknowledged one (RFC 7440; a window
  of 1 is RFC 1350). A flight is sent again as a whole, never a single block.

What is not answered, and why:

- A second ACK of the same block does not send the flight again (the Sorcerer's Apprentice
  bug, RFC 1123 section 4.2.3.1), except once per flight, for windows over 1, when it comes at
  least one round trip after the flight left: only then can it mean "your first block was lost".
- A datagram from another port than the client's gets ERROR 5 and changes nothing
  (RFC 1350 section 4).
"""

from __future__ import annotations

import enum

from ironwake_tftp.layout import Source, per_page
from ironwake_tftp.options import Limits, negotiate
from ironwake_tftp.packet import (
    Ack,
    Error,
    ErrorCode,
    MalformedPacketError,
    ReadRequest,
    ack_packet,
    error_packet,
    oack_packet,
    parse,
)
from ironwake_tftp.roundtrip import RoundTrip

Address = tuple[str, int]
Datagram = tuple[bytes, Address]
Run = memoryview  # DATA packets for the client of `Transfer.segment` octets each, the last one less

# A round trip is read off a flight no more often than this (seconds): on a fast network most of
# them tell nothing new, and the arithmetic would cost as much as the block.
_SAMPLES = 0.001
_NEVER = float("inf")


class State(enum.Enum):
    OFFERED = "offered"
    SENDING = "sending"
    CLOSED = "closed"


class Outcome(enum.Enum):
    COMPLETED = "completed"
    PROBED = "probed"  # the client wanted the size only
    ABORTED = "aborted"  # the client sent an ERROR in mid-transfer
    TIMED_OUT = "timed out"
    REPLACED = "replaced"  # the client started anew, or had to make room


class Transfer:
    """Send `source` (the bytes as the client shall see them) in answer to `request`."""

    # Past thirty attributes the interpreter finds them slowly, unless they have slots.
    __slots__ = (
        "_alone",
        "_answered",
        "_backoff",
        "_base",
        "_doubt",
        "_echo_base",
        "_echoes",
        "_first",
        "_first_at",
        "_flight_at",
        "_flight_clean",
        "_full",
        "_limits",
        "_nak_used",
        "_oack",
        "_offset",
        "_page",
        "_per_page",
        "_progress_at",
        "_resent",
        "_runs",
        "_sample_at",
        "_sent",
        "_source",
        "_strays",
        "_stride",
        "_trip",
        "_usual",
        "blksize",
        "blocks",
        "client",
        "closed",
        "malformed",
        "outcome",
        "reason",
        "request",
        "resend_at",
        "retransmitted",
        "segment",
        "started",
        "state",
        "windowsize",
    )

    def __init__(
        self,
        request: ReadRequest,
        source: Source,
        client: Address,
        now: float,
        limits: Limits | None = None,
    ) -> None:
        limits = limits or Limits()
        self.request = request
        self.client = client
        self.started = now
        self.state = State.OFFERED
        self.closed = False
        self.outcome: Outcome | None = None
        self.reason = ""
        self.malformed = 0
        self.retransmitted = 0  # flights
        self._limits = limits
        self._source = source
        self._runs: list[Run] = []
        self._alone: list[Datagram] = []
        self._strays = 0
        self._answered = False

        options = negotiate(request, len(source), limits)
        self.blksize = options.get("blksize", 512)
        self.windowsize = options.get("windowsize", 1)
        self.segment = self.blksize + 4  # octets of a DATA packet, but for the last one
        self.blocks = source.blocks(self.blksize)
        # The page that is being sent holds the blocks after _first up to _full, and in the file's
        # last page a shorter one.
        self._per_page = per_page(self.blksize)
        self._first, self._full = 0, 0
        self._page = memoryview(b"")
        self._offset = 0  # in the page, of the flight that is next on the usual way
        self._stride = self.windowsize * self.segment
        self._usual: bytes | None = None  # the ACK that draws it
        self._oack = oack_packet(options) if options else b""
        # Blocks up to _base are acknowledged, those up to _sent are on the wire.
        self._base, self._sent = 0, 0 if options else 1

        ceiling = float(options.get("timeout", limits.rto_ceiling))
        self._trip = RoundTrip(limits.rto_first, limits.rto_floor, ceiling)
        self._backoff = 0  # how often the wait was doubled
        self._progress_at = now  # when the client last moved the transfer
        self._flight_at = now
        self._flight_clean = True  # sent once: a round trip may be read off it (Karn)
        self._nak_used = False
        self._first_at = now  # when the flight was sent for the first time
        self._resent = 0  # blocks that went out again since
        self._echo_base, self._echoes = 0, 0  # repeats of this ACK that answer such blocks
        self._doubt: float | None = None  # its round trip, if they were sent again for nothing
        self._sample_at = now
        self.resend_at = now + self._trip.wait  # when the flight is sent again; inf: it is not
        self._send_offer()

    # -- what the server asks ---------------------------------------------------------------

    @property
    def half_open(self) -> bool:
        """Nothing was acknowledged: the source address proves nothing. It stays so when closed."""
        return not self._answered

    @property
    def size(self) -> int:
        """Octets of the file, as the client sees it."""
        return len(self._source)

    @property
    def acknowledged(self) -> int:
        """Octets that the client has confirmed."""
        return min(self._base * self.blksize, self.size)

    def idle(self, now: float) -> float:
        """Seconds since the client last moved the transfer."""
        return now - self._progress_at

    def get_timer(self) -> float | None:
        """When `handle_timer` wants to be called, on the caller's clock; None once closed."""
        if self.closed:
            return None
        return min(self._deadline(), self.resend_at)

    def to_send(self) -> tuple[list[Run], list[Datagram]]:
        """Take what is to be sent now: DATA packets, and datagrams of other kinds or for others."""
        runs, alone = self._runs, self._alone
        self._runs = []
        if alone:
            self._alone = []
        return runs, alone

    # -- what happens -----------------------------------------------------------------------

    def receive_datagram(self, data: bytes, addr: Address, now: float) -> None:
        """A datagram came to the transfer's own port."""
        if self.closed:
            return
        if addr == self.client and (run := self.next_flight(data, now)) is not None:
            self._runs.append(run)
            return
        try:
            packet = parse(data)
        except MalformedPacketError:
            self.malformed += 1
            return
        if addr != self.client:
            self._stray(packet, addr)
        elif isinstance(packet, Error):
            self._client_error(packet)
        elif isinstance(packet, Ack):
            self._acknowledge(packet.block, now)
        else:
            self.malformed += 1

    def next_flight(self, data: bytes, now: float) -> Run | None:
        """What is nearly always so: the client's datagram is the plain ACK of all of a flight that
        was sent once. Gives the next flight, to be sent at once. None for whatever else: then
        nothing was done, and `receive_datagram` must be told."""
        if data != self._usual:
            return None
        if now >= self._sample_at:
            self._trip.measure(now - self._flight_at)
            self._sample_at = now + _SAMPLES
        self._flight_at = self._progress_at = now
        self.resend_at = now + self._trip.wait
        self._base = self._sent
        end = self._sent = self._base + self.windowsize
        start = self._offset
        stop = self._offset = start + self._stride
        self._usual = ack_packet(end) if end + self.windowsize <= self._full else None
        return self._page[start:stop]

    def repeat_offer(self) -> None:
        """The same request came again: its answer was lost, or is late. Send it once more."""
        if self.half_open:
            self._flight_clean = False
            self._send_offer()

    def handle_timer(self, now: float) -> None:
        """The time of `get_timer` has come (calling early is harmless)."""
        if self.closed:
            return
        if now >= self._deadline():
            self.close(Outcome.TIMED_OUT, f"no acknowledgement for {self.idle(now):.0f} s")
        elif now >= self.resend_at:
            self._backoff = min(self._backoff + 1, 16)
            if self.half_open:
                self.repeat_offer()
                self.resend_at = _NEVER  # the second and last packet
            else:
                self._send_flight(now, again=True)

    def close(self, outcome: Outcome, reason: str = "") -> None:
        """End the transfer; nothing more is sent."""
        if not self.closed:
            self.state, self.outcome, self.reason = State.CLOSED, outcome, reason
            self.closed, self._usual = True, None
            self._runs.clear()
            self._alone.clear()

    # -- inside -----------------------------------------------------------------------------

    def _deadline(self) -> float:
        patience = self._limits.half_open if self.half_open else self._limits.give_up
        return self._progress_at + patience

    def _stray(self, packet: object, addr: Address) -> None:
        # Never an ERROR in answer to an ERROR: two servers could talk for ever.
        if isinstance(packet, Error) or self._strays >= self._limits.max_strays:
            return
        self._strays += 1
        self._alone.append((error_packet(ErrorCode.UNKNOWN_TID, "unknown transfer id"), addr))

    def _client_error(self, packet: Error) -> None:
        text = f"client sent error {packet.code}: {packet.message}"
        self.close(Outcome.PROBED if self.half_open else Outcome.ABORTED, text)

    def _acknowledge(self, wire_block: int, now: float) -> None:
        # Windows are far smaller than 65536, so the 16-bit distance names one block only.
        base = self._base
        ahead = (wire_block - base) & 0xFFFF
        if ahead > self._sent - base:
            return  # an old ACK that was overtaken, or one for a block never sent
        if ahead == 0 and self._answered:
            self._repeated_ack(now)
            return
        if ahead == 0 and self._sent:
            return  # ACK 0 although we offered DATA 1: no option was taken, so it means nothing
        if self._flight_clean and base + ahead == self._sent:
            if now >= self._sample_at:
                self._trip.measure(now - self._flight_at)
                self._sample_at = now + _SAMPLES
            self._backoff = 0
        else:
            # Karn keeps the whole back-off until a clean sample; at 20 % loss that means minutes.
            # On a LAN a loss is noise more than congestion, so some of it is forgiven.
            self._backoff //= 2
            self._echo_base, self._echoes = base + ahead, self._resent
            self._doubt = now - self._first_at
        if not self._answered:
            self.state, self._answered = State.SENDING, True
        self._progress_at = now
        self._base = base + ahead
        if self._base >= self.blocks:
            self.close(Outcome.COMPLETED)
        else:
            self._send_flight(now, again=False)

    def _repeated_ack(self, now: float) -> None:
        if self._echoes and self._echo_base == self._base:
            # edk2 and GRUB acknowledge each block that they have already: what was sent again had
            # arrived, or was only late. To send again for that would never end; but now the round
            # trip is known, which a flight sent twice does not tell otherwise (Karn).
            self._echoes -= 1
            if self._doubt is not None:
                self._trip.measure(self._doubt)
                self._doubt = None
                self.resend_at = max(self.resend_at, self._flight_at + self._trip.wait)
            return
        lost_first = self.windowsize > 1 and now - self._flight_at >= self._trip.least > 0
        if lost_first and not self._nak_used:
            self._send_flight(now, again=True)
            self._nak_used = True

    def _send_offer(self) -> None:
        if self._oack:
            self._alone.append((self._oack, self.client))
        else:
            self._send_blocks(0, 1)

    def _send_flight(self, now: float, *, again: bool) -> None:
        base, end = self._base, min(self._base + self.windowsize, self.blocks)
        self._send_blocks(base, end)
        if not again:
            self._first_at, self._resent = now, self._sent - base
        elif not self._resent:
            self._first_at = self._flight_at
        self._resent += end - base if again else 0
        # After a partial ACK some of these blocks go out for the second time: no clean sample.
        self._flight_clean = not again and self._sent == base
        self._sent = end
        self._flight_at = now
        if again:
            self.retransmitted += 1
        else:
            self._nak_used = False
        self.resend_at = now + min(self._trip.wait * 2**self._backoff, self._trip.ceiling)
        usual = self._flight_clean and not self._backoff and end + self.windowsize <= self._full
        self._usual = ack_packet(end) if usual else None
        self._offset = (end - self._first) * self.segment

    def _send_blocks(self, base: int, end: int) -> None:
        """The blocks after `base` up to `end`, from as many pages as they are in."""
        while base < end:
            number, skipped = divmod(base, self._per_page)
            if not self._page or self._first != base - skipped:
                self._page = self._source.page(self.blksize, number)
                self._first = base - skipped
                self._full = self._first + len(self._page) // self.segment
            stop = min(self._first + self._per_page, end)
            run = self._page[skipped * self.segment : (stop - self._first) * self.segment]
            self._runs.append(run)
            base = stop
