"""What makes the disk bootable, and what the firmware is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.disk import Part
from ironwake.errors import BrokenError
from ironwake.profile import BootOrder
from ironwake_agent import bootloader
from ironwake_agent.bootloader import CHAINS, copy_signed, enter_firmware, entries, ordered, stale
from tests.agent.rig import BIOS, DISK, UEFI, Recorder, work_on

# efibootmgr 18 of Debian 13, on a machine that we have installed before.
BEFORE = """\
BootCurrent: 0003
Timeout: 0 seconds
BootOrder: 0003,0000,0001
Boot0000* UiApp\tFvVol(7cb8bdc9)/FvFile(462caa21)
Boot0001* UEFI Misc Device\tPciRoot(0x0)/Pci(0x3,0x0)
Boot0003* UEFI PXEv4 (MAC:525400770010)\tPciRoot(0x0)/MAC(525400770010,1)
Boot0004* Ironwake\tHD(1,GPT,AAAAAAAA-20EE-4CE2-BC42-1AB69EA23EE6,0x800)/File(\\EFI\\shimx64.efi)
Boot0007  Ironwake\tHD(1,GPT,BBBBBBBB-20EE-4CE2-BC42-1AB69EA23EE6,0x800)/File(\\EFI\\shimx64.efi)
"""
GONE = Part(1, 1 << 20, 1 << 20, uuid="aaaaaaaa-20ee-4ce2-bc42-1ab69ea23ee6")
DEAD = frozenset({GONE.uuid})
# A machine that was installed before: its partition goes.
AGAIN = work_on(replace(DISK, table="gpt", parts=(GONE, Part(2, 2 << 20, 1 << 20))), uefi=True)


@pytest.mark.parametrize(
    ("machine", "at", "removable"),
    [("x86_64", "x64", "BOOTX64.EFI"), ("aarch64", "aa64", "BOOTAA64.EFI")],
)
def test_the_signed_chain_stands_twice(
    tmp_path: Path, machine: str, at: str, removable: str
) -> None:
    """Under the vendor's name and where firmware without an entry looks, each with its menu."""
    target, esp = tmp_path / "target", tmp_path / "esp"
    for source in CHAINS[machine].signed.values():
        (target / source).parent.mkdir(parents=True, exist_ok=True)
        (target / source).write_text(source)
    copy_signed(target, esp, UEFI.boot, CHAINS[machine])
    names = {path.relative_to(esp).as_posix() for path in esp.rglob("*") if path.is_file()}
    assert names == {
        *(f"EFI/debian/{name}{at}.efi" for name in ("shim", "grub", "mm")),
        *(f"EFI/BOOT/{name}{at}.efi" for name in ("grub", "mm")),
        *(f"EFI/BOOT/{removable}", "EFI/debian/grub.cfg", "EFI/BOOT/grub.cfg"),
    }
    assert UEFI.boot.uuid in (esp / "EFI/debian/grub.cfg").read_text()


def test_an_archive_without_the_signed_chain_is_refused(tmp_path: Path) -> None:
    """A disk that would not boot is not called installed."""
    with pytest.raises(BrokenError, match="shim-signed"):
        copy_signed(tmp_path, tmp_path / "esp", UEFI.boot, CHAINS["x86_64"])


def test_a_bios_machine_gets_grub_on_its_disk(tmp_path: Path) -> None:
    """grub-install runs in the new system, on the whole disk."""
    run = Recorder()
    bootloader.install(run, tmp_path, BIOS)
    ((*words,),) = run.calls
    assert words[:3] == ["chroot", str(tmp_path), "grub-install"]
    assert words[-1] == "/dev/vda"


def firmware() -> Recorder:
    """A firmware that has one entry more once efibootmgr was called with -C."""

    def answer(words: tuple[str, ...]) -> str:
        created = any("-C" in call for call in run.calls[:-1])
        return BEFORE + ("Boot0009* Ironwake\tHD(1,GPT,CCCC)\n" if created else "")

    run = Recorder(wants=answer)
    return run


def test_the_boot_order_is_left_alone() -> None:
    """An entry is created without a place in the order, and used for the coming start only."""
    run = firmware()
    enter_firmware(run, UEFI, BootOrder.KEEP, print)
    words = [" ".join(call) for call in run.calls]
    created = next(text for text in words if " -C " in text)
    assert "-d /dev/vda -p 1" in created
    assert "\\EFI\\debian\\shimx64.efi" in created
    assert words[-1] == "efibootmgr -q -n 0009"
    assert not any(" -o " in text or " -c " in text or " -B" in text for text in words)


@pytest.mark.parametrize(
    ("wanted", "order"),
    [
        (BootOrder.DISK_FIRST, "0009,0003,0000,0001"),
        (BootOrder.NETWORK_FIRST, "0003,0009,0000,0001"),
    ],
)
def test_the_boot_order_becomes_what_the_profile_says(wanted: BootOrder, order: str) -> None:
    """Our entry comes first, or right behind the network's; nothing is lost of the order."""
    run = firmware()
    enter_firmware(run, UEFI, wanted, print)
    assert ("efibootmgr", "-q", "-n", "0009") in run.calls
    assert run.calls[-1] == ("efibootmgr", "-q", "-o", order)


@pytest.mark.parametrize(
    "text",
    [
        "UEFI PXEv4 (MAC:525400770010)\tPciRoot(0x0)/MAC(525400770010,1)/IPv4(0.0.0.0)",
        "iPXE\tPciRoot(0x0)/Pci(0x2,0x0)/MAC(525400770010,1)",
        "UEFI HTTPv4\tPciRoot(0x0)/MAC(525400770010,1)/IPv4(0.0.0.0)/Uri()",
        "Embedded NIC 1 Port 1 Partition 1\tVenHw(3a191845-5f86-4e78-8fce-c4cff59f9daa)",
        "Legacy card\tBBS(Network,IBA GE Slot 0300,0x0)",
    ],
)
def test_network_entries_are_known_by_path_or_name(text: str) -> None:
    """Vendors write them in many ways; each keeps its place before the disk."""
    printed = f"BootOrder: 0002,0005,0009\nBoot0002* UEFI disk\tHD(1,GPT)\nBoot0005* {text}\n"
    assert ordered(printed, "0009", BootOrder.NETWORK_FIRST) == ["0005", "0009", "0002"]


@given(st.permutations(["0000", "0001", "0003", "0009"]), st.sampled_from(list(BootOrder)[1:]))
def test_no_entry_of_the_order_is_lost(numbers: list[str], wanted: BootOrder) -> None:
    """Whatever stood where: the same numbers, each once, and the others in their order."""
    printed = BEFORE.replace("0003,0000,0001", ",".join(numbers))
    new = ordered(printed, "0009", wanted)
    assert sorted(new) == sorted(numbers)
    assert [n for n in new if n not in ("0009", "0003")] == [
        n for n in numbers if n not in ("0009", "0003")
    ]


def test_our_entry_for_a_lost_partition_goes() -> None:
    """A machine that is installed again and again does not fill its firmware's memory."""
    assert stale(BEFORE, DEAD) == ["0004"]
    run = firmware()
    enter_firmware(run, AGAIN, BootOrder.KEEP, print)
    assert ("efibootmgr", "-q", "-b", "0004", "-B") in run.calls


def test_entries_of_others_stay() -> None:
    """Only entries with our label are ours, whatever their partition."""
    assert stale(BEFORE.replace("Ironwake", "Windows"), DEAD) == []
    assert [number for number, _ in entries(BEFORE)] == ["0000", "0001", "0003", "0004", "0007"]


def test_a_firmware_that_refuses_does_not_fail_the_installation() -> None:
    """The disk boots without an entry; a person is told."""
    said: list[str] = []
    run = Recorder(broken={"efibootmgr": "efibootmgr ended with 2: No space left on device"})
    enter_firmware(run, AGAIN, BootOrder.KEEP, said.append)
    assert "No space left" in said[0]


def test_a_bios_machine_has_no_entries() -> None:
    """Nothing is asked of a firmware that has no variables."""
    run = Recorder()
    enter_firmware(run, BIOS, BootOrder.DISK_FIRST, print)
    assert run.calls == []
