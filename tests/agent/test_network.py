"""The card that booted, and a lease for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ironwake.errors import BrokenError
from ironwake.mac import Mac
from ironwake_agent import facts
from ironwake_agent.network import Lease, bring_up, read_lease
from tests.agent.rig import Clock, Recorder

FIRST, SECOND = Mac("52:54:00:77:00:10"), Mac("52:54:00:77:00:11")
LEASE = "interface=eth1\nip=10.77.0.100\ndns=10.77.0.1 10.77.0.2\nrouter=10.77.0.1\n"


def card(root: Path, name: str, mac: str, carrier: str = "1", kind: str = "1") -> None:
    folder = root / "sys/class/net" / name
    (folder / "device").mkdir(parents=True)
    for file, text in (("address", mac), ("carrier", carrier), ("type", kind)):
        (folder / file).write_text(f"{text}\n")
    (root / "run").mkdir(exist_ok=True)


def test_the_card_that_booted_is_used(tmp_path: Path) -> None:
    """Of two cards only the one of BOOTIF is asked for a lease."""
    card(tmp_path, "eth0", FIRST)
    card(tmp_path, "eth1", SECOND)

    def give(words: tuple[str, ...]) -> None:
        if "udhcpc" in words:
            (tmp_path / "run/ironwake-lease-eth1").write_text(LEASE)

    run = Recorder(wants=give)
    lease = bring_up(run, SECOND, Clock().patience(60), print, tmp_path)
    assert lease == Lease("eth1", "10.77.0.100", ("10.77.0.1", "10.77.0.2"))
    assert all("eth1" in words for words in run.calls)


def test_a_late_card_is_waited_for(tmp_path: Path) -> None:
    """A driver that loads while the agent waits is in time."""
    (tmp_path / "sys/class/net").mkdir(parents=True)
    clock = Clock()
    patience = clock.patience(60)

    def pause(seconds: float) -> None:
        clock.pause(seconds)
        if len(clock.pauses) == 3:
            card(tmp_path, "eth1", SECOND)
            (tmp_path / "run/ironwake-lease-eth1").write_text(LEASE)

    late = type(patience)(patience.seconds, clock, pause)
    assert bring_up(Recorder(), SECOND, late, print, tmp_path).interface == "eth1"


def test_a_missing_driver_is_named_as_such(tmp_path: Path) -> None:
    """The card never comes: the error has its address, those that are there, and what to do."""
    card(tmp_path, "eth0", FIRST)
    with pytest.raises(BrokenError, match=f"{SECOND}.*eth0.*generic"):
        bring_up(Recorder(), SECOND, Clock().patience(60), print, tmp_path)


@pytest.mark.parametrize(("carrier", "hint"), [("1", "DHCP server"), ("0", "cable")])
def test_no_lease_says_where_to_look(tmp_path: Path, carrier: str, hint: str) -> None:
    """With a link it is the DHCP server, without one the cable; asked again until the end."""
    card(tmp_path, "eth0", FIRST, carrier)
    clock, said = Clock(), list[str]()
    run = Recorder(broken={"busybox": "udhcpc ended with 1: no lease"})
    with pytest.raises(BrokenError, match=f"no DHCP lease on eth0 within 60 s.*{hint}"):
        bring_up(run, FIRST, clock.patience(60), said.append, tmp_path)
    assert run.programs.count("busybox") > 5
    assert len(said) == 1


def test_a_lease_file_may_have_anything_in_it() -> None:
    """Unknown lines are no reason to fail; without an address there is no lease."""
    assert read_lease("") == Lease("", "")
    assert read_lease("a\nb=c=d\ninterface=eth0\nip=192.0.2.7") == Lease("eth0", "192.0.2.7")


def test_cards_are_hardware(tmp_path: Path) -> None:
    """Loopback, bridges and cards of other kinds are none of ours."""
    card(tmp_path, "eth0", FIRST)
    card(tmp_path, "ib0", SECOND, kind="32")
    card(tmp_path, "odd0", "00:00:00:00:00:00")
    bridge = tmp_path / "sys/class/net/br0"
    bridge.mkdir()
    (bridge / "type").write_text("1")
    assert facts.cards(tmp_path) == {"eth0": FIRST}


def test_facts_are_flat_and_without_gaps(tmp_path: Path) -> None:
    """What the machine does not tell is left out; Secure Boot is read from the firmware."""
    card(tmp_path, "eth0", FIRST)
    variable = tmp_path / facts._SECURE_BOOT
    variable.parent.mkdir(parents=True)
    variable.write_bytes(b"\x06\0\0\0\x01")
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal:  1048576 kB\n")
    found = facts.gather((), tmp_path)
    assert found["firmware"] == "uefi"
    assert found["secure_boot"] == "on"
    assert found["memory"] == "1 GiB"
    assert found["nic0"] == f"eth0, {FIRST}, link"
    assert "serial" not in found
    variable.write_bytes(b"\x06\0\0\0\0")
    assert facts.secure_boot(tmp_path) == "off"


def test_processors_are_counted_where_they_have_no_name(tmp_path: Path) -> None:
    """ARM64's kernel names parts by number, and no model: their count is told all the same."""
    (tmp_path / "sys/class/net").mkdir(parents=True)
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text("processor\t: 0\nCPU part\t: 0xd08\n\nprocessor\t: 1\n")
    found = facts.gather((), tmp_path)
    assert found["cpus"] == "2"
    assert "cpu" not in found
