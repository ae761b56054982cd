"""Red Hat's kickstart: data in, commands out; judged by ksvalidator, and by running its scripts."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.errors import InputError
from ironwake.families.base import Install
from ironwake.families.redhat import FAMILY, FILE, anaconda, kickstart
from ironwake.layout.model import Layout
from ironwake.names import KernelWord, UserName
from ironwake.parameters.model import Repository, RootPolicy, Scripts, Security, User
from ironwake.parameters.network import Device, Kind, Network
from tests.families import asked
from tests.families.asked import HASH, KEY, LAYOUTS, NAUGHTY, install
from tests.families.shells import Machine, syntax

RELEASES = ("rocky-8", "alma-9", "rhel-10", "fedora-43")
OPENPGP = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nabc=\n-----END PGP PUBLIC KEY BLOCK-----"


def rich(release: str, layout: Layout | None = None) -> Install:
    """As much as can be stated."""
    return install(
        release,
        layout,
        keys=asked.SEALED_KEYS,
        match="auto",
        locale="de_DE.UTF-8",
        keyboard="de",
        timezone="Europe/Berlin",
        ntp=("ntp1.example", "ntp2.example"),
        users=(
            User(UserName("ada"), (KEY,), HASH, full_name="Ada's $(reboot) #1", groups=("audio",)),  # type: ignore[arg-type]
            User(UserName("bob"), admin=False),
        ),
        root=RootPolicy.KEYS,
        root_keys=(KEY,),
        network=Network((Device("wide", Kind.VLAN, dhcp=True, vlan=7),)),
        packages=("vim-enhanced",),
        package_groups=("@Development Tools", "^server-product-environment"),
        repositories=(Repository("extra", "http://mirror.example/extra", key=OPENPGP),),
        proxy="http://proxy.example:3128",
        kernel_arguments=(KernelWord("mitigations=auto"),),
        scripts=Scripts("echo before", "#!/bin/bash\n%end\necho after"),
        firmware=True,
        security=Security.PERMISSIVE,
    )


def ks(wanted: Install) -> str:
    return FAMILY.answers(wanted).files[FILE]


def section(text: str, *head: str) -> str:
    """The lines of the first section with these words."""
    found: list[dict[str, Any]] = kickstart.parse(text)["sections"]  # type: ignore[assignment]
    return "\n".join(next(s["lines"] for s in found if s["head"][: len(head)] == list(head)))


def prepared(folder: Path, text: str, *disks: str, uefi: bool = True) -> str:
    """The kickstart as anaconda reads it after %pre, on a machine with these blank disks."""
    folder.mkdir()
    machine = Machine(folder, uefi=uefi)
    for number, name in enumerate(disks):
        machine.disk(name, serial=f"serial-{number}")
    done = machine.run(section(text, "%pre"), anaconda.INCLUDE, "/tmp/ironwake-pre")
    assert done.status == 0, done.errors
    storage = (folder / Path(anaconda.INCLUDE).name).read_text()
    return text.replace(f"%include {anaconda.INCLUDE}\n", storage)


def validate(version: str, *files: Path) -> str:
    """What ksvalidator, the format's own judge, says; "" for nothing."""
    done = subprocess.run(
        [str(Path(sys.executable).parent / "ksvalidator"), "-v", version, *map(str, files)],
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize("release", RELEASES)
def test_ksvalidator_accepts_all_layouts_in_every_version(release: str, tmp_path: Path) -> None:
    """What anaconda reads once %pre has run: the whole file, with the machine's own disks in it."""
    layouts: dict[str, Layout | None] = {"none": None, **LAYOUTS}
    if release.startswith("fedora"):
        layouts["btrfs"] = asked.BTRFS
    made = []
    for name, layout in layouts.items():
        wanted = rich(release, layout)
        FAMILY.check(wanted)
        disks = ("vda", "nvme0n1")[: len(layout.disks) if layout else 1]
        made.append(tmp_path / f"{name}.ks")
        text = prepared(tmp_path / name, ks(wanted), *disks, uefi=layout is not asked.MSDOS)
        made[-1].write_text(text)
    assert validate(wanted.release.options["kickstart"], *made) == ""


def test_a_layout_is_told_with_the_devices_of_this_machine(tmp_path: Path) -> None:
    """Partitions, group and volumes, sizes in MiB, and no disk but those of the layout."""
    text = prepared(tmp_path / "m", ks(rich("rocky-9", asked.LVM)), "vda")
    lines = text.splitlines()
    assert "ignoredisk --only-use=vda" in [line.replace("'", "") for line in lines]
    plain = [line.replace("'", "") for line in lines]
    assert "part /boot/efi --fstype=efi --size=512 --ondisk=vda" in plain
    assert "part pv.01 --size=500 --grow --ondisk=vda" in plain
    assert "volgroup vg0 pv.01" in plain
    assert "logvol / --vgname=vg0 --name=root --fstype=xfs --size=20480" in plain
    assert "logvol swap --vgname=vg0 --name=swap --fstype=swap --size=4096" in plain


def test_a_part_of_a_disk_is_reckoned_on_the_machine(tmp_path: Path) -> None:
    """Kickstart knows no percent of a disk: 25% of 100 GiB are 25 GiB."""
    text = prepared(tmp_path / "m", ks(rich("rocky-9", asked.PERCENT)), "vda")
    assert "part / --fstype=ext4 --size=25600 --ondisk=vda" in text.replace("'", "")


def test_arrays_stand_on_the_disks_that_were_matched(tmp_path: Path) -> None:
    """The two disks of a mirror get a member each, whatever the kernel calls them."""
    text = prepared(tmp_path / "m", ks(rich("rocky-9", asked.RAID)), "vdb", "vda").replace("'", "")
    members = re.findall(r"^part raid\.(\d+) .*--ondisk=(\w+)", text, re.MULTILINE)
    assert sorted(disk for _, disk in members) == ["vda", "vdb"]
    assert "raid / --device=both --level=RAID1 --fstype=xfs raid.01 raid.02" in text


def test_passphrases_come_through_the_shell_as_they_are(tmp_path: Path) -> None:
    """%pre writes them in a here-document, where shells know $, ` and \\ only."""
    text = prepared(tmp_path / "m", ks(rich("rocky-9", asked.SEALED_LVM)), "vda")
    commands: list[list[str]] = kickstart.parse(text)["commands"]  # type: ignore[assignment]
    words = next(words for words in commands if words[:2] == ["part", "pv.01"])
    assert f"--passphrase={asked.PASSPHRASE}" in words
    assert "--encrypted" in words


@pytest.mark.parametrize(
    ("found", "erase", "goes_on"),
    [
        ("", (), True),
        ("gpt", (), False),
        ("gpt", ("WD-1",), True),
        ("ext4", ("WD-10", "it's"), False),
    ],
)
def test_only_a_blank_disk_or_one_to_erase_is_told_to_anaconda(
    found: str, erase: tuple[str, ...], goes_on: bool, tmp_path: Path
) -> None:
    """The guard stands before everything: refused, there is no file with commands for disks."""
    machine = Machine(tmp_path)
    machine.disk("vda", serial="WD-1", found=found)
    pre = section(ks(install("rocky-9", erase=erase)), "%pre")
    done = machine.run(pre, anaconda.INCLUDE)
    assert (tmp_path / Path(anaconda.INCLUDE).name).exists() is goes_on
    assert ("stage=failed" in done.told and "poweroff" in done.told) is not goes_on
    assert ("step=partition" in done.told) is goes_on


@pytest.mark.parametrize(
    ("layout", "uefi", "lacking"), [(asked.MSDOS, True, "esp"), (asked.LVM, False, "bios-boot")]
)
def test_a_layout_that_this_firmware_could_not_start_is_refused(
    layout: Layout, uefi: bool, lacking: str, tmp_path: Path
) -> None:
    """Anaconda would say so too, on its screen, and wait."""
    machine = Machine(tmp_path, uefi=uefi)
    machine.disk("vda")
    done = machine.run(section(ks(install("rocky-9", layout)), "%pre"), anaconda.INCLUDE)
    assert f"role:+{lacking}" in done.told
    assert not (tmp_path / Path(anaconda.INCLUDE).name).exists()


@pytest.mark.parametrize("match", ["WD-9", "/dev/disk/by-path/none", "wwn:0x5"])
def test_a_disk_that_is_named_but_not_there_is_refused(match: str, tmp_path: Path) -> None:
    """Anaconda must not look for another disk than the profile names."""
    machine = Machine(tmp_path)
    machine.disk("vda", serial="WD-1")
    done = machine.run(section(ks(install("rocky-9", match=match)), "%pre"), anaconda.INCLUDE)
    assert "stage=failed" in done.told
    assert not (tmp_path / Path(anaconda.INCLUDE).name).exists()


@pytest.mark.parametrize("release", RELEASES)
def test_all_scripts_are_posix_shell(release: str) -> None:
    """`sh -n` has nothing against any of them."""
    found: list[dict[str, Any]] = kickstart.parse(ks(rich(release)))["sections"]  # type: ignore[assignment]
    scripts = [one for one in found if one["head"][0] != "%packages"]
    assert len(scripts) >= 5
    for one in scripts:
        assert syntax("\n".join(one["lines"])) == "", one["head"]


def test_pykickstart_reads_hostile_texts_as_they_are_meant(tmp_path: Path) -> None:
    """Our reader splits words as pykickstart does: both give the very text back."""
    reader = (
        "import json, sys\n"
        "from pykickstart.parser import KickstartParser\n"
        "from pykickstart.version import makeVersion\n"
        "parser = KickstartParser(makeVersion('RHEL9'))\n"
        "parser.readKickstart(sys.argv[1])\n"
        "print(json.dumps([user.gecos for user in parser.handler.user.userList]))\n"
    )
    names = [text for text in NAUGHTY if ":" not in text and "," not in text]
    users = tuple(
        User(UserName(f"user{number}"), full_name=name) for number, name in enumerate(names)
    )
    file = tmp_path / "ks.cfg"
    file.write_text(ks(install("rocky-9", users=users)).replace("%include", "#"))
    done = subprocess.run(
        [sys.executable, "-c", reader, str(file)], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == names
    commands: list[list[str]] = FAMILY.parse(FILE, file.read_text())["commands"]  # type: ignore[index]
    ours = [word[8:] for words in commands for word in words if word.startswith("--gecos=")]
    assert ours == names


@given(st.text(max_size=100))
def test_no_script_of_a_person_ends_its_section(text: str) -> None:
    """Whatever is in it, the file has the same sections: a line `%end` is no end."""
    try:
        scripts = Scripts(text, text)
    except InputError:
        return
    usual = kickstart.parse(ks(install("rocky-9")))
    there = kickstart.parse(ks(install("rocky-9", scripts=scripts)))
    heads = [[one["head"] for one in one["sections"]] for one in (usual, there)]  # type: ignore[attr-defined]
    assert heads[0] == heads[1]
    assert there["commands"] == usual["commands"]


@given(st.lists(st.lists(st.text(max_size=20), min_size=1, max_size=4).map(tuple), max_size=4))
def test_commands_come_back_equal_or_are_refused(commands: list[tuple[str, ...]]) -> None:
    """No word brings a line, a comment, a section or another word with it."""
    try:
        text = kickstart.dump(commands, [])
    except InputError:
        return
    assert kickstart.parse(text) == {"commands": [list(one) for one in commands], "sections": []}


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    """The reader raises nothing but InputError."""
    with suppress(InputError):
        assert set(kickstart.parse(text)) == {"commands", "sections"}


@pytest.mark.parametrize("group", ["base --optional", "a\nb", "%end", "-x", "a -b"])
def test_a_group_that_would_be_an_option_is_refused(group: str) -> None:
    """A group's line may have options behind its name."""
    with pytest.raises(InputError) as caught:
        FAMILY.check(install("rocky-9", package_groups=(group,)))
    assert caught.value.where == "package_groups"


@pytest.mark.parametrize(
    ("layout", "where"),
    [
        (asked.BTRFS, "layout.disks[0].partitions[1].format"),
        (
            Layout((asked.disk("a", asked.files("r", "/"), asked.part("idle", "1GiB")),)),
            "layout.disks[0].partitions[1]",
        ),
        (
            Layout((asked.disk("a", asked.files("r", "/"), asked.files("k", "/k", keep=True)),)),
            "layout.disks[0].partitions[1].keep",
        ),
    ],
)
def test_what_anaconda_cannot_make_is_named(layout: Layout, where: str) -> None:
    """A clear no, with the item of the layout, before anything is booted."""
    with pytest.raises(InputError) as caught:
        FAMILY.check(install("rocky-9", layout))
    assert caught.value.where == where


def test_a_fragment_stands_at_the_end_and_is_read_first() -> None:
    """What a person adds raw is kickstart at least, and about no disk that nobody has looked at."""
    added = ks(install("rocky-9", fragments={"redhat": "eula --agreed"}))
    assert added.endswith("\neula --agreed\n")
    for wrong in ("%post\nno end", "eula --agreed\nclearpart --all", "ignoredisk --drives=sda"):
        with pytest.raises(InputError) as caught:
            FAMILY.check(install("rocky-9", fragments={"redhat": wrong}))
        assert caught.value.where == "fragments.redhat"


def test_a_proxy_stands_before_the_world_and_not_before_the_appliance() -> None:
    """The medium's tree is on the machine's own network."""
    text = ks(rich("rocky-9"))
    assert f"url --url={asked.SITE}/media/{'0' * 64}\n" in text
    assert "--baseurl=http://mirror.example/extra --proxy=http://proxy.example:3128\n" in text


def test_versions_differ_by_their_rows_alone() -> None:
    """8 names time servers with the time zone; later ones by a command of its own."""
    old, new = ks(rich("rocky-8")), ks(rich("rocky-9"))
    assert "timezone Europe/Berlin --utc --ntpservers=ntp1.example,ntp2.example\n" in old
    assert "timesource --ntp-server=ntp2.example\n" in new
    assert "%traceback" in old
    assert "%traceback" not in new


def test_a_registration_takes_organization_and_key() -> None:
    """Red Hat's own release only, and never half of it."""
    both = {"rhsm_organization": "1234", "rhsm_activation_key": "web key"}
    assert "rhsm --organization=1234 '--activation-key=web key'" in ks(install("rhel-9", vars=both))
    assert "rhsm" not in ks(install("rocky-9", vars=both))
    with pytest.raises(InputError):
        ks(install("rhel-9", vars={"rhsm_organization": "1234"}))


def test_the_kernel_finds_its_card_by_the_address_that_booted() -> None:
    """And its answers, and what it installs from, by their URLs."""
    words = FAMILY.arguments(install("rocky-9"))
    assert "BOOTIF=01-52-54-00-77-00-10" in words
    assert f"inst.ks={asked.SITE}/deployments/{asked.TOKEN}/answers/ks.cfg" in words
    assert f"inst.repo={asked.SITE}/media/{'0' * 64}" in words
    # Anaconda would leave the kickstart in the new system, with its passphrases.
    assert "inst.nosave=all_ks" in words
