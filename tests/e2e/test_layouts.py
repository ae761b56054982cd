"""Layouts on real machines: each boots, and what is to be kept is kept, bit for bit."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ironwake.lifecycle import State
from ironwake_testing.scene import BOOT_SECONDS, DEPLOY_SECONDS, Scene, node, scene
from tests.e2e.mirrored import mirrored

pytestmark = [pytest.mark.root, pytest.mark.qemu, pytest.mark.deep]

_GIB = 1 << 30
_MIB = 1 << 20
_TABLE = 34 * 512
PASSPHRASE = "open sesame"
LOCKED = "Please unlock disk vg0-root-open"

MIRRORED = mirrored(
    "node1",
    {"name": "esp", "role": "esp", "size": "100MiB"},
    [
        {
            "name": "root",
            "size": "1200MiB",
            "encrypt": {"key": "passphrase"},
            "format": "ext4",
            "mount": "/",
        },
        {"name": "swap", "size": "64MiB", "format": "swap"},
        {"name": "srv", "encrypt": {"key": "file"}, "format": "ext4", "mount": "/srv"},
    ],
)

# The first one's; the second one has another system before the same data.
SUBVOLUMES = """
release: debian-12-cloud
layout:
  disks:
    - name: only
      partitions:
        - {name: grub, role: bios-boot, size: 1MiB}
        - {name: root, size: 1500MiB, format: btrfs, subvolumes: {"@": /, "@home": /home}}
        - {name: data}
"""
AROUND = """
release: debian-12-cloud
layout:
  disks:
    - name: only
      partitions:
        - {name: grub, role: bios-boot, size: 2MiB}
        - {name: boot, size: 200MiB, format: ext4, mount: /boot}
        - {name: swap, size: 64MiB, format: swap}
        - {name: root, format: ext4, mount: /}
        - {name: data, keep: true}
"""
# Nobody types anything: the TPM opens the root, as long as Secure Boot is as it was.
SEALED = """
release: debian-12-cloud
layout:
  disks:
    - name: only
      partitions:
        - {name: esp, role: esp, size: 100MiB}
        - {name: boot, size: 200MiB, format: ext4, mount: /boot}
        - {name: root, encrypt: {key: tpm2}, format: ext4, mount: /}
"""
TRUSTED = node(3, firmware="uefi-secureboot", tpm=True, disk_bytes=3 * _GIB)
PAIR = node(1, disk_bytes=2 * _GIB, more_disks=(2 * _GIB,))
SINGLE = node(2, firmware="bios", disk_bytes=3 * _GIB)


@pytest.fixture(scope="module")
def pair(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A UEFI machine with LUKS on LVM on RAID 1, healthy; somebody typed the passphrase."""
    folder = tmp_path_factory.mktemp("mirrored")
    with scene(folder, PAIR, profiles={"mirrored": MIRRORED}, artifacts=store) as there:
        there.enrol(PAIR)
        deployment = there.deploy(PAIR.name, "mirrored", keys={"": PASSPHRASE})
        # Packages are unpacked, and an initrd is made: in emulation, both take minutes.
        there.appliance.wait_deployment(deployment, {State.INSTALLED}, 2 * DEPLOY_SECONDS)
        machine = there.rack.machine(PAIR.name)
        machine.answer(LOCKED, PASSPHRASE, "login:", DEPLOY_SECONDS)
        there.succeed(deployment)
        yield there
        machine.power_off()


def test_an_encrypted_root_on_a_mirror_becomes_healthy(pair: Scene) -> None:
    """Both disks are alike: a boot loader each, and members of the same arrays."""
    esps = []
    for disk in pair.rack.machine(PAIR.name).disks:
        esp, *members = partitions(disk)
        place = f"{disk}@@{esp['start'] * 512}"
        words = ["mdir", "-b", "-/", "-i", place, "::EFI"]
        esps.append(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
        assert [_signature(disk, one) for one in members] == ["linux_raid_member"] * 2
    assert esps[0] == esps[1]
    assert "BOOTX64.EFI" in esps[0]


def test_it_boots_with_one_disk_taken_away(pair: Scene) -> None:
    """The first disk is replaced by a blank one: the firmware finds the other, and so on."""
    machine = pair.rack.machine(PAIR.name)
    machine.power_off()
    with machine.disk.open("r+b") as disk:
        disk.truncate(0)
        disk.truncate(PAIR.disk_bytes)
    mark = machine.serial_mark()
    machine.power_on()
    machine.answer(LOCKED, PASSPHRASE, "login:", BOOT_SECONDS, since=mark)


@pytest.fixture(scope="module")
def single(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A BIOS machine on btrfs, healthy; then off, with somebody's data in its last partition."""
    profiles = {"subvolumes": SUBVOLUMES, "around": AROUND}
    with scene(
        tmp_path_factory.mktemp("single"), SINGLE, profiles=profiles, artifacts=store
    ) as there:
        there.enrol(SINGLE)
        there.succeed(there.deploy(SINGLE.name, "subvolumes"))
        machine = there.rack.machine(SINGLE.name)
        machine.power_off()
        data = partitions(machine.disk)[-1]
        with machine.disk.open("r+b") as disk:
            for start in (data["start"] * 512, (data["start"] + data["size"]) * 512 - 8 * _MIB):
                disk.seek(start)
                disk.write(random.Random(start).randbytes(8 * _MIB))
        yield there
        machine.power_off()


def test_subvolumes_boot_by_a_bios(single: Scene) -> None:
    """The root is one of them, and the boot loader knows it."""
    machine = single.rack.machine(SINGLE.name)
    root = partitions(machine.disk)[1]
    assert _signature(machine.disk, root) == "btrfs"
    assert single.appliance.api("GET", f"/v1/machines/{SINGLE.name}")["state"] == State.SUCCEEDED


def test_what_has_partitions_is_refused(single: Scene) -> None:
    """Without `erase`: the disk, what is on it and the flag are named, and not a bit is written."""
    machine = single.rack.machine(SINGLE.name)
    before = machine.disk_sha256()
    deployment = single.deploy(SINGLE.name, "around")
    ended = single.appliance.wait_deployment(deployment, {State.FAILED}, DEPLOY_SECONDS)
    machine.power_off()
    assert ended["message"].startswith("disk /dev/vda, serial disk-node2, 3 GiB is not blank: ")
    assert "a GPT partition table, " in ended["message"]
    assert "btrfs (root) on vda2" in ended["message"]
    assert ended["message"].endswith("deploy again with --erase disk-node2")
    assert machine.disk_sha256() == before


def test_a_kept_partition_is_the_same_bit_for_bit(single: Scene) -> None:
    """With another layout before it, by which the machine boots; and a third deployment of that
    one does not even write the table anew."""
    machine = single.rack.machine(SINGLE.name)
    before = partitions(machine.disk)[-1]
    digest = _sha256(machine.disk, before)
    single.succeed(single.deploy(SINGLE.name, "around", erase=["disk-node2"]))
    machine.power_off()
    after = partitions(machine.disk)
    assert [one["name"] for one in after] == ["grub", "boot", "swap", "root", "data"]
    assert {**after[-1], "node": ""} == {**before, "node": ""}
    assert _sha256(machine.disk, after[-1]) == digest

    table = _tables(machine.disk)
    deployment = single.deploy(SINGLE.name, "around", erase=["disk-node2"])
    single.appliance.wait_event(deployment, _is_unpacking, BOOT_SECONDS)
    single.appliance.api("POST", f"/v1/deployments/{deployment}/cancel")
    machine.power_off()
    assert _tables(machine.disk) == table
    assert _sha256(machine.disk, after[-1]) == digest


def test_a_tpm_opens_the_root_by_itself(store: Path, tmp_path: Path) -> None:
    """Healthy, and once more after its power came back, with nobody there to type."""
    with scene(tmp_path, TRUSTED, profiles={"sealed": SEALED}, artifacts=store) as there:
        there.enrol(TRUSTED)
        there.succeed(there.deploy(TRUSTED.name, "sealed"))
        machine = there.rack.machine(TRUSTED.name)
        root = partitions(machine.disk)[2]
        assert _signature(machine.disk, root) == "crypto_LUKS"
        machine.power_off()
        mark = machine.serial_mark()
        machine.power_on()
        machine.wait_serial("login:", BOOT_SECONDS, since=mark)


def _is_unpacking(event: dict[str, Any]) -> bool:
    return bool(event["kind"] == "progress" and event["detail"].get("step") == "unpacking")


def partitions(disk: Path) -> list[dict[str, Any]]:
    """As sfdisk tells them: `start` and `size` in sectors."""
    told = subprocess.run(["sfdisk", "--json", disk], check=True, capture_output=True).stdout
    found: list[dict[str, Any]] = json.loads(told)["partitiontable"]["partitions"]
    return found


def _signature(disk: Path, part: dict[str, Any]) -> str:
    """What is on it, as blkid calls it."""
    place = ["-O", str(part["start"] * 512), "-S", str(part["size"] * 512)]
    words = ["blkid", "-p", "-o", "value", "-s", "TYPE", *place, str(disk)]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def _sha256(disk: Path, part: dict[str, Any]) -> str:
    digest = hashlib.sha256()
    with disk.open("rb") as stream:
        stream.seek(part["start"] * 512)
        for _ in range(part["size"] // 2048):  # whole MiB
            digest.update(stream.read(_MIB))
    return digest.hexdigest()


def _tables(disk: Path) -> tuple[bytes, bytes]:
    """The GPT's two copies."""
    with disk.open("rb") as stream:
        first = stream.read(_TABLE)
        stream.seek(-_TABLE, 2)
        return first, stream.read()
