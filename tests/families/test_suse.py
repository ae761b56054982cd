"""SUSE's answer files: AutoYaST's XML and Agama's JSON; read again, and their scripts run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.errors import InputError
from ironwake.families.base import Install
from ironwake.families.suse import FAMILY, agama, autoyast, yastxml
from ironwake.families.suse.yastxml import Symbol
from ironwake.layout.model import Format, Layout, MountPoint
from ironwake.names import KernelWord, UserName
from ironwake.parameters.model import Repository, RootPolicy, Scripts, Security, User
from ironwake.parameters.network import BondMode, Device, Kind, Network
from tests.families import asked
from tests.families.asked import HASH, KEY, LAYOUTS, NAUGHTY, install
from tests.families.shells import GIB, Machine, syntax

OLD, NEW = ("leap-15.6", "sles-15.7", "tumbleweed"), ("leap-16.0", "sles-16.0")
NETWORK = Network(
    (
        Device("uplink", Kind.BOND, ("boot", "52:54:00:12:34:57"), mode=BondMode.LACP),
        Device("office", Kind.VLAN, ("uplink",), addresses=("192.0.2.7/24", "2001:db8::7/64"),
               gateway="192.0.2.1", vlan=20),
        Device("guests", Kind.BRIDGE, ("52:54:00:12:34:58",), dhcp=True, mtu=9000),
    ),
    name_servers=("192.0.2.53",),
)  # fmt: skip


def rich(release: str, layout: Layout | None = None) -> Install:
    """As much as can be stated."""
    return install(
        release,
        layout,
        keys=asked.SEALED_KEYS,
        locale="de_DE.UTF-8",
        keyboard="de",
        timezone="Europe/Berlin",
        ntp=("ntp1.example",),
        users=(
            User(UserName("ada"), (KEY,), HASH, full_name="Ada <&> $(reboot)", groups=("audio",)),  # type: ignore[arg-type]
            User(UserName("bob"), (KEY,), admin=False),
        ),
        root=RootPolicy.KEYS,
        root_keys=(KEY,),
        network=NETWORK,
        packages=("vim",),
        package_groups=("devel_basis",),
        repositories=(Repository("extra", "http://mirror.example/extra"),),
        kernel_arguments=(KernelWord("mitigations=auto"),),
        scripts=Scripts("echo before", "#!/bin/bash\necho after]]>"),
        firmware=True,
        security=Security.DISABLED,
    )


def xml(wanted: Install) -> dict[str, Any]:
    """The control file, read back."""
    FAMILY.check(wanted)
    return yastxml.parse(FAMILY.answers(wanted).files[autoyast.FILE])


def profile(wanted: Install) -> dict[str, Any]:
    """Agama's, read back."""
    FAMILY.check(wanted)
    found: dict[str, Any] = json.loads(FAMILY.answers(wanted).files[agama.FILE])
    return found


@pytest.mark.parametrize("release", OLD)
@pytest.mark.parametrize("layout", [None, *LAYOUTS.values(), asked.BTRFS])
def test_autoyast_reads_what_was_meant(release: str, layout: Layout | None) -> None:
    """By Python's own XML reader: the right namespaces, and each kind of value as it was."""
    wanted = rich(release, layout)
    text = FAMILY.answers(wanted).files[autoyast.FILE]
    root = ElementTree.fromstring(text)  # noqa: S314 (our own)
    assert root.tag == "{http://www.suse.com/1.0/yast2ns}profile"
    kind = "{http://www.suse.com/1.0/configns}type"
    assert {one.get(kind) for top in root for one in top.iter() if len(one)} == {"map", "list"}
    rows = xml(wanted)
    assert rows["users"][1]["fullname"] == "Ada <&> $(reboot)"
    assert rows["general"]["mode"]["confirm"] is False
    assert rows["bootloader"]["global"]["append"].startswith("mitigations=auto ")


def test_autoyast_gets_drives_arrays_and_groups() -> None:
    """Each disk by a mark; members by names; volumes by groups."""
    raid = xml(rich("leap-15.6", asked.RAID))["partitioning"]
    assert [one["type"] for one in raid] == [Symbol("CT_DISK"), Symbol("CT_DISK"), Symbol("CT_MD")]
    assert raid[1]["partitions"] == [
        {"create": True, "partition_id": 253, "size": "max", "format": False,
         "raid_name": "/dev/md/both"}
    ]  # fmt: skip
    assert raid[2]["partitions"][0]["mount"] == "/"
    lvm = xml(rich("leap-15.6", asked.LVM))["partitioning"]
    assert lvm[1]["device"] == "/dev/vg0"
    assert [one["size"] for one in lvm[1]["partitions"]] == ["20480M", "4096M", "max"]
    sealed = xml(rich("leap-15.6", asked.SEALED_LVM))["partitioning"][0]["partitions"][2]
    assert (sealed["crypt_method"], sealed["crypt_key"]) == (Symbol("luks2"), asked.PASSPHRASE)
    assert sealed["lvm_group"] == "vg0"


def test_autoyast_names_cards_by_their_addresses() -> None:
    """Bond, VLAN and bridge; udev's rules say which card is which."""
    rows = xml(rich("leap-15.6"))["networking"]
    cards = {one["value"]: one["name"] for one in rows["net-udev"]}
    assert cards == {
        "52:54:00:77:00:10": "net525400770010",
        "52:54:00:12:34:57": "net525400123457",
        "52:54:00:12:34:58": "net525400123458",
    }
    by_name = {one["name"]: one for one in rows["interfaces"]}
    assert by_name["uplink"]["bonding_slave1"] == "net525400123457"
    assert by_name["office"]["etherdevice"] == "uplink"
    assert by_name["office"]["aliases"]["alias0"]["IPADDR"] == "2001:db8::7"
    assert by_name["guests"]["bridge_ports"] == "net525400123458"
    assert by_name["net525400770010"]["bootproto"] == "none"
    assert rows["routing"]["routes"][0]["gateway"] == "192.0.2.1"


def test_tumbleweeds_network_is_networkmanagers() -> None:
    """It has no wicked: the keyfiles stand in the new system before its first boot."""
    rows = xml(rich("tumbleweed"))
    assert rows["networking"]["managed"] is True
    assert "interfaces" not in rows["networking"]
    source = rows["scripts"]["chroot-scripts"][0]["source"]
    assert "system-connections/office.nmconnection" in source


@pytest.mark.parametrize(
    ("found", "erase", "goes_on"),
    [("", (), True), ("gpt", (), False), ("gpt", ("WD-1",), True), ("ext4", ("WD-10",), False)],
)
def test_autoyast_hears_of_a_disk_only_behind_the_guard(
    found: str, erase: tuple[str, ...], goes_on: bool, tmp_path: Path
) -> None:
    """The pre-script makes the copy with the device in it, or ends the machine without one."""
    machine = Machine(tmp_path)
    machine.disk("nvme0n1", serial="WD-1", found=found)
    (tmp_path / "profile").mkdir()
    text = FAMILY.answers(install("leap-15.6", erase=erase)).files[autoyast.FILE]
    (tmp_path / "profile" / "autoinst.xml").write_text(text)
    pre = xml(install("leap-15.6", erase=erase))["scripts"]["pre-scripts"][0]["source"]
    done = machine.run(pre, "/tmp/profile")
    copy = tmp_path / "profile" / "modified.xml"
    assert copy.exists() is goes_on
    assert ("stage=failed" in done.told and "poweroff" in done.told) is not goes_on
    if goes_on:
        assert done.status == 0, done.errors
        assert yastxml.parse(copy.read_text())["partitioning"][0]["device"] == "/dev/nvme0n1"  # type: ignore[index, call-overload]


@pytest.mark.parametrize("release", NEW)
@pytest.mark.parametrize("layout", [None, *LAYOUTS.values()])
def test_agamas_script_puts_the_devices_into_the_profile(
    release: str, layout: Layout | None, tmp_path: Path
) -> None:
    """It fetches the profile, names the disks and reckons shares; what it leaves is JSON."""
    machine = Machine(tmp_path, uefi=layout is not asked.MSDOS)
    disks = ("vda", "nvme0n1")[: len(layout.disks) if layout else 1]
    for name in disks:
        machine.disk(name, serial=f"serial-{name}")
    answers = FAMILY.answers(rich(release, layout)).files
    (tmp_path / "fetched").write_text(answers[agama.FILE])
    done = machine.run(answers[agama.SCRIPT], agama.COPY, "/run/ironwake-pre")
    assert done.status == 0, done.errors
    rows = json.loads((tmp_path / Path(agama.COPY).name).read_text())
    assert sorted(one["search"] for one in rows["storage"]["drives"]) == sorted(
        f"/dev/{name}" for name in disks
    )
    assert "IRONWAKE" not in json.dumps(rows["storage"])
    assert rows["scripts"] == json.loads(answers[agama.FILE])["scripts"]


def test_agama_gets_a_share_of_a_disk_in_bytes(tmp_path: Path) -> None:
    """25% of 100 GiB, as far as a shell reckons."""
    machine = Machine(tmp_path)
    machine.disk("vda")
    answers = FAMILY.answers(install("leap-16.0", asked.PERCENT)).files
    (tmp_path / "fetched").write_text(answers[agama.FILE])
    machine.run(answers[agama.SCRIPT], agama.COPY)
    rows = json.loads((tmp_path / Path(agama.COPY).name).read_text())
    assert abs(rows["storage"]["drives"][0]["partitions"][2]["size"] - 25 * GIB) < 1 << 20


def test_agama_installs_nothing_where_the_guard_refuses(tmp_path: Path) -> None:
    """Without the copy there is no profile, so nothing is written."""
    machine = Machine(tmp_path)
    machine.disk("vda", found="gpt")
    answers = FAMILY.answers(install("leap-16.0")).files
    (tmp_path / "fetched").write_text(answers[agama.FILE])
    done = machine.run(answers[agama.SCRIPT], agama.COPY)
    assert "is+not+blank" in done.told
    assert not (tmp_path / Path(agama.COPY).name).exists()


@pytest.mark.parametrize("release", [*OLD, *NEW])
def test_all_scripts_are_posix_shell(release: str) -> None:
    """`sh -n` has nothing against any of them."""
    wanted = rich(release, asked.RAID)
    if release in NEW:
        found = profile(wanted)["scripts"]
        scripts = [one["content"] for kind in found.values() for one in kind]
        scripts.append(FAMILY.answers(wanted).files[agama.SCRIPT])
    else:
        found = xml(wanted)["scripts"]
        scripts = [one["source"] for kind in found.values() for one in kind]
    assert len(scripts) == 3
    for text in scripts:
        assert syntax(text) == ""


@pytest.mark.parametrize("text", NAUGHTY)
@pytest.mark.parametrize("release", ["leap-15.6", "leap-16.0"])
def test_hostile_texts_come_back_equal(release: str, text: str) -> None:
    """In a name, in a script, and as a passphrase."""
    wanted = install(
        release,
        asked.SEALED_LVM,
        keys={"first-pv-open": text},
        users=(User(UserName("ada"), full_name=text.replace(":", "").replace(",", "")),),
        scripts=Scripts(post=text),
    )
    if release == "leap-16.0":
        part = profile(wanted)["storage"]["drives"][0]["partitions"][3]
        assert part["encryption"]["luks2"]["password"] == text
        assert profile(wanted)["user"]["fullName"] == wanted.parameters.users[0].full_name
    else:
        rows = xml(wanted)
        assert rows["partitioning"][0]["partitions"][2]["crypt_key"] == text
        assert rows["users"][1]["fullname"] == wanted.parameters.users[0].full_name


_DATA = st.recursive(
    st.text() | st.booleans() | st.integers() | st.text().map(Symbol),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "users", "partition", "x-y"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["one", "two", "drive"]), _DATA, max_size=3))
def test_any_data_comes_back_equal_or_is_refused(rows: dict[str, Any]) -> None:
    """No text becomes an element, an attribute, or another text."""
    try:
        text = yastxml.dump(rows)
    except InputError:
        return
    assert yastxml.parse(text) == rows


@given(st.text())
def test_any_xml_is_read_or_refused(text: str) -> None:
    """The reader raises nothing but InputError."""
    for reader in (yastxml.parse, yastxml.fragment):
        try:
            found = reader(text)
        except InputError:
            continue
        assert isinstance(found, dict)


@pytest.mark.parametrize(
    ("release", "layout", "where"),
    [
        (
            "leap-15.6",
            Layout(
                (
                    asked.disk(
                        "a",
                        asked.part(
                            "p",
                            format=Format.BTRFS,
                            subvolumes={"root": MountPoint("/"), "data": MountPoint("/srv")},
                        ),
                    ),
                )
            ),
            "layout.disks[0].partitions[0].subvolumes",
        ),
        ("leap-16.0", asked.BTRFS, "layout.disks[0].partitions[1].subvolumes"),
        (
            "leap-16.0",
            Layout((asked.disk("a", asked.ESP, asked.part("esp2", "1GiB", role=asked.ESP.role),
                               asked.files("r", "/")),)),
            "layout.disks[0].partitions[1].role",
        ),
    ],
)  # fmt: skip
def test_what_an_installer_cannot_make_is_named(release: str, layout: Layout, where: str) -> None:
    """A clear no, with the item of the layout, before anything is booted."""
    with pytest.raises(InputError) as caught:
        FAMILY.check(install(release, layout))
    assert caught.value.where == where


@pytest.mark.parametrize(
    ("release", "fragment", "fine"),
    [
        ("leap-15.6", "<firewall><enable t='boolean'>true</enable></firewall>", True),
        ("leap-15.6", "<partitioning t='list'/>", False),
        ("leap-15.6", "</profile><profile>", False),
        ("leap-15.6", "<!DOCTYPE x>", False),
        ("leap-16.0", '{"access": {"ssh": "enabled"}}', True),
        ("leap-16.0", '{"storage": {}}', False),
        ("leap-16.0", "[]", False),
        ("leap-16.0", "{", False),
    ],
)  # fmt: skip
def test_a_fragment_adds_and_never_takes_the_guards_place(
    release: str, fragment: str, fine: bool
) -> None:
    """Raw text of a person's is XML or JSON at least; disks and scripts stay ours."""
    wanted = install(release, fragments={"suse": fragment})
    if fine:
        FAMILY.check(wanted)
        return
    with pytest.raises(InputError) as caught:
        FAMILY.check(wanted)
    assert caught.value.where == "fragments.suse"


def test_the_installers_find_their_card_by_its_address() -> None:
    """linuxrc by a pattern, for a plain address would be a name; dracut by BOOTIF."""
    old, new = (FAMILY.arguments(install(name)) for name in ("leap-15.6", "leap-16.0"))
    assert "ifcfg=52:54:00:77:00:10*=dhcp" in old
    assert "BOOTIF=01-52-54-00-77-00-10" in new
    assert f"inst.install_url={asked.SITE}/media/{'0' * 64}/install" in new


def test_a_proxy_stands_before_the_world_and_not_before_the_appliance() -> None:
    """AutoYaST's scripts report to it; Agama takes a proxy in no secret place."""
    rows = xml(install("leap-15.6", proxy="http://proxy.example:3128"))
    assert "10.77.0.2" in rows["proxy"]["no_proxy"].split(",")
    with pytest.raises(InputError) as caught:
        FAMILY.check(install("leap-16.0", proxy="http://proxy.example:3128"))
    assert caught.value.where == "proxy"


def test_apparmor_has_no_permissive_mode_as_a_whole() -> None:
    """SELinux has one: from 16 on it is taken."""
    with pytest.raises(InputError) as caught:
        FAMILY.check(install("leap-15.6", security=Security.PERMISSIVE))
    assert caught.value.where == "security"
    rows = profile(install("leap-16.0", security=Security.PERMISSIVE))
    assert rows["bootloader"]["extraKernelParams"] == "enforcing=0"
