"""The whole service on a real cable: the right interface, the right address, real loss."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tftp.cable import ALSO_OURS, ELSEWHERE, OURS, service
from tests.tftp.rack import ARMED, CONTENT, SHIM, UNARMED

pytestmark = pytest.mark.root

_ASIDE, _MACHINE = "192.0.2.20", "192.0.2.21"
_ASKED = b"\0\1no/such/file\0octet\0"  # what has an ERROR 1 for an answer
_LOOKS = 1_000_000


def test_the_machine_is_known_by_its_card(tmp_path: Path) -> None:
    """The kernel's neighbour table names the card, and both our addresses answer for themselves."""
    with service(tmp_path) as cable:
        for ours in ("192.0.2.1", "192.0.2.2"):
            out = tmp_path / ours
            assert cable.get(f"tftp://{ours}/sb/shimx64.efi", out, "--tftp-blksize", "1468") == 0
            assert out.read_bytes() == SHIM


def test_another_card_gets_nothing(tmp_path: Path) -> None:
    """The same request from an enrolled but unarmed card: not found."""
    with service(tmp_path, UNARMED) as cable:
        assert cable.get("tftp://192.0.2.1/sb/shimx64.efi", tmp_path / "out") == 68


def test_the_other_interface_is_deaf(tmp_path: Path) -> None:
    """By the cable that was not named no request is answered, whatever address it asks, while the
    same one is by the other cable: its answer is the only one."""
    with service(tmp_path) as cable:
        cable.have_card(_ASIDE, ARMED)
        cable.have_card(_MACHINE, ARMED)
        with (
            cable.client(_ASIDE, by="other") as aside,
            cable.client(_MACHINE) as machine,
            cable.tap() as tap,
        ):
            come = cable.datagrams_come
            for ours in (ELSEWHERE, OURS, ALSO_OURS):
                aside.sendto(_ASKED, (ours, 69))
            for _ in range(_LOOKS):
                if cable.datagrams_come == come + 3:
                    break
            machine.sendto(_ASKED, (ALSO_OURS, 69))
            assert cable.told(tap)[0] == _MACHINE
            assert cable.datagrams_come == come + 4, "what went by the other cable did not come"


def test_a_fifth_of_all_packets_lost(tmp_path: Path) -> None:
    """At 20 % loss each way, by the kernel's own dice, a whole loader still arrives intact."""
    with service(tmp_path) as cable:
        cable.lose(0.2)
        out = tmp_path / "out"
        # curl gives up after five unanswered tries of its own; the request itself may be lost.
        for _ in range(3):
            status = cable.get(
                "tftp://192.0.2.1/sb/grubx64.efi", out, "--tftp-blksize", "1468", "-m", "120"
            )
            if status == 0:
                break
        assert status == 0
        assert out.read_bytes() == CONTENT["sb/grubx64.efi"]
