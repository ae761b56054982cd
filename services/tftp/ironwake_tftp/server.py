"""The socket that requests come to, and the sessions that they begin.

Each callback is a fence: an exception ends the request or the transfer that it belongs to, never
the service.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import structlog

from ironwake.mac import Mac
from ironwake.report import Report, Seen
from ironwake.view import Index
from ironwake_runtime import udp
from ironwake_runtime.ports import Port
from ironwake_runtime.shortage import Shortage, is_one
from ironwake_tftp.admission import Admission, Caps, Verdict
from ironwake_tftp.files import File, NoFile, Registry
from ironwake_tftp.layout import Pages, Source
from ironwake_tftp.options import Limits
from ironwake_tftp.packet import (
    Error,
    ErrorCode,
    MalformedPacketError,
    ReadRequest,
    WriteRequest,
    error_packet,
    parse,
)
from ironwake_tftp.session import Session
from ironwake_tftp.transfer import Address, Outcome, Transfer
from ironwake_tftp.turns import Turns

_AT_ONCE = 64  # datagrams taken from one socket before the others get their turn
_LARGEST = 2048  # octets; a request has 512 at most, an ACK 4
_ANSWERED = 0.05  # seconds in which a card on our network has told whose its address is
_MOST_LOOKS = 256  # requests that wait for that
_QUIET = 10.0  # seconds in which an equal observation is not repeated


@dataclass(frozen=True)
class Surroundings:
    """What the server is told about the world; all of it can be a fake."""

    index: Callable[[], Index | None]
    neighbour: Callable[[str], Mac | None]  # IPv4 address → the card that has it
    ask: Callable[[str], bool]  # have it found out; False for an address that is not of our network
    report: Report
    log: structlog.stdlib.BoundLogger


def listen(interface: str, port: int) -> socket.socket:
    """A UDP socket that hears this interface only; IronwakeError where the port cannot be had."""
    return udp.listen(Port("tftp", "udp", port, "IRONWAKE_TFTP_PORT", interface=interface))


class Server:
    """Answers requests that come to `sock` on the interface with number `ifindex`."""

    def __init__(
        self,
        sock: socket.socket,
        ifindex: int,
        registry: Registry,
        around: Surroundings,
        limits: Limits | None = None,
        caps: Caps | None = None,
    ) -> None:
        self.counters: Counter[str] = Counter()
        self._sock = sock
        self._ifindex = ifindex
        self._registry = registry
        self._around = around
        self._limits = limits or Limits()
        self._admission = Admission(caps)
        self._sessions: dict[Transfer, Session] = {}
        self._turns = Turns()
        self._shortage = Shortage(around.log, time.monotonic)
        self._pages = Pages()
        self._told: dict[tuple[str, ...], float] = {}
        self.looking = 0  # requests that wait until their card is known

    @property
    def port(self) -> int:
        """The UDP port that requests go to."""
        return int(self._sock.getsockname()[1])

    @property
    def transfers(self) -> int:
        """How many are running."""
        return len(self._sessions)

    async def run(self) -> None:
        """Serve until cancelled."""
        self._turns.start()
        self._turns.add(self._sock, self._requests_waiting)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            for session in list(self._sessions.values()):
                session.transfer.close(Outcome.REPLACED, "the service stops")
                session.end()
            self._turns.remove(self._sock)
            self._turns.stop()
            self._sock.close()
            self._around.log.info("stopped", counted=dict(self.counters))

    # -- the listening socket -------------------------------------------------------------------

    def _requests_waiting(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                data, notes, _, client = self._sock.recvmsg(_LARGEST, udp.ROOM)
            except BlockingIOError:
                return
            except OSError as error:
                self._around.log.warning("request not received", error=str(error))
                return
            came = udp.arrival(notes)
            if came is None or came.index != self._ifindex or client[1] in (0, 69):
                self.counters["wrong interface or port"] += 1
                continue
            with self._fence(client, came.address):
                self._request(data, client, came.address)

    @contextlib.contextmanager
    def _fence(self, client: Address, came_to: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 (one request, never the service)
            self._fault(client, error)
            if is_one(error):  # the client asks again by itself
                return
            try:
                self._tell_off(client, ErrorCode.UNDEFINED, "the server failed", came_to)
            except Exception as again:  # noqa: BLE001 (what has failed may fail again)
                self._fault(client, again)

    def _request(self, data: bytes, client: Address, came_to: str) -> None:
        try:
            packet = parse(data)
        except MalformedPacketError as error:
            self.counters["malformed"] += 1
            if error.answerable:
                self._tell_off(client, ErrorCode.ILLEGAL_OPERATION, error.reason, came_to)
            return
        if isinstance(packet, ReadRequest):
            self._read_request(packet, client, came_to)
        elif isinstance(packet, WriteRequest):
            self.counters["write refused"] += 1
            self._tell_off(client, ErrorCode.ACCESS_VIOLATION, "this server is read-only", came_to)
        elif not isinstance(packet, Error):
            self.counters["not a request"] += 1

    def _read_request(self, request: ReadRequest, client: Address, came_to: str) -> None:
        mac, index = self._around.neighbour(client[0]), self._around.index()
        unknown = mac is None and index is not None and index.by_address(client[0]) is None
        if unknown and self.looking >= _MOST_LOOKS:
            self.counters["card not asked for"] += 1  # the client asks again by itself
        elif unknown and self._around.ask(client[0]):
            self._look_again(request, client, came_to)
        else:
            self._admit(request, client, came_to, mac)

    def _look_again(self, request: ReadRequest, client: Address, came_to: str) -> None:
        """Nobody knows whose the address is, and now it is asked for: an ERROR would end the boot
        of a machine that the kernel has forgotten. Where no card answers, nothing is sent."""
        self.counters["card asked for"] += 1
        self.looking += 1

        def look() -> None:
            self.looking -= 1
            mac = self._around.neighbour(client[0])
            if mac is not None and self._sock.fileno() >= 0:
                with self._fence(client, came_to):
                    self._admit(request, client, came_to, mac)

        asyncio.get_running_loop().call_later(_ANSWERED, look)

    def _admit(self, request: ReadRequest, client: Address, came_to: str, mac: Mac | None) -> None:
        if not self._is_enrolled(client, mac):
            self._stranger(client, mac)
            return
        ruling = self._admission.ask(request, client, self._now())
        self.counters[ruling.verdict.value] += 1
        if ruling.dropped is not None:
            self._sessions[ruling.dropped].end()
        if ruling.verdict is Verdict.REPEAT and ruling.transfer is not None:
            self._sessions[ruling.transfer].pump()
        elif ruling.verdict is Verdict.BEGIN:
            index = self._around.index()
            found = self._registry.open(request.name, request.mode, client[0], mac, index)
            if isinstance(found, NoFile):
                self._missing(found, request.name, client)
                self._refuse(client, ErrorCode.FILE_NOT_FOUND, "file not found", came_to)
            else:
                self._begin(request, found, client, came_to)

    def _is_enrolled(self, client: Address, mac: Mac | None) -> bool:
        """Whether the client is a machine of ours. Nobody else is sent anything at all: a source
        address is easily forged, and its owner would have what we send."""
        index = self._around.index()
        if index is None:
            return False
        return (index.by_mac(mac) if mac else index.by_address(client[0])) is not None

    def _begin(self, request: ReadRequest, found: File, client: Address, came_to: str) -> None:
        source = Source(found.content, self._pages, found.digest)
        transfer = Transfer(request, source, client, self._now(), self._limits)
        session = Session(transfer, found, came_to, self._turns, self._end)
        self._admission.add(transfer)
        self._sessions[transfer] = session
        kind = Seen.SCRIPT if found.script else Seen.LOADER
        self._observe(kind, found.mac, client, {"file": found.name})
        session.pump()

    def _missing(self, missing: NoFile, name: str, client: Address) -> None:
        self.counters["not found"] += 1
        tell = self._around.log.debug if missing.expected else self._around.log.info
        tell("file refused", file=name, client=client[0], reason=missing.reason)
        if not missing.expected and missing.mac is not None:
            detail = {"file": name, "reason": missing.reason}
            self._observe(Seen.REFUSED, missing.mac, client, detail)

    def _tell_off(self, client: Address, code: ErrorCode, text: str, came_to: str) -> None:
        """`_refuse` what is no read request, to machines of ours only."""
        mac = self._around.neighbour(client[0])
        if self._is_enrolled(client, mac):
            self._refuse(client, code, text, came_to)
        else:
            self._stranger(client, mac)

    def _stranger(self, client: Address, mac: Mac | None) -> None:
        """Now and then a line for the log: strangers can be as many as somebody likes."""
        self.counters["stranger"] += 1
        if self._is_news("stranger"):
            known = self._around.index() is not None
            self._around.log.info(
                "not answered: no such machine is enrolled"
                if known
                else "not answered: nothing is known yet, the controller has not answered",
                client=client[0],
                mac=mac,
                so_far=self.counters["stranger"],
            )

    def _refuse(self, client: Address, code: ErrorCode, text: str, came_to: str) -> None:
        """One ERROR from the address that was asked; a new port, as a new TID would have."""
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock,
        ):
            sock.bind((came_to, 0))
            sock.sendto(error_packet(code, text), client)

    def _end(self, session: Session, error: Exception | None) -> None:
        """The session is over, and its sockets are closed."""
        transfer = session.transfer
        if error is not None:
            self._fault(transfer.client, error)
            transfer.close(Outcome.ABORTED, str(error))
        del self._sessions[transfer]
        self._admission.remove(transfer)
        self._tell_end(session)

    # -- what others hear of it ------------------------------------------------------------------

    def _tell_end(self, session: Session) -> None:
        transfer = session.transfer
        outcome = transfer.outcome or Outcome.ABORTED
        self.counters[outcome.value] += 1
        self.counters["malformed"] += transfer.malformed
        if transfer.half_open:  # a size probe, or nobody there: not worth a line
            return
        detail = {
            "file": session.file.name,
            "bytes": str(transfer.acknowledged),
            "seconds": f"{self._now() - transfer.started:.2f}",
            "outcome": outcome.value,
            "complete": "yes" if outcome is Outcome.COMPLETED else "no",
        }
        self._around.log.info("transfer ended", client=transfer.client[0], **detail)
        self._observe(Seen.SENT, session.file.mac, transfer.client, detail)

    def _observe(self, seen: Seen, mac: Mac, client: Address, detail: dict[str, str]) -> None:
        """Report once: edk2 asks for each file twice, a stranger for ever, and what happens again
        the same way within seconds is no news. Each line costs the controller a transaction."""
        if self._is_news(seen, mac, client[0], detail["file"], detail.get("outcome", "")):
            self._around.report(seen, mac, client[0], detail)

    def _is_news(self, *key: str) -> bool:
        now = self._now()
        if now - self._told.get(key, -_QUIET) < _QUIET:
            return False
        if len(self._told) >= 4096:
            self._told.clear()
        self._told[key] = now
        return True

    def _fault(self, client: Address, error: Exception) -> None:
        self.counters["failed"] += 1
        if is_one(error):
            self._shortage.tell(error)
            return
        self._around.log.error("transfer failed", client=client[0], error=str(error))

    def _now(self) -> float:
        return time.monotonic()
