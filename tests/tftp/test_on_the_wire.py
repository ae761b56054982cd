"""The whole service on a real cable: the right interface, the right address, real loss."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tftp.cable import service
from tests.tftp.rack import CONTENT, SHIM, UNARMED

pytestmark = pytest.mark.root


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
    """By the cable that was not named no request is answered, whatever address it asks."""
    with service(tmp_path) as cable:
        for ours in ("198.51.100.1", "192.0.2.1"):
            if ours == "192.0.2.1":
                cable.ip("-n", cable.theirs, "link", "set", "lan", "down")
                cable.ip("-n", cable.theirs, "route", "add", f"{ours}/32", "via", "198.51.100.1")
            status = cable.get(f"tftp://{ours}/sb/shimx64.efi", tmp_path / "out", "--max-time", "2")
            assert status not in (0, 68)


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
