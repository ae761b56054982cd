"""Descriptions of racks are checked when they are made, and survive the way through a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.errors import BrokenError, InputError
from ironwake_lab import Card, MachineSpec, RackSpec, RouterSpec
from ironwake_lab.qemu import Paths, command_line

MAC = "52:54:00:77:00:10"
OTHER = "52:54:00:77:00:11"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: MachineSpec("node1", "52:54:00:77"), "not a MAC address"),
        (lambda: MachineSpec("Node 1", MAC), "no name for a machine"),
        (lambda: MachineSpec("node1", MAC, firmware="coreboot"), "unknown firmware 'coreboot'"),
        (lambda: MachineSpec("node1", MAC, disk_bytes=1000), "disk of 1000 bytes"),
        (lambda: MachineSpec("node1", MAC, memory_mb=1), "1 MiB"),
        (lambda: MachineSpec("node1", MAC, uuid="x"), "'x' is not a UUID"),
        (lambda: MachineSpec("node1", MAC, serial="a,b=c"), "no serial number"),
        (lambda: MachineSpec("node1", MAC, disk_serial="d" * 21), "too long"),
        (lambda: RackSpec("r", appliance="10.77.0.2.1/24"), "not an address"),
        (lambda: RackSpec("r", router=RouterSpec(address="10.1.0.1")), "outside the rack's"),
        (lambda: RouterSpec(first="ten"), "not an IPv4 address"),
        (lambda: RackSpec("../r"), "no name for a rack"),
        (lambda: MachineSpec("node1"), "not a MAC address"),
        (lambda: MachineSpec("node1", MAC, cards=(Card(OTHER),)), f"the first {OTHER}, and MAC"),
        (lambda: MachineSpec("node1", MAC, "bios", network_boot="http"), "cannot boot by 'http'"),
        (lambda: RouterSpec(boot_file="a b"), "'a b' is no name of a boot file"),
        (lambda: RouterSpec(option_67="x" * 128), "no name of a boot file"),
        (lambda: RouterSpec(next_server="me"), "'me' is not an IPv4 address"),
        (lambda: RouterSpec(boot_file="a", next_server="0.0.0.0"), "its own address along with"),
    ],
)
def test_a_wrong_value_is_named(make: Callable[[], Any], says: str) -> None:
    """Each mistake in a description is refused with the value and what to write instead."""
    with pytest.raises(InputError) as caught:
        make()
    assert says in caught.value.what
    assert caught.value.next_step


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (MachineSpec("node1", "52:54:00:77:00:11"), "node1 already belongs to machine node1"),
        (MachineSpec("node2", "5254.0077.0010"), f"{MAC} already belongs to machine node1"),
        (MachineSpec("node2", "52-54-00-77-00-02"), "already belongs to the appliance"),
        (MachineSpec("node2", "52:54:00:77:00:01"), "already belongs to the router"),
    ],
)
def test_no_two_share_a_name_or_mac(other: MachineSpec, says: str) -> None:
    """Names and MACs are unique in a rack, in whatever notation they are written."""
    with pytest.raises(InputError, match=says):
        RackSpec("r", (MachineSpec("node1", MAC), other))


def test_a_second_card_counts() -> None:
    """No machine may have a MAC that is another machine's second card."""
    two = MachineSpec("node1", cards=(Card(MAC), Card(OTHER, cabled=False)))
    assert two.mac == MAC
    with pytest.raises(InputError, match=f"{OTHER} already belongs to machine node1"):
        RackSpec("r", (two, MachineSpec("node2", OTHER)))


def test_twins_share_their_mac_when_it_is_said() -> None:
    """With the twin named, two machines have one MAC, and each its own UUID."""
    twin = MachineSpec("node2", MAC, twin_of="node1")
    rack = RackSpec("r", (MachineSpec("node1", MAC), twin))
    assert len({machine.uuid for machine in rack.machines}) == 2
    with pytest.raises(InputError, match="already belongs to machine node1"):
        RackSpec("r", (MachineSpec("node1", MAC), MachineSpec("node2", MAC, twin_of="node3")))


@given(
    names=st.lists(st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True), unique=True, max_size=5),
    router=st.none()
    | st.builds(RouterSpec, advertise=st.booleans(), boot_file=st.sampled_from(("", "pxelinux.0"))),
)
def test_a_description_survives_its_file(names: list[str], router: RouterSpec | None) -> None:
    """What was written to rack.json is what is read from it."""
    machines = tuple(
        MachineSpec(
            name,
            cards=(
                Card(f"52:54:00:00:00:{number:02x}"),
                Card(f"52:54:00:00:01:{number:02x}", False),
            ),
        )
        for number, name in enumerate(names)
    )
    rack = RackSpec("r", machines, router)
    assert RackSpec.from_json(rack.to_json()) == rack


@given(st.text(max_size=40) | st.sampled_from(['{"machines": 1}', "[]", '{"machines": [{}]}']))
def test_a_broken_file_is_told_plainly(text: str) -> None:
    """A damaged rack.json is an error with a next step, never a traceback."""
    with pytest.raises(BrokenError, match="no description of a rack"):
        RackSpec.from_json(text, "rack.json")


def test_uefi_machines_boot_with_the_firmware_own_pxe(tmp_path: Any) -> None:
    """A UEFI card carries no iPXE ROM, and QEMU does not override the boot order in NVRAM."""
    words = command_line(MachineSpec("node1", MAC), Paths(tmp_path, tmp_path / "d,1"), ["tap0"])
    card = next(word for word in words if word.startswith("virtio-net-pci"))
    assert card.endswith("romfile=")
    assert "bootindex" not in " ".join(words)
    assert any(word.endswith("file=" + str(tmp_path / "d,,1")) for word in words)


def test_bios_machines_boot_from_the_network_first() -> None:
    """On BIOS the network card comes first and the disk second."""
    paths = Paths(Path("/rack"), Path("/rack/disk"))
    words = " ".join(command_line(MachineSpec("n", MAC, firmware="bios"), paths, ["tap0"]))
    assert words.index("virtio-net-pci") < words.index("bootindex=1") < words.index("bootindex=2")


def test_the_disk_comes_first_where_it_is_wanted(tmp_path: Path) -> None:
    """The same on BIOS with two cards, the disk first, then the cards in their order."""
    spec = MachineSpec("n", cards=(Card(MAC), Card(OTHER)), firmware="bios", disk_first=True)
    words = command_line(spec, Paths(tmp_path, tmp_path / "disk"), ["tap0", "tap1"])
    places = [word.rpartition("bootindex=")[2] for word in words if "bootindex=" in word]
    assert places == ["2", "3", "1"]


def test_a_card_without_a_cable_is_pulled_before_the_machine_runs(tmp_path: Path) -> None:
    """QEMU starts paused, for a cable can only be pulled once it is there."""
    paths = Paths(tmp_path, tmp_path / "disk")
    cards = (Card(MAC, cabled=False), Card(OTHER))
    assert "-S" in command_line(MachineSpec("n", cards=cards), paths, ["tap0", "tap1"])
    assert "-S" not in command_line(MachineSpec("n", MAC), paths, ["tap0"])


def test_only_http_boot(tmp_path: Path) -> None:
    """The firmware is told to leave PXE out."""
    spec = MachineSpec("n", MAC, "uefi-secureboot", network_boot="http")
    words = command_line(spec, Paths(tmp_path, tmp_path / "disk"), ["tap0"])
    assert "name=opt/org.tianocore/IPv4PXESupport,string=n" in words


def test_another_processor_has_another_qemu() -> None:
    """An ARM64 machine is one to QEMU's command line, too, and has edk2's own PXE."""
    paths = Paths(Path("/rack"), Path("/rack/disk"))
    words = command_line(MachineSpec("n", MAC, firmware="arm64"), paths, ["tap0"])
    assert words[0] == "qemu-system-aarch64"
    assert words[words.index("-machine") + 1] == "virt"
    assert any(word.startswith("virtio-net-pci") and word.endswith("romfile=") for word in words)
