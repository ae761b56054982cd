"""A client, a lossy network and a clock, all simulated: one seed is one run."""

from __future__ import annotations

import heapq
import itertools
import random
from dataclasses import dataclass, field

from ironwake_tftp.layout import Source
from ironwake_tftp.options import Limits
from ironwake_tftp.packet import ReadRequest
from ironwake_tftp.transfer import Address, Transfer

CLIENT: Address = ("192.0.2.10", 1079)


@dataclass
class Client:
    """A receiver by RFC 1350, 2347 and 7440, that trusts nothing but block order.

    It acknowledges at the end of each window, at the first of each `windowsize` blocks that are out
    of order, and after `patience` seconds of silence; `received` is the file once `done`.
    """

    blksize: int = 512
    windowsize: int = 1
    patience: float = 0.4
    received: bytearray = field(default_factory=bytearray)
    block: int = 0  # absolute number of the last block in order
    since_ack: int = 0
    unexpected: int = 0
    started: bool = False
    done: bool = False
    oack: bytes = b""

    def hear(self, data: bytes) -> bytes | None:
        """Take one datagram; answer the ACK to send, if any."""
        opcode = int.from_bytes(data[:2], "big")
        if opcode == 6:
            self.oack = data
            return None if self.started and self.block else self.ack()
        assert opcode == 3, data[:40]
        number, payload = int.from_bytes(data[2:4], "big"), data[4:]
        if self.done:
            return self.ack()
        if number != (self.block + 1) & 0xFFFF:
            self.unexpected += 1
            return self.ack() if (self.unexpected - 1) % self.windowsize == 0 else None
        assert len(payload) <= self.blksize
        self.received += payload
        self.block += 1
        self.unexpected = 0
        self.since_ack += 1
        self.done = len(payload) < self.blksize
        return self.ack() if self.done or self.since_ack >= self.windowsize else None

    def ack(self) -> bytes:
        """The ACK of all that came in order."""
        self.started = True
        self.since_ack = 0
        return b"\0\4" + (self.block & 0xFFFF).to_bytes(2, "big")


def datagrams(transfer: Transfer) -> list[tuple[bytes, Address]]:
    """Take what waits, each run of DATA packets cut as the kernel would (UDP_SEGMENT)."""
    runs, alone = transfer.to_send()
    blocks = [
        (bytes(run[start : start + transfer.segment]), transfer.client)
        for run in runs
        for start in range(0, len(run), transfer.segment)
    ]
    return blocks + alone


@dataclass
class Network:
    """One-way delay in seconds; loss and duplication as chances; jitter makes reordering."""

    seed: int = 0
    delay: float = 0.001
    jitter: float = 0.0
    loss: float = 0.0
    duplication: float = 0.0

    def run(
        self,
        content: bytes,
        request: ReadRequest,
        client: Client,
        limits: Limits | None = None,
        longest: float = 600.0,
    ) -> tuple[Transfer, float]:
        """Play until the transfer is closed; gives it, and the simulated seconds it took."""
        dice = random.Random(self.seed)
        order = itertools.count()
        wire: list[tuple[float, int, str, bytes]] = []
        now = 0.0
        transfer = Transfer(request, Source(content), CLIENT, now, limits)

        def post(to: str, data: bytes) -> None:
            copies = 1 + (dice.random() < self.duplication)
            for _ in range(copies):
                if dice.random() >= self.loss:
                    arrival = now + self.delay + dice.random() * self.jitter
                    heapq.heappush(wire, (arrival, next(order), to, data))

        def flush() -> None:
            for data, addr in datagrams(transfer):
                assert addr == CLIENT
                post("client", data)

        flush()
        silence_ends = now + client.patience
        while not transfer.closed and now < longest:
            timer = transfer.get_timer()
            assert timer is not None
            due = wire[0][0] if wire else float("inf")
            now = max(now, min(due, timer, silence_ends))
            if wire and wire[0][0] <= now:
                _, _, to, data = heapq.heappop(wire)
                if to == "client":
                    silence_ends = now + client.patience
                    answer = client.hear(data)
                    if answer is not None:
                        post("server", answer)
                else:
                    transfer.receive_datagram(data, CLIENT, now)
            if timer <= now:
                transfer.handle_timer(now)
            if silence_ends <= now:
                silence_ends = now + client.patience
                if client.started and not client.done:
                    post("server", client.ack())
                elif not client.started:
                    transfer.repeat_offer()  # the client sends its request once more
            flush()
        return transfer, now
