"""Windows PE over the network: a real iPXE fetches what wimboot is started with.

wimboot is in no distribution. Without it, a script of iPXE's own stands in its place: iPXE fetches
and names all files as it would for wimboot, and then tells what it has. With it (WIMBOOT
is its path, WIMBOOT_SHA256 what it must hash to), it is started itself, on a WIM that has
GRUB where Windows' boot loader would be. Windows PE runs in neither.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ironwake.families.windows import unattend, winpe
from ironwake_lab.machine import Machine
from ironwake_testing import discs
from ironwake_testing.scene import BOOT_SECONDS, Scene, build, copied, node, scene

pytestmark = [pytest.mark.root, pytest.mark.qemu]

WIMBOOT = os.environ.get("WIMBOOT", "")
MACHINE = node(1)
APPLIANCE = "10.77.0.2"  # a rack's usual address of it
NAMES = ("winpeshl.ini", "startnet.cmd", "ironwake.js", "BCD", "boot.sdi", "boot.wim")
CANARY = "canary-7f3a-password"
PROFILE = {
    "release": "windows-11",
    "method": "script",
    "parameters": {
        "users": [{"name": "admin", "password": CANARY}],
        "fragments": {"windows": {"index": 2}},
    },
}
_IN_ITS_PLACE = "#!ipxe\necho FILES-BEGIN\nimgstat\necho FILES-END\nsleep 3600\n"
_GRUB = """serial --unit=0 --speed=115200
terminal_output serial
for module in efinet net http part_msdos fat search_fs_file; do insmod $module; done
echo SYNTHETIC-WIM-BOOTED
search --no-floppy --file --set=root /sources/startnet.cmd
ls -l /sources/
cat /sources/startnet.cmd
net_bootp
cat (http,{address})/healthz
echo SYNTHETIC-WIM-ENDS
sleep 3600
"""
_MODULES = "efinet net http serial terminal echo sleep ls cat normal configfile memdisk tar search"
_MODULES += " search_fs_file fat part_msdos part_gpt"


@dataclass(frozen=True)
class Booted:
    """The machine has fetched everything; `text` is what its serial line then said."""

    there: Scene
    deployment: str
    disc: discs.Disc
    text: str

    @property
    def script(self) -> str:
        plan = self.there.appliance.api("GET", f"/v1/plan?mac={MACHINE.mac}")
        return str(plan["script"])

    def bytes_of(self, url: str) -> bytes:
        """What stands there, fetched within the rack."""
        words = ["curl", "-fsS", "--max-time", "60", url]
        inside = self.there.rack.inside(words)
        return subprocess.run(inside, check=True, capture_output=True).stdout


@pytest.fixture(scope="module")
def loaders() -> Path:
    """A store that has loaders: nothing else of ours is booted here."""
    return build("loaders")


def _disc(folder: Path, boot_wim: bytes | None = None) -> discs.Disc:
    """Windows 11's ISO in its structure, with this image of Windows PE."""
    structure = discs.STRUCTURES["windows-11"]
    files = structure.files() | ({"sources/boot.wim": boot_wim} if boot_wim else {})
    source = folder / "files"
    for path, data in files.items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_bytes(data)
    structure.make(source, folder / "windows.iso", structure.label)
    return discs.Disc(folder / "windows.iso", files)


def _boot(there: Scene, disc: discs.Disc, end: str) -> Booted:
    """Deployed, woken, and all of it fetched."""
    there.enrol(MACHINE)
    deployment = there.deploy(MACHINE.name, "windows")
    machine: Machine = there.rack.machine(MACHINE.name)
    machine.wait_on(BOOT_SECONDS)
    machine.wait_serial(end, BOOT_SECONDS)
    return Booted(there, deployment, disc, machine.serial_text())


def _raised(folder: Path, store: Path, disc: discs.Disc, wimboot: Path, checksum: str) -> Any:
    """The scene, with media as a person adds them."""
    own = copied(store, folder / "store")
    outside = {name: text for name, text in os.environ.items() if not name.startswith("IRONWAKE_")}
    there = {**outside, "IRONWAKE_ARTIFACTS_DIR": str(own), "IRONWAKE_STATE_DIR": str(folder)}
    add = [sys.executable, "-m", "ironwake_cli", "media", "add"]
    for words in (
        ("wimboot", "--from", str(wimboot), "--sha256", checksum),
        ("--from", str(disc.path)),
    ):
        subprocess.run([*add, *words], env=there, check=True, capture_output=True)
    return scene(
        folder,
        MACHINE,
        profiles={"windows": json.dumps(PROFILE)},
        settings={"IRONWAKE_PLAIN_PASSWORDS": "true"},
        artifacts=own,
    )


@pytest.fixture(scope="module")
def fetched(loaders: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Booted]:
    """By edk2's PXE, iPXE, and a script where wimboot would be."""
    folder = tmp_path_factory.mktemp("wimboot")
    in_its_place = folder / "wimboot"
    in_its_place.write_text(_IN_ITS_PLACE)
    checksum = hashlib.sha256(in_its_place.read_bytes()).hexdigest()
    disc = _disc(folder)
    with _raised(folder, loaders, disc, in_its_place, checksum) as there:
        booted = _boot(there, disc, "FILES-END")
        there.rack.machine(MACHINE.name).power_off()
        yield booted


def test_ipxe_has_every_file_under_its_name_in_its_order(fetched: Booted) -> None:
    """And as large as it is; the name stands behind it once more, for wimboot under a BIOS."""
    told = fetched.text.rpartition("FILES-BEGIN")[2]
    found = re.findall(r"([\w.]+) : (\d+) bytes[^\"\n]*\"([\w.]+)\"", told)
    assert [name for name, _, _ in found] == list(NAMES)
    assert [words for _, _, words in found] == list(NAMES)
    sizes = {name: int(size) for name, size, _ in found}
    for name, path in (
        ("BCD", "boot/bcd"),
        ("boot.sdi", "boot/boot.sdi"),
        ("boot.wim", "sources/boot.wim"),
    ):
        assert sizes[name] == len(fetched.disc.files[path])
    answers = re.search(
        r"http://\S+/answers/", fetched.bytes_of(_url(fetched, "ironwake.js")).decode()
    )
    assert answers
    for name, text in winpe.texts(answers[0], "").items():
        assert sizes[name] == len(text)


def _url(booted: Booted, name: str) -> str:
    found = re.search(rf"--name {re.escape(name)} (\S+) ", booted.script)
    assert found, booted.script
    return found[1]


def test_the_bytes_are_the_mediums_own(fetched: Booted) -> None:
    """Read in place, from inside the ISO."""
    for name, path in (("BCD", "boot/bcd"), ("boot.wim", "sources/boot.wim")):
        data = fetched.bytes_of(_url(fetched, name))
        assert hashlib.sha256(data).digest() == hashlib.sha256(fetched.disc.files[path]).digest()


def test_ipxe_went_out_and_secure_boot_is_warned_of(fetched: Booted) -> None:
    """Though the firmware is one that gets shim and GRUB for everything else."""
    plan = fetched.there.appliance.api("GET", f"/v1/plan?mac={MACHINE.mac}&firmware=uefi-amd64-pxe")
    assert plan["first_file"] == "ipxe/snponly.efi"
    assert any("Secure Boot must be off" in warning for warning in plan["warnings"])
    kinds = [event["kind"] for event in fetched.there.events(fetched.deployment)]
    assert "kernel" in kinds
    assert "claimed" not in kinds


def test_windows_pe_would_get_its_answers_once(fetched: Booted) -> None:
    """Order and answer file are good, the password is in no event; then all of it is gone."""
    answers = re.search(
        r"http://\S+/answers/", fetched.bytes_of(_url(fetched, "ironwake.js")).decode()
    )
    assert answers
    order = fetched.bytes_of(f"{answers[0]}order.json").decode()
    xml = fetched.bytes_of(f"{answers[0]}autounattend.xml").decode()
    callbacks = json.loads(order)["callbacks"]
    assert "oobeSystem" in unattend.parse(xml)
    post = ["curl", "-fsS", "-X", "POST", "-d", "", f"{callbacks}?stage=installing&step=installer"]
    fetched.there.rack.run(post)
    fetched.there.appliance.wait_deployment(fetched.deployment, {"installing"}, BOOT_SECONDS)
    assert CANARY not in json.dumps(fetched.there.events(fetched.deployment))
    gone = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"{answers[0]}order.json"]
    assert fetched.there.rack.run(gone).stdout == "410"


@pytest.fixture(scope="module")
def started(loaders: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Booted]:
    """By wimboot itself."""
    folder = tmp_path_factory.mktemp("synthetic")
    checksum = os.environ.get("WIMBOOT_SHA256", "")
    disc = _disc(folder, _wim(folder))
    with _raised(folder, loaders, disc, Path(WIMBOOT), checksum) as there:
        booted = _boot(there, disc, "SYNTHETIC-WIM-ENDS")
        there.rack.machine(MACHINE.name).power_off()
        yield booted


def _wim(folder: Path) -> bytes:
    """An image that starts: GRUB stands where wimboot looks for Windows' boot loader."""
    inside = folder / "wim" / "Windows" / "Boot" / "EFI"
    inside.mkdir(parents=True)
    # wimboot puts this machine's files there, and stops where it is missing.
    system = folder / "wim" / "Windows" / "System32"
    system.mkdir()
    (system / "winpeshl.exe").write_bytes(b"MZ")
    config = folder / "grub.cfg"
    config.write_text(_GRUB.format(address=APPLIANCE))
    grub = ["grub-mkstandalone", "-O", "x86_64-efi", "-o", str(inside / "bootmgfw.efi")]
    grub += [f"--install-modules={_MODULES}", "--locales=", "--themes=", "--fonts="]
    subprocess.run([*grub, f"boot/grub/grub.cfg={config}"], check=True, capture_output=True)
    target = folder / "boot.wim"
    capture = ["wimlib-imagex", "capture", str(folder / "wim"), str(target), "Windows PE"]
    subprocess.run([*capture, "--boot", "--compress=LZX"], check=True, capture_output=True)
    return target.read_bytes()


@pytest.mark.skipif(
    not WIMBOOT,
    reason="wimboot itself is not run: WIMBOOT does not say where one is (that iPXE"
    " fetches all of its files, by their names, is tested above)",
)
def test_wimboot_starts_what_is_in_the_image_with_this_machines_files(started: Booted) -> None:
    """It finds the WIM by its name, takes the loader out of it, and shows it our files."""
    assert "SYNTHETIC-WIM-BOOTED" in started.text
    inside = started.text.rpartition("SYNTHETIC-WIM-BOOTED")[2]
    assert re.findall(r"\d+ +(\S+)", inside.partition("@echo")[0])[: len(NAMES)] == list(NAMES)
    assert "cscript.exe //nologo //e:jscript" in inside
    assert re.search(r"[\n\r]ok[\n\r]", inside)  # from the http service, by UEFI's own network
