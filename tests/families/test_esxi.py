"""ESXi: its kickstart file reads back as it was meant, and its guard writes no disk that is not."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake import families
from ironwake.errors import InputError, RefusedError
from ironwake.families.base import Install
from ironwake.families.esxi import FAMILY, KS, boot_cfg
from ironwake.names import DomainName
from ironwake.parameters.model import RootPolicy, Scripts
from ironwake.parameters.network import Device, Kind, Network
from ironwake.site import Shelf, Stored
from ironwake_testing.core import MAC
from ironwake_testing.esxi import BOOT_CFG, MODULES
from tests.families import asked

ORIGINAL = """bootstate=0
title=Loading ESXi installer
timeout=5
prefix=
kernel=/b.b00
kernelopt=runweasel cdromBoot
modules=/jumpstrt.gz --- /useropts.gz --- /k.b00
build=8.0.0-1.0.20513097
updated=0
"""


def _install(
    disk: str = "auto", erase: tuple[str, ...] = (), release: str = "esxi-8", **parameters: Any
) -> Install:
    root = {"root": RootPolicy.PASSWORD, "root_password_hash": asked.HASH}
    return asked.install(release, erase=erase, match=disk, **(root | parameters))


def _answers(install: Install) -> Any:
    families.check(FAMILY, install)
    return FAMILY.parse(KS, FAMILY.answers(install).files[KS])


def _section(install: Install, name: str) -> str:
    sections: dict[str, str] = dict(_answers(install)["sections"])
    return next(body for head, body in sections.items() if head.startswith(name))


def test_the_mediums_boot_cfg_becomes_this_machines() -> None:
    """Its modules by HTTP, without the slashes that lead past the prefix; its answers; its card."""
    lines = dict(line.split("=", 1) for line in boot_cfg(ORIGINAL, _install()).splitlines())
    assert lines["prefix"] == asked.TREE.removesuffix("/")
    assert lines["kernel"] == "b.b00"
    assert lines["modules"] == "jumpstrt.gz --- useropts.gz --- k.b00"
    assert lines["kernelopt"] == (f"runweasel ks={asked.ANSWERS}ks.cfg BOOTIF=01-52-54-00-77-00-10")
    assert lines["build"] == "8.0.0-1.0.20513097"


def test_a_real_boot_cfg_has_all_its_modules_in_their_order() -> None:
    """More than a hundred on one line: each is where the tree has it, and no line is cut."""
    assert len(MODULES) > 120
    made = boot_cfg(BOOT_CFG, _install())
    lines = dict(line.split("=", 1) for line in made.splitlines())
    assert lines["modules"].split(" --- ") == list(MODULES)
    for name in (lines["kernel"], *MODULES):
        assert urljoin(f"{lines['prefix']}/", name) == f"{asked.TREE}{name}"
    # What the http service says, and mboot reads at once.
    assert len(made) < len(BOOT_CFG) + 500


@pytest.mark.parametrize(("count", "is_right"), [(500, True), (2000, False)])
def test_a_line_of_a_boot_cfg_has_an_end(count: int, is_right: bool) -> None:
    """It stands in what every service knows: four times what any version has, and no more."""
    text = BOOT_CFG.replace("modules=", "modules=" + "/aaaaaaaa.v00 --- " * count)
    if is_right:
        assert boot_cfg(text, _install()).count("aaaaaaaa.v00") == count
    else:
        with pytest.raises(RefusedError, match=r"no line of a boot\.cfg"):
            boot_cfg(text, _install())


def test_all_files_that_a_boot_cfg_names_are_the_trees() -> None:
    """The verifying module and tables, where a version has them, stand as others do."""
    text = f"{BOOT_CFG}crypto=/crypto64.efi\nacpitables=/a.aml --- /b.aml\n"
    made = boot_cfg(text, _install()).splitlines()
    assert "crypto=crypto64.efi" in made
    assert "acpitables=a.aml --- b.aml" in made


@pytest.mark.parametrize("text", ["", "kernel=/b.b00\n", "nonsense\n", "kernel=a\0b\nmodules=x\n"])
def test_what_is_no_boot_cfg_is_refused(text: str) -> None:
    """It comes from a medium that somebody brought."""
    with pytest.raises(RefusedError):
        boot_cfg(text, _install())


def test_its_own_loader_is_started_with_this_machines_boot_cfg() -> None:
    """mboot is an EFI program: a path of ours behind -c, and no initial ramdisk."""
    item = Stored("esxi-8", "installer-kernel", "aa" * 32, 1, "mboot.efi")
    boot = FAMILY.boot(_install(), Shelf((item,), {"esxi-8": {"boot_cfg": ORIGINAL}}))
    assert boot.arguments == ("-c", f"{asked.SITE}/boot/{MAC}/boot.cfg")
    assert boot.form.needs_uefi
    assert not boot.initrds
    assert boot.texts["boot.cfg"] == boot_cfg(ORIGINAL, _install())
    with pytest.raises(RefusedError, match=r"does not say what is in its boot\.cfg"):
        FAMILY.boot(_install(), Shelf((item,)))


def test_the_commands_read_back_as_they_were_meant() -> None:
    """Licence, password, keyboard, network, disk, restart: each one line."""
    commands = _answers(_install(keyboard="de", release="esxi-7"))["commands"]
    assert commands == [
        ["vmaccepteula"],
        ["rootpw", "--iscrypted", asked.HASH],
        ["keyboard", "German"],
        ["network", "--bootproto=dhcp", f"--device={MAC}"],
        ["%include", "/tmp/ironwake-disk"],
        ["reboot"],
    ]


@pytest.mark.parametrize(
    ("devices", "words"),
    [
        (
            (Device("one", addresses=("192.0.2.7/24",), gateway="192.0.2.1"),),
            f"--bootproto=static --device={MAC} --ip=192.0.2.7 --netmask=255.255.255.0"
            " --gateway=192.0.2.1 --nameserver=192.0.2.9",
        ),
        (
            (
                Device("up", of=("52:54:00:00:00:01",)),
                Device("lan", Kind.VLAN, ("up",), True, vlan=9),
            ),
            "--bootproto=dhcp --device=52:54:00:00:00:01 --vlanid=9",
        ),
        (
            (Device("lan", Kind.VLAN, dhcp=True, vlan=9),),
            f"--bootproto=dhcp --device={MAC} --vlanid=9",
        ),
    ],
)
def test_one_card_and_one_vlan_are_told(devices: tuple[Device, ...], words: str) -> None:
    """By the card's MAC address."""
    network = Network(devices, ("192.0.2.9", "2001:db8::9"))
    commands = _answers(_install(network=network))["commands"]
    assert ["network", *words.split()] in commands


@pytest.mark.parametrize(
    ("parameters", "where"),
    [
        ({"root": RootPolicy.LOCKED, "root_password_hash": ""}, "root"),
        ({"root_password_hash": "$y$j9T$" + "x" * 40}, "root_password_hash"),
        ({"keyboard": "am"}, "keyboard"),
        ({"timezone": "Europe/Berlin"}, "timezone"),
        ({"packages": ("vim",)}, "packages"),
        ({"network": Network((Device("b", Kind.BOND, ("boot",)),))}, "network.devices"),
        ({"network": Network((Device("a", addresses=("2001:db8::1/64",)),))}, "network.devices"),
        ({"scripts": Scripts(pre="true\n%post\n")}, "scripts.pre"),
        ({"scripts": Scripts(post="IRONWAKE-END\n")}, "scripts.post"),
        ({"disk": "smallest"}, "disk.match"),
        ({"disk": "/dev/disk/by-path/x"}, "disk.match"),
    ],
)
def test_what_esxi_cannot_be_told_is_refused_by_its_field(
    parameters: dict[str, Any], where: str
) -> None:
    """Never silently left out."""
    with pytest.raises(InputError) as caught:
        _answers(_install(**parameters))
    assert caught.value.where == where


@given(st.text(st.characters(exclude_characters="\0\r"), max_size=200))
def test_a_persons_script_arrives_as_it_is_and_ends_no_section(text: str) -> None:
    """Or it is refused with its field named."""
    try:
        scripts = Scripts(post=text)
        body = _section(_install(scripts=scripts), "%firstboot")
        heads = [head for head, _ in _answers(_install(scripts=scripts))["sections"]]
    except InputError as error:
        assert error.where in ("scripts.post", "post")  # noqa: PT017 (either is right)
        return
    assert [head.split()[0] for head in heads] == ["%pre", "%post", "%firstboot"]
    if text:
        kept = body.partition("<<'IRONWAKE-END'\n")[2].partition("\nIRONWAKE-END\n")[0]
        assert kept == text


# What the guard sees of a host with one disk; `wget` leaves its trace.
_COMMANDS = {
    "localcli": 'echo "   Is Local: true"',
    "partedUtil": "echo unknown; echo 1 2 3 4",
    "wget": 'for last; do :; done; echo "$last" >>"$TRACE"',
}
_NAME = "t10.ATA_____WDC_WD10EZEX2D00BN5A0_________________________WD2DWCC3F0123456"


def _guarded(
    folder: Path, install: Install, disks: dict[str, bytes], **others: str
) -> tuple[int, str, str]:
    """Run %pre in a shell; (exit code, what was reported, what the installer would include)."""
    folder = folder / "host"
    shutil.rmtree(folder, ignore_errors=True)
    place = folder / "disks"
    place.mkdir(parents=True)
    for name, start in disks.items():
        (place / name).write_bytes(start.ljust(1 << 20, b"\0"))
    for name, body in {**_COMMANDS, **others}.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    text = _section(install, "%pre").replace("/tmp/", f"{folder}/")
    text = text.replace("/vmfs/devices/disks", str(place))
    environment = {"PATH": f"{folder}:/usr/bin:/bin", "TRACE": str(folder / "trace")}
    done = subprocess.run(["sh", "-c", text], env=environment, capture_output=True, check=False)
    include, trace = folder / "ironwake-disk", folder / "trace"
    return (
        done.returncode,
        trace.read_text() if trace.exists() else "",
        include.read_text().replace(str(place), "/disks") if include.exists() else "",
    )


def test_a_blank_disk_is_the_one(tmp_path: Path) -> None:
    """Partitions, and other names of the same disk, are no disks."""
    disks = {_NAME: b"", "vml.0100": b"", "mpx.vmhba1:C0:T0:L0:1": b""}
    code, trace, include = _guarded(tmp_path, _install(), disks)
    assert (code, include) == (0, f"install --disk=/disks/{_NAME}\n")
    assert "stage=installing&step=partitioning" in trace


@pytest.mark.parametrize(
    ("disks", "others"),
    [
        ({_NAME: b"LABELONE"}, {}),
        ({_NAME: b""}, {"partedUtil": "echo gpt"}),
        ({_NAME: b""}, {"partedUtil": "exit 1"}),
        ({_NAME: b""}, {"localcli": 'echo "   Is USB: true"'}),
        ({_NAME: b"", "naa.5000c500a1b2c3d4": b""}, {}),
        ({}, {}),
    ],
    ids=["data", "table", "unreadable", "usb", "two", "none"],
)
def test_nothing_is_written_where_it_is_not_clear(
    tmp_path: Path, disks: dict[str, bytes], others: dict[str, str]
) -> None:
    """The installer finds no disk to install to, and the deployment has failed."""
    code, trace, include = _guarded(tmp_path, _install(), disks, **others)
    assert (code, include) == (1, "")
    assert "stage=failed&id=guard" in trace


@pytest.mark.parametrize(
    ("match", "name"),
    [
        ("WD-WCC3F0123456", _NAME),
        ("serial:WD-WCC3F0123456", _NAME),
        ("wwn:0x5000C500A1B2C3D4", "naa.5000c500a1b2c3d4"),
        ("wwn:eui.0025388701b2c3d4", "eui.0025388701b2c3d4"),
        ("BTLJ1234", "t10.NVMe____INTEL_SSDPE2KX010T8____BTLJ1234__00000001"),
    ],
)
def test_a_disk_is_found_by_what_a_person_calls_it(tmp_path: Path, match: str, name: str) -> None:
    """Serial numbers and World Wide Names as ESXi has them in its own names."""
    disks = {name: b"", "t10.ATA_____OTHER_____99": b""}
    code, _, include = _guarded(tmp_path, _install(match), disks)
    assert (code, include) == (0, f"install --disk=/disks/{name}\n")


def test_only_the_disk_that_is_named_may_be_erased(tmp_path: Path) -> None:
    """With `--erase` its old volume goes; another disk's name allows nothing."""
    disks = {_NAME: b"data"}
    _, _, include = _guarded(tmp_path, _install(erase=("WD-WCC3F0123456",)), disks)
    assert include == f"install --disk=/disks/{_NAME} --overwritevmfs\n"
    code, _, include = _guarded(tmp_path, _install(erase=("OTHER",)), disks)
    assert (code, include) == (1, "")


@pytest.mark.parametrize("serial", ["a'b", 'x"; reboot; "', "$(reboot)", "a b", "ä*"])
def test_a_hostile_serial_number_is_a_name_and_no_command(tmp_path: Path, serial: str) -> None:
    """It fits no disk, and the shell stays in one piece."""
    code, trace, include = _guarded(tmp_path, _install(serial), {_NAME: b""})
    assert (code, include) == (1, "")
    assert "no+disk" in trace


def test_the_sections_are_good_shell() -> None:
    """As the shell itself says, which stops at a mistake before it runs a thing."""
    scripts = Scripts(pre="echo 'it''s'\n", post="esxcli system version get\n")
    install = _install(scripts=scripts, ntp=("192.0.2.1",), erase=("x'y",))
    for _, body in _answers(install)["sections"]:
        subprocess.run(["sh", "-n"], input=body, text=True, check=True)


def test_a_fragment_stands_among_the_commands() -> None:
    """The escape hatch: a licence's number, a section of one's own."""
    install = _install(fragments={"esxi": "serialnum --esx=AAAAA-BBBBB-CCCCC-DDDDD-EEEEE"})
    assert ["serialnum", "--esx=AAAAA-BBBBB-CCCCC-DDDDD-EEEEE"] in _answers(install)["commands"]
    for wrong in ("install --firstdisk --overwritevmfs", "clearpart --alldrives"):
        with pytest.raises(InputError) as caught:
            FAMILY.check(_install(fragments={"esxi": f"# mine\n {wrong}\n"}))
        assert caught.value.where == "fragments.esxi"
    layout = dataclasses.replace(install, layout=object())  # type: ignore[arg-type]
    with pytest.raises(InputError, match="by itself"):
        FAMILY.check(layout)


@pytest.mark.parametrize(
    "network",
    [
        Network((Device("lan", dhcp=True, mtu=9000),)),
        Network((Device("lan", addresses=("192.0.2.7/24",)),), search=(DomainName("lab.example"),)),
    ],
)
def test_what_its_network_cannot_be_told_is_refused(network: Network) -> None:
    """Never silently left out."""
    with pytest.raises(InputError) as caught:
        FAMILY.check(_install(network=network))
    assert caught.value.where.startswith("network")
