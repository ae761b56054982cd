"""One transfer over a simulated network: the file arrives intact, or it ends in bounded time."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ironwake_tftp.layout import Source
from ironwake_tftp.options import Limits
from ironwake_tftp.packet import Mode, ReadRequest
from ironwake_tftp.transfer import Outcome, State, Transfer
from tests.tftp.network import CLIENT, Client, Network, datagrams

ROOMY = Limits(max_blksize=65464)
STRANGER = ("192.0.2.10", 2000)


def request(
    blksize: int | None = None,
    windowsize: int | None = None,
    timeout: int | None = None,
    *,
    tsize: bool = False,
) -> ReadRequest:
    return ReadRequest("sb/shimx64.efi", Mode.OCTET, blksize, windowsize, timeout, tsize)


def content_of(size: int) -> bytes:
    """Bytes in which no two blocks are equal, so that a block in the wrong place shows."""
    return b"".join(n.to_bytes(4, "big") for n in range(size // 4 + 1))[:size]


def ack(block: int) -> bytes:
    return b"\0\4" + (block & 0xFFFF).to_bytes(2, "big")


def blocks(transfer: Transfer, now: float = 0.0) -> list[int]:
    """Take the DATA packets waiting; gives their wire numbers."""
    sent = datagrams(transfer)
    assert all(data[:2] == b"\0\3" and addr == CLIENT for data, addr in sent)
    return [int.from_bytes(data[2:4], "big") for data, _ in sent]


def sending(size: int, windowsize: int = 4, rtt: float = 0.01) -> Transfer:
    """A transfer of 512-octet blocks whose OACK was acknowledged at time `rtt`."""
    transfer = Transfer(request(512, windowsize), Source(content_of(size)), CLIENT, 0.0)
    datagrams(transfer)
    transfer.receive_datagram(ack(0), CLIENT, rtt)
    return transfer


@settings(max_examples=150)
@given(
    seed=st.integers(0, 2**32),
    size=st.integers(0, 40_000),
    blksize=st.one_of(st.none(), st.integers(8, 2000), st.just(65464)),
    windowsize=st.one_of(st.none(), st.integers(1, 200)),
    loss=st.sampled_from([0.0, 0.05, 0.2]),
    duplication=st.sampled_from([0.0, 0.1, 0.5]),
    jitter=st.sampled_from([0.0, 0.002, 0.05]),
)
def test_the_file_arrives_intact(
    seed: int,
    size: int,
    blksize: int | None,
    windowsize: int | None,
    loss: float,
    duplication: float,
    jitter: float,
) -> None:
    """Whatever a bad network does, a client that says "complete" has exactly the file's bytes."""
    wanted = request(blksize, windowsize)
    content = content_of(size)
    client = Client(blksize=blksize or 512, windowsize=min(windowsize or 1, 64))
    network = Network(seed, jitter=jitter, loss=loss, duplication=duplication)
    transfer, _ = network.run(content, wanted, client, ROOMY, longest=3600)
    assert transfer.closed, "every transfer ends"
    assert content.startswith(bytes(client.received))
    if client.done:
        assert bytes(client.received) == content
    if transfer.outcome is Outcome.COMPLETED:
        assert client.done
    else:
        # Only the half-open limit, a client that never got the OACK, or its lost last ACK.
        assert transfer.outcome is Outcome.TIMED_OUT
        assert loss


@pytest.mark.parametrize("seed", range(40))
def test_a_fifth_lost_is_no_reason_to_fail(seed: int) -> None:
    """At 20 % loss each way a read as shim makes it gets all its bytes, every time."""
    content = content_of(120_000)
    client = Client(blksize=512, windowsize=4)
    network = Network(seed, loss=0.2, jitter=0.003, duplication=0.05)
    _, seconds = network.run(content, request(512, 4), client)
    assert bytes(client.received) == content
    assert seconds < 120


@settings(max_examples=200)
@given(
    blksize=st.integers(8, 65464), windowsize=st.integers(1, 65535), size=st.integers(0, 200_000)
)
def test_every_block_and_window_size(blksize: int, windowsize: int, size: int) -> None:
    """Each legal blksize and windowsize transfers, with the window that the OACK named."""
    size = min(size, blksize * 2000)
    client = Client(blksize=blksize, windowsize=min(windowsize, 64))
    transfer, _ = Network().run(content_of(size), request(blksize, windowsize), client, ROOMY)
    assert bytes(client.received) == content_of(size)
    assert transfer.outcome is Outcome.COMPLETED
    assert transfer.retransmitted == 0
    assert f"windowsize\0{min(windowsize, 64)}\0".encode() in client.oack


def test_block_numbers_roll_over() -> None:
    """Past block 65535 comes 0, twice over, and the last block of a full file is empty."""
    content = content_of(8 * 140_000)
    client = Client(blksize=8, windowsize=64)
    transfer, _ = Network().run(content, request(8, 64), client)
    assert bytes(client.received) == content
    assert client.block == 140_001
    assert transfer.outcome is Outcome.COMPLETED


def test_a_request_without_options_gets_data_at_once() -> None:
    """RFC 1350: no OACK, 512-octet blocks, one at a time."""
    transfer = Transfer(request(), Source(content_of(1000)), CLIENT, 0.0)
    assert blocks(transfer) == [1]
    transfer.receive_datagram(ack(0), CLIENT, 0.01)
    assert transfer.state is State.OFFERED, "ACK 0 answers no DATA"
    transfer.receive_datagram(ack(1), CLIENT, 0.01)
    assert blocks(transfer) == [2]


def test_options_are_taken_and_clamped() -> None:
    """The OACK holds what was asked for only, blksize within the MTU, windowsize within 64."""
    wanted = request(65464, 9999, 7, tsize=True)
    transfer = Transfer(wanted, Source(content_of(1234)), CLIENT, 0.0)
    ((oack, _),) = datagrams(transfer)
    assert oack == b"\0\6blksize\x001468\0tsize\x001234\0windowsize\x0064\0timeout\x007\0"


def test_a_forged_request_draws_two_packets() -> None:
    """An RRQ that nobody acknowledges draws two packets, however long the timer is run."""
    transfer = Transfer(request(1468, 64), Source(content_of(10**6)), CLIENT, 0.0)
    sent, now = len(datagrams(transfer)), 0.0
    while (timer := transfer.get_timer()) is not None:
        now = max(now, timer)
        transfer.handle_timer(now)
        sent += len(datagrams(transfer))
    assert sent == 2
    assert transfer.outcome is Outcome.TIMED_OUT
    assert now <= Limits().half_open


def test_a_repeated_request_draws_one_more() -> None:
    """A client whose OACK was lost asks again and is answered, once for each time it asks."""
    transfer = Transfer(request(1468), Source(content_of(5000)), CLIENT, 0.0)
    (first,) = datagrams(transfer)
    transfer.repeat_offer()
    assert datagrams(transfer) == [first]


def test_error_8_after_oack_is_a_size_probe() -> None:
    """edk2 takes the size off the OACK and aborts: that is a success of its kind."""
    transfer = Transfer(request(1468, 4, tsize=True), Source(content_of(5000)), CLIENT, 0.0)
    transfer.receive_datagram(b"\0\5\0\x08User aborted the transfer\0", CLIENT, 0.01)
    assert transfer.outcome is Outcome.PROBED
    assert transfer.get_timer() is None


def test_an_error_in_mid_transfer_ends_it() -> None:
    """After data has flowed, a client's ERROR is an abort, and its text is kept."""
    transfer = sending(5000)
    transfer.receive_datagram(b"\0\5\0\0out of memory", CLIENT, 0.02)
    assert transfer.outcome is Outcome.ABORTED
    assert "out of memory" in transfer.reason
    assert datagrams(transfer) == []


def test_another_port_is_told_off_and_changes_nothing() -> None:
    """A wrong source port gets ERROR 5, a few times at most; the transfer goes on undisturbed."""
    transfer = sending(50_000)
    assert blocks(transfer) == [1, 2, 3, 4]
    answers = []
    for _ in range(20):
        transfer.receive_datagram(ack(4), STRANGER, 0.02)
        answers += datagrams(transfer)
    assert 0 < len(answers) <= 8
    assert all(data[:4] == b"\0\5\0\5" and addr == STRANGER for data, addr in answers)
    transfer.receive_datagram(b"\0\5\0\0", STRANGER, 0.02)
    assert transfer.acknowledged == 0
    transfer.receive_datagram(ack(4), CLIENT, 0.03)
    assert blocks(transfer) == [5, 6, 7, 8]


def test_no_sorcerers_apprentice() -> None:
    """A doubled ACK does not double the data: RFC 1123 section 4.2.3.1."""
    for windowsize in (1, 4):
        transfer = sending(50_000, windowsize)
        datagrams(transfer)
        for n in range(1, 10):
            now = 0.01 + n * 0.01
            for _ in range(3):
                transfer.receive_datagram(ack(n * windowsize), CLIENT, now)
            assert len(blocks(transfer)) == windowsize


def test_a_partial_ack_resumes_behind_it() -> None:
    """RFC 7440: after ACK 2 of the window 1..4 the next window is 3..6."""
    transfer = sending(50_000)
    datagrams(transfer)
    transfer.receive_datagram(ack(2), CLIENT, 0.02)
    assert blocks(transfer) == [3, 4, 5, 6]


def test_a_lost_first_block_is_resent_once_without_waiting() -> None:
    """The same ACK again, a round trip later, asks for the window once more; further ones don't."""
    transfer = sending(50_000)
    datagrams(transfer)
    transfer.receive_datagram(ack(4), CLIENT, 0.02)
    assert blocks(transfer) == [5, 6, 7, 8]
    transfer.receive_datagram(ack(4), CLIENT, 0.021)
    assert blocks(transfer) == [], "too soon to be about these blocks"
    transfer.receive_datagram(ack(4), CLIENT, 0.031)
    assert blocks(transfer) == [5, 6, 7, 8]
    transfer.receive_datagram(ack(4), CLIENT, 0.045)
    assert blocks(transfer) == []


@pytest.mark.parametrize("windowsize", [1, 4])
def test_a_network_that_became_slow_is_noticed(windowsize: int) -> None:
    """What was only late is not sent twice for ever: the client's answers to blocks that it has
    already, of which edk2 and GRUB leave none out, tell how long a round trip takes now."""
    transfer = sending(60_000, windowsize)
    client = Client(512, windowsize)
    wire = [(0.2, data) for data in blocks_of(transfer)]
    now, sent = 0.0, 0
    while not transfer.closed:
        timer = transfer.get_timer()
        assert timer is not None
        now = min(timer, wire[0][0] if wire else timer)
        if wire and wire[0][0] <= now:
            data = wire.pop(0)[1]
            # Both ways at once: 0.4 s from a block to its ACK.
            had = client.block
            answer = client.hear(data) or (client.ack() if client.block == had else None)
            if answer is not None:
                transfer.receive_datagram(answer, CLIENT, now)
        else:
            transfer.handle_timer(now)
        fresh = blocks_of(transfer)
        sent += len(fresh)
        wire += [(now + 0.4, data) for data in fresh]
    assert transfer.outcome is Outcome.COMPLETED
    assert bytes(client.received) == content_of(60_000)
    assert sent < transfer.blocks * 1.3


def blocks_of(transfer: Transfer) -> list[bytes]:
    """DATA packets that wait to be sent."""
    return [data for data, _ in datagrams(transfer)]


def test_retransmission_is_quick_and_backs_off() -> None:
    """After a 1 ms round trip the floor of 30 ms applies; each silence doubles the wait."""
    transfer = sending(50_000, rtt=0.001)
    datagrams(transfer)
    now, waits = 0.001, []
    while (timer := transfer.get_timer()) is not None:
        waits.append(timer - now)
        now = timer
        transfer.handle_timer(now)
        assert transfer.closed or blocks(transfer, now) == [1, 2, 3, 4]
    assert waits[:4] == pytest.approx([0.03, 0.06, 0.12, 0.24])
    assert max(waits) <= Limits().rto_ceiling
    assert transfer.outcome is Outcome.TIMED_OUT
    assert now == pytest.approx(0.001 + Limits().give_up)


def test_acks_from_the_future_and_the_past_are_ignored() -> None:
    """Only blocks on the wire can be acknowledged."""
    transfer = sending(50_000)
    datagrams(transfer)
    for wrong in (5, 100, 0xFFFF, 0x8000):
        transfer.receive_datagram(ack(wrong), CLIENT, 0.02)
    assert transfer.acknowledged == 0
    assert blocks(transfer) == []


@settings(max_examples=300)
@given(
    events=st.lists(
        st.tuples(st.binary(max_size=40), st.booleans(), st.floats(0, 5, allow_nan=False)),
        max_size=40,
    ),
    size=st.integers(0, 5000),
)
def test_no_datagram_raises(events: list[tuple[bytes, bool, float]], size: int) -> None:
    """Any bytes from anyone at any time: no exception, and each draws a window at most."""
    transfer, now = Transfer(request(512, 4), Source(content_of(size)), CLIENT, 0.0), 0.0
    datagrams(transfer)
    for data, known, pause in events:
        now += pause
        transfer.receive_datagram(data, CLIENT if known else STRANGER, now)
        assert len(datagrams(transfer)) <= 4
        transfer.handle_timer(now)
        assert len(datagrams(transfer)) <= 4


def test_junk_in_mid_transfer_is_counted_and_harmless() -> None:
    """Malformed datagrams on a transfer's port change its counter only."""
    transfer = sending(50_000)
    datagrams(transfer)
    for junk in (b"", b"\0", b"\0\4\0", b"\0\3\0\1data", b"\xff\xff\0\0", b"\0\1x\0octet\0"):
        transfer.receive_datagram(junk, CLIENT, 0.02)
    assert transfer.malformed == 6
    assert blocks(transfer) == []
    assert not transfer.closed
