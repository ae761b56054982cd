"""Ubuntu: layouts as curtin's actions, and the guard that puts this machine's disk into them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ironwake.errors import InputError
from ironwake.families import check
from ironwake.families.ubuntu import curtin
from ironwake.layout.model import Encryption, KeySource, Layout, Wipe
from ironwake.layout.usual import usual
from tests.families import asked
from tests.families.autoinstall import FAMILY, RELEASE, data, script
from tests.families.shells import GIB, Machine


@pytest.mark.parametrize("uefi", [True, False])
def test_the_guard_puts_the_chosen_disk_into_the_answers(tmp_path: Path, uefi: bool) -> None:
    """Subiquity reads /autoinstall.yaml again after the early commands, as it has dumped it."""
    install = asked.install(RELEASE, match="WD-1", erase=("WD-1",))
    found = data(install)
    machine = Machine(tmp_path, uefi=uefi)
    machine.disk("sda", serial="WD-0")
    machine.disk("sdb", serial="WD-1", found="gpt")
    file = tmp_path / "autoinstall.yaml"
    file.write_text(yaml.safe_dump({"autoinstall": found}))
    done = machine.run(script(found["early-commands"][0]), "/autoinstall.yaml")
    assert (done.status, done.errors) == (0, "")
    assert "stage=installing" in done.told
    after = yaml.safe_load(file.read_text())["autoinstall"]["storage"]["config"]
    by_id = {action["id"]: action for action in after}
    assert by_id["disk"]["path"] == "/dev/sdb"
    assert by_id["disk"]["grub_device"] is not uefi
    assert by_id["disk/ESP"]["grub_device"] is uefi


def test_a_layout_that_the_firmware_could_not_start_ends_it(tmp_path: Path) -> None:
    """Which firmware it is, is known on the machine."""
    found = data(asked.install(RELEASE, asked.MSDOS))
    machine = Machine(tmp_path)
    machine.disk("sda", serial="WD-1")
    file = tmp_path / "autoinstall.yaml"
    file.write_text(yaml.safe_dump(found))
    done = machine.run(script(found["early-commands"][0]), "/autoinstall.yaml")
    assert "boots+by+UEFI" in done.told
    assert "/dev/sda" not in file.read_text()


def test_a_disk_that_is_not_blank_ends_it_before_a_write(tmp_path: Path) -> None:
    """The refusal is reported, and the machine goes off: the answers still name no disk."""
    found = data(asked.install(RELEASE))
    machine = Machine(tmp_path)
    machine.disk("sda", size=100 * GIB, serial="WD-1", found="gpt")
    file = tmp_path / "autoinstall.yaml"
    file.write_text(yaml.safe_dump(found))
    done = machine.run(script(found["early-commands"][0]), "/autoinstall.yaml")
    assert done.status != 0
    assert "stage=failed" in done.told
    assert "is+not+blank:+gpt" in done.told
    assert done.told.endswith("poweroff\n")
    assert "/dev/sda" not in file.read_text()


@pytest.mark.parametrize("name", asked.LAYOUTS)
def test_what_an_action_stands_on_comes_before_it(name: str) -> None:
    """curtin goes through its list once; each id is there once."""
    config = curtin.actions(asked.LAYOUTS[name], asked.SEALED_KEYS)["config"]
    seen: set[str] = set()
    for action in config:
        below = [action[key] for key in ("device", "volume", "volgroup") if key in action]
        below += action.get("devices", [])
        assert seen.issuperset(below), action
        assert action["id"] not in seen
        seen.add(action["id"])
    assert [one["path"] for one in config if one["type"] == "mount" and one["path"] == "/"]


def test_an_encrypted_volume_has_its_passphrase() -> None:
    """And what stands on it stands on the open mapping."""
    config = curtin.actions(asked.SEALED_LVM, asked.SEALED_KEYS)["config"]
    by_id = {action["id"]: action for action in config}
    assert by_id["first-pv-open"]["key"] == asked.PASSPHRASE
    assert by_id["vg0"]["devices"] == ["first-pv-open"]


def test_the_usual_layout_is_made() -> None:
    """Without one in the profile: the disk boots by UEFI and by a BIOS."""
    config = curtin.actions(usual(), {})["config"]
    assert [one.get("flag") for one in config if one["type"] == "partition"] == [
        "boot", "bios_grub", None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("layout", "where"),
    [
        (asked.BTRFS, "layout.disks[0].partitions[1].subvolumes"),
        (Layout((asked.disk("a", asked.files("root", "/"), asked.part("x", "1GiB")),)),
         "layout.disks[0].partitions[0].size"),
        (Layout((asked.disk("a", asked.files("root", "/"), wipe=Wipe.NEVER),)),
         "layout.disks[0].wipe"),
        (Layout((asked.disk("a", asked.files("boot", "/boot", "1GiB"), asked.files(
            "root", "/", encrypt=Encryption(KeySource.TPM2))),)),
         "layout.disks[0].partitions[1].encrypt.key"),
    ],
)  # fmt: skip
def test_what_curtin_cannot_do_is_refused_with_its_field(layout: Layout, where: str) -> None:
    """A layout is never translated into something else."""
    with pytest.raises(InputError) as error:
        check(FAMILY, asked.install(RELEASE, layout))
    assert error.value.where == where
