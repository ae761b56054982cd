"""Descriptions of racks are checked when they are made, and survive the way through a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.errors import BrokenError, InputError
from ironwake_lab import MachineSpec, RackSpec, RouterSpec
from ironwake_lab.qemu import Paths, command_line

MAC = "52:54:00:77:00:10"


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


@given(
    names=st.lists(st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True), unique=True, max_size=5),
    router=st.none() | st.builds(RouterSpec, advertise=st.booleans()),
)
def test_a_description_survives_its_file(names: list[str], router: RouterSpec | None) -> None:
    """What was written to rack.json is what is read from it."""
    machines = tuple(
        MachineSpec(name, f"52:54:00:00:00:{number:02x}") for number, name in enumerate(names)
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
    words = command_line(MachineSpec("node1", MAC), Paths(tmp_path, tmp_path / "d,1"), "tap0")
    card = next(word for word in words if word.startswith("virtio-net-pci"))
    assert card.endswith("romfile=")
    assert "bootindex" not in " ".join(words)
    assert any(word.endswith("file=" + str(tmp_path / "d,,1")) for word in words)


def test_bios_machines_boot_from_the_network_first() -> None:
    """On BIOS the network card comes first and the disk second."""
    from pathlib import Path

    paths = Paths(Path("/rack"), Path("/rack/disk"))
    words = " ".join(command_line(MachineSpec("n", MAC, firmware="bios"), paths, "tap0"))
    assert words.index("virtio-net-pci") < words.index("bootindex=1") < words.index("bootindex=2")
