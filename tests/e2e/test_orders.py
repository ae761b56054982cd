"""Orders on real machines: kexec instead of a second POST, wiping, a rescue system."""

from __future__ import annotations

import hashlib
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ironwake_testing.scene import BOOT_SECONDS, DEPLOY_SECONDS, Scene, node, scene

pytestmark = [pytest.mark.root, pytest.mark.qemu]

_MIB = 1 << 20
PROFILES = {
    "kexec": "release: debian-12-cloud\nfinish: kexec\n",
    "debian": "release: debian-12-cloud\n",
}
# What edk2 says when it starts a boot option.
FIRMWARE = "BdsDxe: "
SECURE = node(1, firmware="uefi-secureboot")
PAIR = node(2, firmware="bios", disk_bytes=256 * _MIB, more_disks=(256 * _MIB,))


@pytest.fixture(scope="module")
def kexeced(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Scene, str]]:
    """A machine with Secure Boot, installed with `finish: kexec`, and healthy."""
    folder = tmp_path_factory.mktemp("kexec")
    with scene(folder, SECURE, profiles=PROFILES, artifacts=store) as there:
        there.enrol(SECURE)
        deployment = there.deploy(SECURE.name, "kexec")
        there.succeed(deployment)
        yield there, deployment


@pytest.mark.deep
def test_kexec_reaches_health_without_the_firmware(kexeced: tuple[Scene, str]) -> None:
    """Secure Boot is on, the signed kernel starts at once, and the firmware says nothing more."""
    there, deployment = kexeced
    events = there.events(deployment)
    facts = next(event["detail"]["facts"] for event in events if event["kind"] == "facts")
    assert facts["secure_boot"] == "on"
    told = next(event["message"] for event in events if event["kind"] == "installed")
    assert told.startswith("kexec: starting /boot/vmlinuz-")
    serial = there.rack.machine(SECURE.name).serial_text()
    assert FIRMWARE in serial  # it was there, for the ramdisk
    assert FIRMWARE not in serial.partition("kexec: starting")[2]


@pytest.mark.deep
def test_its_disk_boots_from_cold_too(kexeced: tuple[Scene, str]) -> None:
    """What kexec went round is right as well: power off, power on, and it is up."""
    machine = kexeced[0].rack.machine(SECURE.name)
    machine.power_off()
    mark = machine.serial_mark()
    machine.power_on()
    machine.wait_serial("login:", BOOT_SECONDS, since=mark)
    assert FIRMWARE in machine.serial_text(mark)


@pytest.fixture(scope="module")
def pair(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A machine with two disks full of noise."""
    folder = tmp_path_factory.mktemp("pair")
    keys = folder / "keys"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key"], check=True
    )
    keys.write_text(f"# whoever is on duty\n{(folder / 'key.pub').read_text()}")
    settings = {"IRONWAKE_SSH_KEYS_FILE": str(keys)}
    with scene(folder, PAIR, profiles=PROFILES, settings=settings, artifacts=store) as there:
        there.enrol(PAIR)
        for number, disk in enumerate(there.rack.machine(PAIR.name).disks):
            disk.write_bytes(random.Random(number).randbytes(64 * _MIB) * 4)
        yield there


def _lets_in(event: dict[str, Any]) -> bool:
    return event["kind"] == "progress" and "ssh root@" in event["message"]


def digest(disk: Path) -> str:
    with disk.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def test_a_rescue_system_lets_in_by_key_and_writes_nothing(pair: Scene) -> None:
    """SSH by the site's key, a shell on the console; a person ends it, the disks are whole."""
    machine = pair.rack.machine(PAIR.name)
    before = [digest(disk) for disk in machine.disks]
    deployment = pair.deploy(PAIR.name, "", method="rescue")
    events = pair.appliance.wait_event(deployment, _lets_in, BOOT_SECONDS)
    told = next(event["message"] for event in events if _lets_in(event))
    address = told.partition("root@")[2].split()[0]
    machine.wait_serial(r"# ", BOOT_SECONDS)
    options = ("BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null")
    words = ["ssh", "-i", str(pair.profiles.parent / "key"), *(f"-o{one}" for one in options)]
    done = pair.rack.run([*words, f"root@{address}", "sfdisk --version; id -u"], timeout=120)
    assert done.stdout.splitlines()[-1] == "0"
    mark = machine.serial_mark()
    pair.appliance.cli("deployment", "end", PAIR.name, check=True)
    machine.wait_serial("the rescue system was ended", BOOT_SECONDS, since=mark)
    pair.appliance.wait_deployment(deployment, {"succeeded"}, BOOT_SECONDS)
    machine.power_off()
    assert [digest(disk) for disk in machine.disks] == before


def test_a_wipe_empties_the_named_disk_alone(pair: Scene) -> None:
    """All of it reads as zeroes, the other one is bit for bit as it was, the machine is off."""
    machine = pair.rack.machine(PAIR.name)
    first, second = machine.disks
    before = digest(second)
    deployment = pair.deploy(PAIR.name, "", method="wipe", erase=[f"disk-{PAIR.name}"])
    shown = pair.appliance.wait_deployment(deployment, {"succeeded"}, DEPLOY_SECONDS)
    assert "looked at" in shown["message"]
    wait_off(pair)
    assert first.read_bytes() == bytes(256 * _MIB)
    assert digest(second) == before


def test_a_wipe_of_a_disk_that_is_not_there_touches_nothing(pair: Scene) -> None:
    """One wrong name, and the right one is not begun with either."""
    machine = pair.rack.machine(PAIR.name)
    before = [digest(disk) for disk in machine.disks]
    erase = [f"disk-{PAIR.name}-2", "WD-1234"]
    deployment = pair.deploy(PAIR.name, "", method="wipe", erase=erase)
    shown = pair.appliance.wait_deployment(deployment, {"failed"}, DEPLOY_SECONDS)
    assert "there is no disk 'WD-1234' here" in shown["message"]
    machine.power_off()
    assert [digest(disk) for disk in machine.disks] == before


def wait_off(there: Scene) -> None:
    """Until the machine has switched itself off."""
    machine = there.rack.machine(PAIR.name)
    machine.wait_serial("done: switching off", BOOT_SECONDS)
    pid = machine.pid
    if pid is not None:
        subprocess.run(["tail", f"--pid={pid}", "-f", "/dev/null"], timeout=120, check=False)
    assert not machine.is_on
