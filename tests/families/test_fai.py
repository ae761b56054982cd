"""FAI: its configuration space, its disks, and what it says while it works."""

from __future__ import annotations

import base64
import dataclasses
import shlex
import string
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake import release as releases
from ironwake.disk import DiskMatch
from ironwake.errors import InputError
from ironwake.families import networkd
from ironwake.families.base import Install, Urls
from ironwake.families.fai import FAMILY, SPACE, reports, tarball
from ironwake.families.fai.disks import boot_disks, disk_config
from ironwake.firstboot import File
from ironwake.layout.model import (
    Array,
    DiskLayout,
    Encryption,
    Format,
    Group,
    KeySource,
    Layout,
    Level,
    LogicalVolume,
    MountPoint,
    Partition,
    Role,
    Table,
    VolumeName,
)
from ironwake.layout.usual import usual
from ironwake.mac import Mac
from ironwake.names import KernelWord, UserName
from ironwake.parameters import Parameters
from ironwake.parameters.model import Repository, RootPolicy, Scripts, Security, User
from ironwake.parameters.network import Device, Kind, Network
from ironwake.profile import Disk
from ironwake.report import Stage
from ironwake.sizes import Size
from ironwake_testing.core import make_bench

TOKEN = "ab" * 32
SITE = "http://10.77.0.2"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFakeFakeFakeFakeFakeFake me@laptop"
HASH = "$6$salt$" + "x" * 60


def install(layout: Layout | None = None, erase: tuple[str, ...] = (), **stated: Any) -> Install:
    """For the bench's machine, with these parameters."""
    bench = make_bench()
    return Install(
        release=releases.find("fai-debian-12"),
        machine=bench.machine,
        parameters=Parameters(**stated),
        disk=Disk(),
        layout=layout,
        site=bench.policy.site,
        mac=bench.machine.macs[0],
        urls=Urls(
            f"{SITE}/deployments/{TOKEN}/answers/",
            f"{SITE}/deployments/{TOKEN}/callbacks",
            f"{SITE}/deployments/{TOKEN}/reports",
            f"{SITE}/health/{'cd' * 32}",
            packages="http://mirror.example/debian",
            parts={"squashfs": f"{SITE}/artifacts/{'0' * 64}/fai.squashfs"},
        ),
        erase=erase,
    )


def space(asked: Install) -> dict[str, str]:
    """Path → text of its configuration space, out of the archive itself."""
    packed = base64.b64decode(FAMILY.answers(asked).files[SPACE])
    return {path: file.text for path, file in tarball.unpack(packed).items()}


def part(name: str, size: str = "grow", **more: Any) -> Partition:
    return Partition(VolumeName(name), size=Size(size), **more)


def root(name: str = "root", size: str = "grow", **more: Any) -> Partition:
    return part(name, size, format=Format.EXT4, mount=MountPoint("/"), **more)


def disk(name: str, *parts: Partition, **more: Any) -> DiskLayout:
    return DiskLayout(VolumeName(name), parts, **more)


@pytest.fixture(scope="module")
def rich() -> Install:
    """As much as can be stated."""
    return install(
        domain="site.example",
        locale="de_DE.UTF-8",
        keyboard="de",
        timezone="Europe/Berlin",
        ntp=("ntp.example",),
        users=(
            User(UserName("ada"), (KEY,), HASH, full_name="Ada; $(reboot)", groups=("audio",)),  # type: ignore[arg-type]
            User(UserName("bob"), admin=False),
        ),
        root=RootPolicy.KEYS,
        root_keys=(KEY,),
        packages=("htop",),
        package_groups=("web-server",),
        repositories=(Repository("own", "http://apt.example/x", "stable", ("main",)),),
        proxy="http://proxy.example:3128",
        kernel_arguments=(KernelWord("nosmt=force"),),
        scripts=Scripts("echo before", "#!/bin/bash\necho after"),
        firmware=True,
        security=Security.DISABLED,
    )


def test_the_same_machine_gets_the_same_bytes(rich: Install) -> None:
    """Nothing of a clock or of an owner is in the archive."""
    assert FAMILY.answers(rich) == FAMILY.answers(dataclasses.replace(rich))


def test_gnu_tar_reads_the_archive(rich: Install, tmp_path: Path) -> None:
    """All files with their modes: FAI leaves out hooks that are not executable."""
    packed = tmp_path / SPACE
    packed.write_bytes(base64.b64decode(FAMILY.answers(rich).files[SPACE]))
    subprocess.run(["tar", "-xzf", packed, "-C", tmp_path], check=True)
    found = FAMILY.parse(SPACE, FAMILY.answers(rich).files[SPACE])
    assert isinstance(found, dict)
    for path, (mode, text) in found.items():
        assert (tmp_path / path).read_text() == text
        assert (tmp_path / path).stat().st_mode & 0o777 == mode


def test_every_script_is_one(rich: Install, tmp_path: Path) -> None:
    """Bash takes each hook and script, whatever was stated."""
    for number, (path, text) in enumerate(space(rich).items()):
        if path.startswith(("hooks/", "scripts/", "class/", "ironwake/guard")):
            file = tmp_path / str(number)
            file.write_text(text)
            subprocess.run(["bash", "-n", file], check=True)


def test_what_was_stated_stands_where_the_system_reads_it(rich: Install) -> None:
    """Names, keys, sources, packages: each in its file."""
    files = space(rich)
    assert files["package_config/IRONWAKE"] == (
        "PACKAGES install-norec\nhtop\nlocales\nfirmware-linux\nPACKAGES taskinst\nweb-server\n"
    )
    sources = files["files/etc/apt/sources.list/IRONWAKE"]
    assert sources == "deb http://mirror.example/debian bookworm main non-free-firmware\n"
    assert "http://apt.example/x" in files["files/etc/apt/sources.list.d/own.sources/IRONWAKE"]
    assert "node1.site.example" in files["ironwake/root/etc/hosts"]
    assert files["ironwake/root/etc/locale.gen"] == "de_DE.UTF-8 UTF-8\n"
    assert files["ironwake/keys/ada"] == f"{KEY}\n"
    assert files["ironwake/root/root/.ssh/authorized_keys"] == f"{KEY}\n"
    assert files["ironwake/root/etc/sudoers.d/90-ironwake"] == "ada ALL=(ALL:ALL) NOPASSWD: ALL\n"
    assert "nosmt=force apparmor=0" in files["ironwake/root/etc/default/grub"]
    assert files["ironwake/pre"] == "#!/bin/sh\necho before"
    assert files["ironwake/post"] == "#!/bin/bash\necho after"


def test_the_kernel_is_told_no_secret_and_nothing_of_a_persons(rich: Install) -> None:
    """FAI's shell runs NAME=value words of its command line: none is anybody's own text."""
    words = FAMILY.arguments(rich)
    assert f"FAI_CONFIG_SRC={SITE}/deployments/{TOKEN}/answers/{SPACE}" in words
    assert f"FAI_SENDID={TOKEN}" in words
    assert f"root=live:{rich.urls.parts['squashfs']}" in words
    assert not any("nosmt" in word for word in words)
    assert all(KernelWord(word) == word for word in words)


def test_a_disk_is_looked_at_before_it_is_divided() -> None:
    """The guard knows which disk is meant and which may go; a refusal never gets to FAI."""
    asked = dataclasses.replace(install(erase=("WD-1",)), disk=Disk(DiskMatch("WD-1")))
    files = space(asked)
    assert "named WD-1" in files["ironwake/guard"]
    assert "grep -qxF -e WD-1" in files["ironwake/guard"]
    hook = files["hooks/partition.IRONWAKE.sh"]
    assert hook.index("ironwake/guard") < hook.index("event=begin")


def test_fragments_are_files_of_the_space() -> None:
    """A person's own files come besides; neither ours nor what is outside may be given."""
    own = install(fragments={"fai": '{"package_config/MINE": "PACKAGES\\nvim\\n"}'})
    assert space(own)["package_config/MINE"] == "PACKAGES\nvim\n"
    for text in (
        '{"disk_config/IRONWAKE": "x"}',
        '{"disk_config/OWN": "disk_config /dev/sdb"}',
        '{"../etc/passwd": "x"}',
        '{"hooks/../../x": "x"}',
        '{"hooks/x": 1}',
        "no json",
    ):
        with pytest.raises(InputError) as error:
            FAMILY.check(install(fragments={"fai": text}))
        assert error.value.where == "fragments.fai"


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_a_hostile_name_comes_back_equal_or_is_refused(text: str) -> None:
    """A person's full name is one word of one command, or is refused by its field."""
    if not text.isprintable() or ":" in text or "," in text:
        with pytest.raises(InputError) as error:
            User(UserName("ada"), full_name=text)
        assert error.value.where == "full_name"
        return
    user = User(UserName("ada"), full_name=text)
    script = space(install(users=(user,)))["scripts/IRONWAKE/10-system"]
    (line,) = (line for line in script.splitlines() if "useradd" in line)
    words = shlex.split(line)
    assert words[words.index("-c") + 1] == text


def test_the_usual_disk_boots_both_ways() -> None:
    """An EFI system partition, room for GRUB's core, and the rest for the root."""
    assert disk_config(usual()) == (
        "disk_config disk1 disklabel:gpt-bios fstabkey:uuid align-at:1M bootable:1\n"
        "p=ESP /boot/efi 256MiB vfat umask=0077\n"
        "p=root / 1500MiB- ext4 defaults\n"
    )
    assert boot_disks(usual()) == (0,)


def test_arrays_and_groups_stand_on_partitions_by_their_numbers() -> None:
    """setup-storage counts partitions from 1, and makes the one for GRUB's core by itself."""
    parts = (part("core", "1MiB", role=Role.BIOS_BOOT), part("sys", "20GiB"))
    layout = Layout(
        (disk("a", *parts, match=DiskMatch("A")), disk("b", *parts, match=DiskMatch("B"))),
        (Array(VolumeName("both"), level=Level.MIRROR, of=("a/sys", "b/sys")),),
        (
            Group(
                VolumeName("vg0"),
                ("both",),
                (
                    LogicalVolume(
                        VolumeName("root"),
                        Format.EXT4,
                        MountPoint("/"),
                        ("noatime",),
                        size=Size("8GiB"),
                    ),
                    LogicalVolume(VolumeName("swap"), Format.SWAP, size=Size("1GB")),
                ),
            ),
        ),
    )
    text = disk_config(layout)
    assert "p=sys - 20480MiB - -" in text
    assert "disk_config raid fstabkey:uuid\nraid1 - disk1.1,disk2.1 - -\n" in text
    assert "vg vg0 md0\nvg0-root / 8192MiB ext4 noatime\nvg0-swap swap 953MiB swap sw\n" in text
    assert boot_disks(layout) == (0, 1)
    assert "mdadm\nlvm2\n" in space(install(layout))["package_config/IRONWAKE"]


def test_an_msdos_table_has_logical_partitions_from_the_fourth_on() -> None:
    """Numbered from 5, as the kernel does."""
    parts = [root(size="4GiB"), *(part(f"p{n}", "1GiB", format=Format.EXT4) for n in range(4))]
    text = disk_config(Layout((disk("d", *parts, table=Table.MSDOS),)))
    assert text.count("primary ") == 3
    assert text.count("logical ") == 2
    assert "bootable:1" in text


@pytest.mark.parametrize(
    ("layout", "where"),
    [
        (
            Layout(
                (
                    disk(
                        "d",
                        root(size="4GiB"),
                        part("x", format=Format.EXT4, encrypt=Encryption(KeySource.PASSPHRASE)),
                    ),
                )
            ),
            "layout.disks[0].partitions[1].encrypt",
        ),
        (
            Layout((disk("d", root(size="4GiB"), part("x", keep=True)),)),
            "layout.disks[0].partitions[1].keep",
        ),
        (
            Layout(
                (disk("d", root(size="4GiB"), part("p")),),
                groups=(
                    Group(
                        VolumeName("a-b"),
                        ("d/p",),
                        (LogicalVolume(VolumeName("v"), Format.EXT4),),
                    ),
                ),
            ),
            "layout.groups[0].name",
        ),
    ],
)
def test_what_fai_cannot_make_is_refused_by_its_field(layout: Layout, where: str) -> None:
    """Before anything is served."""
    with pytest.raises(InputError) as error:
        FAMILY.check(install(layout))
    assert error.value.where == where


def test_packages_need_a_mirror() -> None:
    """Else the installation would end with errors of apt's."""
    asked = install(packages=("htop",))
    without = dataclasses.replace(asked, urls=dataclasses.replace(asked.urls, packages=""))
    with pytest.raises(InputError) as error:
        FAMILY.check(without)
    assert error.value.where == "mirror"


def test_the_network_of_bonds_and_vlans() -> None:
    """Cards by their addresses; a card in a bond has none of its own.

    What is made of cards comes first: systemd before 251 does not know Kind=, and a VLAN has the
    address of its card.
    """
    network = Network(
        (
            Device("uplink", Kind.BOND, ("boot", "52:54:00:12:34:57")),
            Device(
                "office", Kind.VLAN, ("uplink",), addresses=("192.0.2.7/24",), vlan=20, mtu=1400
            ),
        ),
        ("192.0.2.1",),
    )
    files = {file.path.rpartition("/")[2]: file.text for file in networkd.files(network, MAC)}
    assert files["10-uplink.netdev"].startswith("[NetDev]\nName=uplink\nKind=bond\n")
    assert "Id=20" in files["10-office.netdev"]
    card = files["30-52-54-00-77-00-10.network"]
    assert "MACAddress=52:54:00:77:00:10\nKind=!*\n" in card
    assert "Bond=uplink" in card
    assert "VLAN=office" in files["20-uplink.network"]
    assert "MTUBytes=1400" in files["20-office.network"]
    assert "Address=192.0.2.7/24" in files["20-office.network"]
    assert "DNS=192.0.2.1" in files["20-office.network"]


MAC = Mac("52:54:00:77:00:10")


@given(
    st.dictionaries(
        st.text(string.ascii_letters + "/._-", min_size=1, max_size=60).filter(
            lambda name: all(part not in ("", ".", "..") for part in name.split("/"))
        ),
        st.text(st.characters(exclude_categories=["Cs"])),
        max_size=5,
    )
)
def test_an_archive_comes_back_equal(texts: dict[str, str]) -> None:
    """Whatever the texts are."""
    files = [File(path, 0o644, text) for path, text in texts.items()]
    assert dict(tarball.unpack(tarball.pack(files))) == {file.path: file for file in files}


@given(st.binary(max_size=300))
def test_whatever_is_no_archive_is_refused(raw: bytes) -> None:
    """By InputError, and nothing else."""
    with pytest.raises(InputError):
        tarball.unpack(raw)


@pytest.mark.parametrize(
    ("line", "stage", "step"),
    [
        (b"node1 TASKBEGIN partition", Stage.INSTALLING, "partition"),
        (b"node1 TASKEND partition 710", Stage.FAILED, "partition"),
        (b"node1 TASKERROR partition 21", None, ""),
        (b"node1 TASKEND partition 0", None, ""),
        (b"node1 TASKBEGIN faiend", None, ""),
        (b"node1 HOOK partition.IRONWAKE.sh", None, ""),
        (b"node1 check", None, ""),
    ],
)
def test_what_the_monitor_is_told(line: bytes, stage: Stage | None, step: str) -> None:
    """Lines as FAI 6.0.3 has sent them."""
    said = reports.message(line)
    assert said is not None
    callback = reports.monitored(said)
    assert (callback.stage if callback else None) == stage
    if callback:
        assert callback.step == step


@given(st.binary(max_size=300))
def test_hostile_lines_and_forms_are_no_news(raw: bytes) -> None:
    """Nothing is raised, and no text of theirs comes through but names of tasks."""
    said = reports.message(raw)
    callback = (reports.monitored(said) if said else None) or FAMILY.heard("", raw)
    assert callback is None or callback.stage in (Stage.INSTALLING, Stage.FAILED)


def test_only_the_last_task_without_errors_is_an_end() -> None:
    """FAI runs the hook of its last task from its `die`, too, with the task that failed."""
    heard = [
        FAMILY.heard("", f"event=result&task={task}&code={code}".encode())
        for task, code in (("savelog", 0), ("mountdisks", 0), ("savelog", 471), ("partition", 710))
    ]
    stages = [callback.stage if callback else None for callback in heard]
    assert stages == [Stage.INSTALLED, Stage.FAILED, Stage.FAILED, Stage.FAILED]
    assert heard[3] is not None
    assert "too small" in heard[3].message
