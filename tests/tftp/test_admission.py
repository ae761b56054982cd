"""Who gets a transfer when many ask: repeats are one, and only unproven ones make room."""

from __future__ import annotations

from ironwake_tftp.admission import Admission, Caps, Verdict
from ironwake_tftp.layout import Source
from ironwake_tftp.packet import Mode, ReadRequest
from ironwake_tftp.transfer import Address, Outcome, Transfer
from tests.tftp.network import datagrams

SHIM = ReadRequest("sb/shimx64.efi", Mode.OCTET, 1468, 4)
GRUB = ReadRequest("sb/grubx64.efi", Mode.OCTET, 512, 4)


def begin(
    admission: Admission, client: Address, now: float = 0.0, *, answered: bool = False
) -> Transfer:
    assert admission.ask(SHIM, client, now).verdict is Verdict.BEGIN
    transfer = Transfer(SHIM, Source(bytes(5000)), client, now)
    datagrams(transfer)
    admission.add(transfer)
    if answered:
        transfer.receive_datagram(b"\0\4\0\0", client, now)
    return transfer


def test_a_repeated_request_is_the_same_transfer() -> None:
    """Unanswered: the offer goes out again. Running: a late duplicate is ignored."""
    admission, client = Admission(), ("192.0.2.1", 1000)
    transfer = begin(admission, client)
    ruling = admission.ask(SHIM, client, 0.1)
    assert (ruling.verdict, ruling.transfer) == (Verdict.REPEAT, transfer)
    assert len(datagrams(transfer)) == 1
    transfer.receive_datagram(b"\0\4\0\0", client, 0.2)
    assert admission.ask(SHIM, client, 0.3).verdict is Verdict.IGNORE
    assert admission.ask(SHIM, client, 5.0).verdict is Verdict.IGNORE, "read late by a busy server"
    assert len(admission) == 1


def test_a_reset_machine_starts_anew_from_the_same_port() -> None:
    """Firmware counts its ports from the same number: another file, or a pause, is a new boot."""
    for request, later in ((GRUB, 0.1), (SHIM, 7.0)):
        admission, client = Admission(), ("192.0.2.1", 1000)
        old = begin(admission, client, answered=True)
        ruling = admission.ask(request, client, later)
        assert (ruling.verdict, ruling.dropped) == (Verdict.BEGIN, old)
        assert old.outcome is Outcome.REPLACED
        assert len(admission) == 0


def test_one_source_has_four_at_most() -> None:
    """Its oldest unanswered one goes; while all are alive, a fifth is refused; stalled ones go."""
    admission = Admission()
    first = begin(admission, ("192.0.2.1", 1))
    for port in (2, 3, 4):
        begin(admission, ("192.0.2.1", port), answered=True)
    assert admission.ask(SHIM, ("192.0.2.1", 5), 0.1).dropped is first
    admission.add(Transfer(SHIM, Source(b""), ("192.0.2.1", 5), 0.1))
    begin(admission, ("192.0.2.2", 1))
    for transfer in (admission.ask(SHIM, ("192.0.2.1", 5), 0.1).transfer,):
        assert transfer is not None
        transfer.receive_datagram(b"\0\4\0\0", ("192.0.2.1", 5), 0.1)
    assert admission.ask(SHIM, ("192.0.2.1", 6), 0.2).verdict is Verdict.REFUSE
    ruling = admission.ask(SHIM, ("192.0.2.1", 6), 1.5)
    assert ruling.verdict is Verdict.BEGIN
    assert ruling.dropped is not None


def test_orphans_never_displace_a_running_transfer() -> None:
    """Ten thousand forged requests churn among themselves; the real client keeps its place."""
    admission = Admission(Caps(total=50))
    real = begin(admission, ("192.0.2.200", 7), answered=True)
    for n in range(10_000):
        begin(admission, (f"10.{n >> 8}.{n & 255}.1", 1000))
    assert len(admission) == 50
    assert not real.closed
    assert admission.ask(GRUB, ("192.0.2.201", 7), 0.0).verdict is Verdict.BEGIN


def test_a_full_house_of_running_transfers_refuses() -> None:
    """With nothing half-open left to drop, the newcomer waits; firmware asks again."""
    admission = Admission(Caps(total=3))
    for n in range(3):
        begin(admission, (f"192.0.2.{n}", 7), answered=True)
    assert admission.ask(SHIM, ("192.0.2.9", 7), 5.0).verdict is Verdict.REFUSE


def test_what_has_ended_leaves_nothing_behind() -> None:
    """The table is as empty afterwards as before, for sources, too."""
    admission = Admission()
    for n in range(100):
        transfer = begin(admission, ("192.0.2.1", n + 1))
        admission.remove(transfer)
        admission.remove(transfer)
    assert len(admission) == 0
    assert not admission._by_source
