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
from dataclasses import dataclass

from ironwake_tftp.packet import (
    Ack,
    Error,
    ErrorCode,
    MalformedPacketError,
    ReadRequest,
    data_packet,
    error_packet,
    oack_packet,
    parse,
)

Address = tuple[str, int]
Datagram = tuple[bytes, Address]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a transfer may use. Times are seconds, sizes octets."""

    max_blksize: int = 1468  # 1500 - IP 20 - UDP 8 - TFTP 4: firmware reassembles nothing
    max_windowsize: int = 64
    rto_first: float = 0.5  # before the first round trip was measured
    rto_floor: float = 0.03
    rto_ceiling: float = 3.0
    half_open: float = 10.0  # unacknowledged offers are dropped after this
    give_up: float = 30.0  # GRUB opens an initrd long before it reads it
    max_strays: int = 8  # ERROR 5 answers per transfer, so that it is no reflector either


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

    def __init__(
        self,
        request: ReadRequest,
        source: bytes | memoryview,
        client: Address,
        now: float,
        limits: Limits | None = None,
    ) -> None:
        limits = limits or Limits()
        self.request = request
        self.client = client
        self.started = now
        self.state = State.OFFERED
        self.outcome: Outcome | None = None
        self.reason = ""
        self.malformed = 0
        self.retransmitted = 0  # flights
        self._limits = limits
        self._source = memoryview(source)
        self._out: list[Datagram] = []
        self._strays = 0
        self._answered = False

        options = self._negotiate()
        self.blksize = options.get("blksize", 512)
        self.windowsize = options.get("windowsize", 1)
        # A block shorter than blksize ends the file, so a full last one is followed by an empty.
        self.blocks = len(self._source) // self.blksize + 1
        self._offer = oack_packet(options) if options else self._block(1)
        # Blocks up to _base are acknowledged, those up to _sent are on the wire.
        self._base, self._sent = 0, 0 if options else 1

        self._rto = limits.rto_first
        self._backoff = 0  # how often the wait was doubled
        self._rto_max = float(options.get("timeout", limits.rto_ceiling))
        self._srtt: float | None = None
        self._rttvar = 0.0
        self._rtt_min = 0.0
        self._progress_at = now  # when the client last moved the transfer
        self._flight_at = now
        self._flight_clean = True  # sent once: a round trip may be read off it (Karn)
        self._nak_used = False
        self._resend_at: float | None = now + self._rto
        self._out.append((self._offer, client))

    # -- what the server asks ---------------------------------------------------------------

    @property
    def closed(self) -> bool:
        return self.state is State.CLOSED

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
        end = self._deadline()
        return end if self._resend_at is None else min(end, self._resend_at)

    def datagrams_to_send(self, now: float) -> list[Datagram]:  # noqa: ARG002 (the usual shape)
        """Take what is to be sent now, in order; it is handed out once."""
        out, self._out = self._out, []
        return out

    # -- what happens -----------------------------------------------------------------------

    def receive_datagram(self, data: bytes, addr: Address, now: float) -> None:
        """A datagram came to the transfer's own port."""
        if self.closed:
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

    def repeat_offer(self) -> None:
        """The same request came again: its answer was lost, or is late. Send it once more."""
        if self.half_open:
            self._flight_clean = False
            self._out.append((self._offer, self.client))

    def handle_timer(self, now: float) -> None:
        """The time of `get_timer` has come (calling early is harmless)."""
        if self.closed:
            return
        if now >= self._deadline():
            self.close(Outcome.TIMED_OUT, f"no acknowledgement for {self.idle(now):.0f} s")
        elif self._resend_at is not None and now >= self._resend_at:
            self._backoff = min(self._backoff + 1, 16)
            if self.half_open:
                self.repeat_offer()
                self._resend_at = None  # the second and last packet
            else:
                self._send_flight(now, again=True)

    def close(self, outcome: Outcome, reason: str = "") -> None:
        """End the transfer; nothing more is sent."""
        if not self.closed:
            self.state, self.outcome, self.reason = State.CLOSED, outcome, reason
            self._out.clear()

    # -- inside -----------------------------------------------------------------------------

    def _negotiate(self) -> dict[str, int]:
        """Options that we take, with our values, in the order that dnsmasq sends them."""
        request, options = self.request, {}
        if request.blksize is not None:
            options["blksize"] = max(8, min(request.blksize, self._limits.max_blksize))
        if request.tsize:
            options["tsize"] = len(self._source)
        if request.windowsize is not None:
            options["windowsize"] = min(request.windowsize, self._limits.max_windowsize)
        if request.timeout is not None:
            # RFC 2349 allows only the client's own value back. It bounds our back-off; sending
            # again sooner is always allowed.
            options["timeout"] = request.timeout
        return options

    def _deadline(self) -> float:
        patience = self._limits.half_open if self.half_open else self._limits.give_up
        return self._progress_at + patience

    def _block(self, number: int) -> bytes:
        start = (number - 1) * self.blksize
        return data_packet(number, self._source[start : start + self.blksize])

    def _stray(self, packet: object, addr: Address) -> None:
        # Never an ERROR in answer to an ERROR: two servers could talk for ever.
        if isinstance(packet, Error) or self._strays >= self._limits.max_strays:
            return
        self._strays += 1
        self._out.append((error_packet(ErrorCode.UNKNOWN_TID, "unknown transfer id"), addr))

    def _client_error(self, packet: Error) -> None:
        text = f"client sent error {packet.code}: {packet.message}"
        self.close(Outcome.PROBED if self.half_open else Outcome.ABORTED, text)

    def _acknowledge(self, wire_block: int, now: float) -> None:
        # Windows are far smaller than 65536, so the 16-bit distance names one block only.
        ahead = (wire_block - self._base) & 0xFFFF
        if ahead > self._sent - self._base:
            return  # an old ACK that was overtaken, or one for a block never sent
        if ahead == 0 and not self.half_open:
            self._repeated_ack(now)
            return
        if ahead == 0 and self._sent:
            return  # ACK 0 although we offered DATA 1: no option was taken, so it means nothing
        if self._flight_clean and self._base + ahead == self._sent:
            self._measure(now - self._flight_at)
            self._backoff = 0
        else:
            # Karn keeps the whole back-off until a clean sample; at 20 % loss that means minutes.
            # On a LAN a loss is noise more than congestion, so some of it is forgiven.
            self._backoff //= 2
        self.state, self._answered = State.SENDING, True
        self._progress_at = now
        self._base += ahead
        if self._base >= self.blocks:
            self.close(Outcome.COMPLETED)
        else:
            self._send_flight(now, again=False)

    def _repeated_ack(self, now: float) -> None:
        lost_first = self.windowsize > 1 and now - self._flight_at >= self._rtt_min > 0
        if lost_first and not self._nak_used:
            self._send_flight(now, again=True)
            self._nak_used = True

    def _send_flight(self, now: float, *, again: bool) -> None:
        end = min(self._base + self.windowsize, self.blocks)
        self._out.extend((self._block(n), self.client) for n in range(self._base + 1, end + 1))
        # After a partial ACK some of these blocks go out for the second time: no clean sample.
        self._flight_clean = not again and self._sent == self._base
        self._sent = end
        self._flight_at = now
        self._nak_used = self._nak_used and again
        self._resend_at = now + min(self._rto * 2**self._backoff, self._rto_max)
        self.retransmitted += again

    def _measure(self, rtt: float) -> None:
        """RFC 6298 with a floor that suits a LAN: one lost block must not cost a second."""
        if self._srtt is None:
            self._srtt, self._rttvar, self._rtt_min = rtt, rtt / 2, rtt
        else:
            self._rttvar = 0.75 * self._rttvar + 0.25 * abs(self._srtt - rtt)
            self._srtt = 0.875 * self._srtt + 0.125 * rtt
            self._rtt_min = min(self._rtt_min, rtt)
        wanted = self._srtt + 4 * self._rttvar
        self._rto = min(max(wanted, self._limits.rto_floor), self._rto_max)
