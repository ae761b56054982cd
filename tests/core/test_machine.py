"""A machine's identity: one UUID, whichever way firmware writes it."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from ironwake.machine import MachineUuid


@given(st.uuids())
def test_both_byte_orders_are_the_same_machine(one: uuid.UUID) -> None:
    """Firmware disagrees about the first three groups (SMBIOS 2.6 §7.2.1)."""
    known = MachineUuid(str(one))
    assert known.is_same(str(one).upper())
    assert known.is_same(str(uuid.UUID(bytes_le=one.bytes)))


@given(st.uuids(), st.uuids())
def test_other_uuids_are_other_machines(one: uuid.UUID, other: uuid.UUID) -> None:
    """Nothing but the two orders is taken for the same."""
    same = other.bytes in (one.bytes, one.bytes_le)
    assert MachineUuid(str(one)).is_same(str(other)) == same


@given(st.text())
def test_what_is_no_uuid_is_nobody(text: str) -> None:
    """Whatever a machine says of itself, asking raises nothing."""
    known = MachineUuid("6d0c4a2e-1111-4222-8333-000000000001")
    assert not known.is_same(text)
