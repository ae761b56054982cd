"""The sockets: UDP and TCP on the machines' network, and one per forwarded question.

Each message has its fence: whatever happens in one ends that one only.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import secrets
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from ironwake_dns import forward
from ironwake_dns.answer import REFUSED, Answer, Code, Type, Zone, answer
from ironwake_dns.packet import LARGEST, Query, SilentError, parse, reply, truncated
from ironwake_runtime import udp
from ironwake_runtime.ports import Port, opening
from ironwake_runtime.shortage import Listener

Address = tuple[str, int]

_AT_ONCE = 64  # datagrams taken before the loop has its turn
_CACHED = 4096  # replies
_LOOPBACK = 1  # the interface that our own questions to our own address come by
_BACKLOG = 64
_UNREAD = 1 << 16  # octets
_SETTING = "IRONWAKE_DNS_PORT"


@dataclass(frozen=True, slots=True)
class Limits:
    """Counts, octets and seconds."""

    connections: int = 64
    per_source: int = 8
    questions: int = 32  # on one TCP connection
    patience: float = 5.0  # for a client that sends slowly, or nothing
    forwards: int = 256  # questions on their way to the resolver
    resolver: float = 2.0  # seconds for its reply, twice


@dataclass(frozen=True)
class Surroundings:
    """What the server is told about the world; all of it can be a fake."""

    zone: Callable[[], Zone | None]
    log: structlog.stdlib.BoundLogger
    resolver: Address | None = None


def listen(address: str, port: int) -> tuple[socket.socket, socket.socket]:
    """A UDP and a TCP socket on one address and port (the same for both where `port` is 0).

    On that address only: a resolver of the host's own often has port 53 on another.
    IronwakeError where it cannot be had.
    """
    tcp = Listener(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        with opening(Port("dns", "tcp", port, _SETTING, address)):
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Each connection's room, in the kernel, for answers that nobody reads: it would grow.
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _UNREAD)
            tcp.bind((address, port))
            tcp.listen(_BACKLOG)  # two may bind with SO_REUSEADDR, only one may listen
        number = tcp.getsockname()[1]
        return udp.listen(Port("dns", "udp", number, _SETTING, address)), tcp
    except BaseException:
        tcp.close()
        raise


class Server:
    """Answers what comes to the two sockets by the interface with number `ifindex`."""

    def __init__(
        self,
        sockets: tuple[socket.socket, socket.socket],
        ifindex: int,
        around: Surroundings,
        limits: Limits | None = None,
    ) -> None:
        self.counters: Counter[str] = Counter()
        self._udp, self._tcp = sockets
        self._ifindex = ifindex
        self._around = around
        self._limits = limits or Limits()
        self._usual = [(-1, -1, b"")]
        self._cache: dict[bytes, bytes] = {}
        self._cached_of: Zone | None = None
        self._forwards: set[asyncio.Task[None]] = set()
        self._connections: Counter[str] = Counter()  # by source
        self._served: dict[asyncio.StreamWriter, str] = {}  # and their sources
        # Of these, who lets us wait for a question, or takes no answer: the longest first.
        self._waiting: dict[asyncio.StreamWriter, None] = {}

    @property
    def connections(self) -> int:
        """TCP connections that are served now."""
        return len(self._served)

    @property
    def port(self) -> int:
        """The UDP and TCP port that questions go to."""
        return int(self._udp.getsockname()[1])

    async def run(self) -> None:
        """Serve until cancelled."""
        loop = asyncio.get_running_loop()
        streams = await asyncio.start_server(self._connection, sock=self._tcp, backlog=_BACKLOG)
        loop.add_reader(self._udp, self._datagrams_waiting)
        try:
            await loop.create_future()
        finally:
            loop.remove_reader(self._udp)
            self._udp.close()
            streams.close()
            for task in list(self._forwards):
                task.cancel()
            self._around.log.info("stopped", counted=dict(self.counters))

    # -- UDP --------------------------------------------------------------------------------------

    def _datagrams_waiting(self) -> None:
        receive = self._udp.recvmsg
        for _ in range(_AT_ONCE):
            try:
                data, notes, _, client = receive(LARGEST, udp.ROOM)
            except BlockingIOError:
                return
            except OSError as error:  # an ICMP error to an earlier reply
                self._around.log.debug("question not received", error=str(error))
                continue
            port = client[1]
            if port == 53 or port == 0 or not (notes[:1] == self._usual or self._is_ours(notes)):
                # Port 53 is where servers are: an answer there may start a loop.
                self.counters["wrong interface or port"] += 1
                continue
            try:
                self._datagram(data, client)
            except Exception as error:  # noqa: BLE001 (the fence round one message)
                self._fault(client, error)

    def _is_ours(self, notes: list[tuple[int, int, bytes]]) -> bool:
        came = udp.arrival(notes)
        ours = came is not None and came.index in (self._ifindex, _LOOPBACK)
        if ours:
            self._usual = notes[:1]  # the next one most likely comes the same way
        return ours

    def _datagram(self, data: bytes, client: Address) -> None:
        zone = self._around.zone()
        if zone is not self._cached_of:
            self._cache, self._cached_of = {}, zone
        known = self._cache.get(data[2:])
        if known is not None:
            self.counters["cached"] += 1
            self._send(data[:2] + known, client)
            return
        query = self._parse(data)
        if query is None:
            return
        ours = self._answer(query, zone)
        resolver = self._resolver_for(query, ours, client)
        if resolver is not None:
            self._start_forward(query, resolver, client)
            return
        message = self._reply(query, ours, zone)
        if len(message) > query.room:
            message = truncated(message, query)
        self._send(message, client)
        if ours is REFUSED and self._around.resolver is not None:
            return  # for this client; another one's question would be passed on
        if len(self._cache) >= _CACHED:
            self._cache.clear()
        self._cache[data[2:]] = message[2:]

    def _send(self, message: bytes, client: Address) -> None:
        with contextlib.suppress(OSError):  # no room, no route: the client asks again
            self._udp.sendto(message, client)

    # -- what is said -----------------------------------------------------------------------------

    def _parse(self, data: bytes) -> Query | None:
        try:
            query = parse(data)
        except SilentError:
            self.counters["silent"] += 1
            return None
        self.counters["questions"] += 1
        return query

    def _answer(self, query: Query, zone: Zone | None) -> Answer:
        if query.question is None or query.code is not Code.NOERROR:
            return Answer(query.code, authoritative=False)
        if zone is None:  # the controller has not answered yet
            return Answer(Code.SERVFAIL, authoritative=False)
        return answer(query.question, zone)

    def _reply(self, query: Query, ours: Answer, zone: Zone | None) -> bytes:
        return reply(query, ours, zone, recursion=self._around.resolver is not None)

    def _fault(self, client: Address, error: Exception) -> None:
        self.counters["failed"] += 1
        self._around.log.error("question failed", client=client[0], error=str(error))

    # -- forwarding -------------------------------------------------------------------------------

    def _resolver_for(self, query: Query, ours: Answer, client: Address) -> Address | None:
        """The resolver, when it is to be asked: for others' names, for clients of our network."""
        zone, question = self._around.zone(), query.question
        if ours is not REFUSED or zone is None or question is None or not question.internet:
            return None
        if question.type in (Type.AXFR, Type.IXFR) or not query.raw[2] & 1:  # recursion desired
            return None
        near = zone.has(ipaddress.IPv4Address(client[0]))
        return self._around.resolver if near else None

    def _start_forward(self, query: Query, resolver: Address, client: Address) -> None:
        if len(self._forwards) >= self._limits.forwards:
            self.counters["not forwarded"] += 1
            return
        task = asyncio.create_task(self._forward_datagram(query, resolver, client))
        self._forwards.add(task)
        task.add_done_callback(self._forwards.discard)

    async def _forward_datagram(self, query: Query, resolver: Address, client: Address) -> None:
        try:
            message = await self._ask_resolver(query, resolver)
            if len(message) > query.room:
                message = truncated(message, query)
            self._send(message, client)
        except Exception as error:  # noqa: BLE001 (the fence round one question)
            self._fault(client, error)

    async def _ask_resolver(self, query: Query, resolver: Address) -> bytes:
        """The resolver's reply in the client's terms; SERVFAIL when it does not come."""
        self.counters["forwarded"] += 1
        for _ in range(2):
            try:
                async with asyncio.timeout(self._limits.resolver):
                    return await self._ask_once(query, resolver)
            except (TimeoutError, OSError):
                continue
        self.counters["resolver silent"] += 1
        return self._reply(query, Answer(Code.SERVFAIL, authoritative=False), None)

    async def _ask_once(self, query: Query, resolver: Address) -> bytes:
        loop = asyncio.get_running_loop()
        sent = forward.outbound(query, secrets.randbits)
        # A new socket each time: the kernel gives it a random port, and lets in one peer only.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
            sock.connect(resolver)
            sock.send(sent.message)
            while True:
                message = forward.inbound(sent, await loop.sock_recv(sock, 4096))
                if message is not None:
                    return message
                self.counters["forged"] += 1

    # -- TCP --------------------------------------------------------------------------------------

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client: Address = writer.get_extra_info("peername")
        if self._connections[client[0]] >= self._limits.per_source or not self._has_room():
            self.counters["connections refused"] += 1
            writer.close()
            return
        self._connections[client[0]] += 1
        self._served[writer] = client[0]
        try:
            for _ in range(self._limits.questions):
                self._wait_for(writer)
                async with asyncio.timeout(self._limits.patience):
                    if not await self._question(reader, writer, client):
                        break
                if writer.is_closing():
                    break
        except (TimeoutError, asyncio.IncompleteReadError, OSError):
            self.counters["connections dropped"] += 1
        except Exception as error:  # noqa: BLE001 (the fence round one connection)
            self._fault(client, error)
        finally:
            await self._leave(writer)
            self._free(writer)

    def _wait_for(self, writer: asyncio.StreamWriter) -> None:
        """It is the client's turn."""
        if writer in self._served:
            self._waiting.pop(writer, None)
            self._waiting[writer] = None  # behind all others

    def _free(self, writer: asyncio.StreamWriter) -> None:
        """Its place is another one's."""
        self._waiting.pop(writer, None)
        source = self._served.pop(writer, None)
        if source is not None:
            self._connections[source] -= 1
            self._connections += Counter()  # forget sources that have none

    async def _leave(self, writer: asyncio.StreamWriter) -> None:
        """Close, when the client has taken what was said; one that takes nothing is cut off, or it
        would have the descriptor for as long as it likes."""
        writer.close()
        try:
            async with asyncio.timeout(self._limits.patience):
                await writer.wait_closed()
        except (TimeoutError, OSError):
            self.counters["answers not taken"] += 1
        finally:
            writer.transport.abort()

    def _has_room(self) -> bool:
        """Whether one more may come, in place of who has let us wait for a question the longest.

        Slow clients, from however many addresses, only drive out each other: who has a question
        sends it at once, and whose question is being answered keeps its place.
        """
        if len(self._served) < self._limits.connections:
            return True
        if not self._waiting:
            return False
        slowest = next(iter(self._waiting))
        self._free(slowest)
        self.counters["connections made room"] += 1
        slowest.transport.abort()
        return True

    async def _question(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, client: Address
    ) -> bool:
        """One question over TCP; False when the connection is at its end, or not worth keeping."""
        head = await reader.read(2)
        if not head:
            return False
        if len(head) < 2:
            head += await reader.readexactly(1)
        size = int.from_bytes(head, "big")
        if size > LARGEST:
            return False
        query = self._parse(await reader.readexactly(size))
        if query is None:
            return False
        self._waiting.pop(writer, None)  # now it waits for us
        zone = self._around.zone()
        ours = self._answer(query, zone)
        resolver = self._resolver_for(query, ours, client)
        if resolver is not None:
            # Over UDP to the resolver: what it cuts short reaches the client cut short.
            message = await self._ask_resolver(query, resolver)
        else:
            message = self._reply(query, ours, zone)
        writer.write(len(message).to_bytes(2, "big") + message)
        self._wait_for(writer)
        await writer.drain()
        return True
