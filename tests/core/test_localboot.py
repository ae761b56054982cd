"""The ladder to the local disk, and what loaders are told on each rung of it."""

from __future__ import annotations

import pytest

from ironwake import loaders
from ironwake.firmware import BY_NAME, FIRMWARE, Architecture, Firmware
from ironwake.loaders.base import Loader
from ironwake.localboot import LoaderName, Rung, after, ladder

FIRMWARES = pytest.mark.parametrize("firmware", FIRMWARE, ids=lambda row: row.name)
SECURE_BOOT = pytest.mark.parametrize("secure_boot", ["", "on", "off"])


@FIRMWARES
@SECURE_BOOT
def test_the_ladder_begins_with_silence_and_ends(firmware: Firmware, secure_boot: str) -> None:
    """From the first rung, each step leads to the next, none twice, and then there is no more."""
    rung: Rung | None = Rung.SILENCE
    walked = []
    while rung is not None:
        walked.append(rung)
        rung = after(rung, firmware, secure_boot)
    assert tuple(walked) == ladder(firmware, secure_boot)
    assert len(set(walked)) == len(walked)


@FIRMWARES
@SECURE_BOOT
def test_no_rung_needs_a_loader_that_cannot_start(firmware: Firmware, secure_boot: str) -> None:
    """Each is for this firmware; what is not signed, only where Secure Boot is known to be off."""
    for rung in ladder(firmware, secure_boot):
        if rung.loader:
            assert loaders.BY_NAME[rung.loader].serves(firmware)
        if firmware.uefi and not firmware.ipxe and secure_boot != "off":
            assert rung.loader in (None, LoaderName.GRUB)
    if firmware.architecture is Architecture.ARM64 and not firmware.ipxe:
        assert LoaderName.IPXE not in [rung.loader for rung in ladder(firmware, secure_boot)]


def test_a_rung_of_another_ladder_is_followed_by_this_ones_second() -> None:
    """A person may have pinned any; a machine that fails with it is still helped."""
    assert after(Rung.GRUB_CHAIN, BY_NAME["bios-pxe"], "") is Rung.IPXE_EXIT


@pytest.mark.parametrize("loader", loaders.LOADERS, ids=lambda one: one.name)
@pytest.mark.parametrize("rung", Rung)
def test_every_loader_is_led_to_the_disk_whatever_the_rung(loader: Loader, rung: Rung) -> None:
    """It runs already, maybe by an old plan: a script that says why, with an end that gives up."""
    script = loader.local_script("node1 has no deployment", rung)
    assert "Ironwake: node1 has no deployment; booting the local disk" in script
    assert script.endswith(("exit 1\n", "LOCALBOOT -1\n"))
    assert "http" not in script


def test_only_the_rung_that_is_asked_for_is_tried() -> None:
    """Where a way hangs on some board, a person pins another one, and it is not tried first."""
    ipxe, grub = loaders.BY_NAME[LoaderName.IPXE], loaders.BY_NAME[LoaderName.GRUB]
    assert "sanboot" not in ipxe.local_script("", Rung.IPXE_EXIT)
    assert "sanboot" in ipxe.local_script("", Rung.SANBOOT)
    assert "chainloader" not in grub.local_script("", Rung.GRUB_CONFIG)
    both = grub.local_script("", Rung.GRUB_CHAIN)
    assert both.index("chainloader") < both.index("configfile")


@pytest.mark.parametrize("name", [LoaderName.GRUB, LoaderName.IPXE])
def test_the_disks_loader_is_the_one_for_the_processor(name: LoaderName) -> None:
    """The script is the same for all: it asks what it runs on, and names that one's shim."""
    rung = Rung.GRUB_CHAIN if name is LoaderName.GRUB else Rung.SANBOOT
    script = loaders.BY_NAME[name].local_script("", rung)
    assert script.index("arm64") < script.index("aa64") < script.index("shim$")
    assert "x64.efi" not in script
