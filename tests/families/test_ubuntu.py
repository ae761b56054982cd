"""Ubuntu: autoinstall as data, judged by cloud-init's own tool, and by reading it back."""

from __future__ import annotations

import base64
import itertools
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from ironwake import nocloud
from ironwake.errors import InputError
from ironwake.families import check, ubuntu
from ironwake.firstboot import UNIT
from ironwake.names import DomainName, HostName, UserName
from ironwake.parameters.model import Repository, RootPolicy, Scripts, Security, User
from ironwake.parameters.network import BondMode, Device, Kind, Network
from tests.families import asked
from tests.families.autoinstall import FAMILY, RELEASE, data, script
from tests.families.shells import syntax

BOND = Network(
    (
        Device("uplink", Kind.BOND, ("boot", "52:54:00:12:34:57"), mode=BondMode.LACP),
        Device("office", Kind.VLAN, ("uplink",), addresses=("192.0.2.7/24",),
               gateway="192.0.2.1", vlan=20),
        Device("guests", Kind.BRIDGE, ("52:54:00:12:34:58",), dhcp=True),
    ),
    ("192.0.2.1",),
    (DomainName("site.example"),),
)  # fmt: skip
NETWORKS = {
    "dhcp": Network(),
    "static": Network((Device("lan", addresses=("192.0.2.7/24",), gateway="192.0.2.1", mtu=9000),)),
    "bond": BOND,
}
USERS = (
    User(UserName("admin"), (asked.KEY,), full_name='A "B" $(x)', groups=(UserName("adm"),)),
    User(UserName("guest"), password_hash=asked.HASH, admin=False),
)


@pytest.mark.parametrize(
    "release", ["ubuntu-20.04", "ubuntu-22.04", "ubuntu-24.04", "ubuntu-26.04"]
)
def test_the_kernel_is_told_the_iso_and_the_seed_by_its_versions_word(release: str) -> None:
    """By HTTP, cloud-init knows nocloud-net alone at first; the ISO is loaded once."""
    words = FAMILY.arguments(asked.install(release))
    old = release in ("ubuntu-20.04", "ubuntu-22.04")
    name = "nocloud-net" if old else "nocloud"
    assert f"ds={name};s={asked.SITE}/deployments/{asked.TOKEN}/answers/" in words
    assert "autoinstall" in words
    assert "cloud-config-url=/dev/null" in words
    assert "BOOTIF=01-52-54-00-77-00-10" in words
    assert words[-1] == "---"


STATED: dict[str, dict[str, Any]] = {
    "nothing": {},
    "keys": {"users": USERS, "root": RootPolicy.KEYS, "root_keys": (asked.KEY,)},
    "all": {
        "users": USERS,
        "root": RootPolicy.PASSWORD,
        "root_password_hash": asked.HASH,
        "ntp": ("192.0.2.3",),
        "timezone": "Europe/Berlin",
        "network": BOND,
        "scripts": Scripts("echo pre", "#!/usr/bin/python3\nprint()"),
    },
}


@pytest.mark.parametrize("stated", STATED)
def test_cloud_inits_own_tool_takes_it(stated: str, tmp_path: Path) -> None:
    """Both documents: the installer's seed, and the installed system's user-data within it."""
    install = asked.install(RELEASE, **STATED[stated])
    inner = nocloud.HEADER + json.dumps(data(install)["user-data"])
    for number, text in enumerate((FAMILY.answers(install).files["user-data"], inner)):
        file = tmp_path / f"user-data-{number}"
        file.write_text(text)
        done = subprocess.run(
            ["cloud-init", "schema", "-c", file], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), done
        assert "deprecat" not in done.stdout


MATRIX = list(itertools.product(asked.LAYOUTS, NETWORKS))


@pytest.mark.parametrize(("layout", "network"), MATRIX, ids=["-".join(row) for row in MATRIX])
def test_every_layout_with_every_network(layout: str, network: str) -> None:
    """Each renders, reads back, and its scripts are a shell's."""
    install = asked.install(
        RELEASE, asked.LAYOUTS[layout], keys=asked.SEALED_KEYS, network=NETWORKS[network]
    )
    check(FAMILY, install)
    found = data(install)
    text = FAMILY.answers(install).files["user-data"]
    assert FAMILY.parse("user-data", text) == {"autoinstall": found}
    for command in (*found["early-commands"], found["late-commands"][-1]):
        assert not syntax(script(command))


@pytest.mark.parametrize("file", nocloud.FILES)
def test_each_file_is_yaml_and_reads_back(file: str) -> None:
    """Our own reader and PyYAML have the same of it."""
    text = FAMILY.answers(asked.install(RELEASE, users=USERS)).files[file]
    assert FAMILY.parse(file, text) == (yaml.safe_load(text) or {})


@pytest.mark.parametrize("words", asked.NAUGHTY)
def test_hostile_words_stay_values(words: str) -> None:
    """They come back equal, and no key is another one."""
    usual_keys = set(data(asked.install(RELEASE)))
    name = words.replace(":", "").replace(",", "")
    scripts = Scripts(f"echo {words}", f"echo {words}")
    user = User(UserName("admin"), full_name=name)
    found = data(asked.install(RELEASE, users=(user,), scripts=scripts))
    assert set(found) == usual_keys
    assert found["user-data"]["users"][0]["gecos"] == name
    for command in (*found["early-commands"], found["late-commands"][-1]):
        assert not syntax(script(command))


def test_what_a_system_is_told(tmp_path: Path) -> None:
    """Names, users, packages, sources: where the installer, or cloud-init, looks for each."""
    found = data(
        asked.install(
            RELEASE,
            hostname=HostName("web"),
            domain=DomainName("site.example"),
            users=USERS,
            root=RootPolicy.KEYS,
            root_keys=(asked.KEY,),
            packages=("nginx-light",),
            package_groups=("dns-server",),
            locale="de_DE.UTF-8",
            keyboard="de",
            proxy="http://192.0.2.9:3128",
            repositories=(Repository("x", "http://192.0.2.1/x", "noble", ("main",)),),
        )
    )
    assert found["user-data"]["fqdn"] == "web.site.example"
    assert [one["name"] for one in found["user-data"]["users"]] == ["admin", "guest", "root"]
    assert found["user-data"]["disable_root"] is False
    assert found["packages"] == ["nginx-light", "dns-server^"]
    assert (found["locale"], found["keyboard"]) == ("de_DE.UTF-8", {"layout": "de"})
    assert found["proxy"] == "http://192.0.2.9:3128"
    assert found["apt"]["sources"]["x.list"]["source"] == "deb http://192.0.2.1/x noble main"
    assert found["apt"]["fallback"] == "abort"
    assert found["snaps"] == []
    assert "identity" not in found
    endpoint = f"{asked.SITE}/deployments/{asked.TOKEN}/reports"
    assert found["reporting"] == {"ironwake": {"type": "webhook", "endpoint": endpoint}}


def test_nothing_but_what_is_on_the_iso_needs_no_mirror() -> None:
    """A network that is closed in itself has none."""
    assert data(asked.install(RELEASE))["apt"]["fallback"] == "offline-install"


def test_the_network_of_the_installer_is_the_one_that_booted_it() -> None:
    """A bond or a VLAN is for the installed system, which gets it as a netplan file."""
    found = data(asked.install(RELEASE, network=BOND))
    assert list(found["network"]) == ["version", "ethernets"]
    late = script(found["late-commands"][-1])
    within = script(late.split("\n")[1].replace("echo ", "echo ", 1))
    assert "/etc/netplan/50-ironwake.yaml" in within
    assert "rm -f /etc/netplan/*.yaml" in within
    assert f"systemctl enable {UNIT}" in within


def test_a_script_is_run_from_where_programs_may_be() -> None:
    """Ubuntu mounts /run without execution: what its first line names would not be started."""
    told = asked.install(RELEASE, scripts=Scripts(pre="#!/usr/bin/python3\nprint()\n"))
    early = script(data(told)["early-commands"][-1])
    assert "\n/root/ironwake-pre\n" in early
    assert "/run/" not in early


def test_name_servers_are_told_without_devices_too() -> None:
    """The card that booted asks DHCP, and the rest of what is stated holds."""
    network = Network(name_servers=("192.0.2.53",), search=(DomainName("lab.example"),))
    late = script(data(asked.install(RELEASE, network=network))["late-commands"][-1])
    packed = late.split("echo ", 1)[1].split(" ", 1)[0]
    assert "etc/netplan/50-ironwake.yaml" in base64.b64decode(packed).decode()


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"security": Security.PERMISSIVE}, "security"),
        ({"package_groups": ("a b",)}, "package_groups"),
        ({"repositories": (Repository("x", "http://192.0.2.1/x"),)}, "repositories[0].suite"),
        ({"fragments": {"ubuntu": "text"}}, "fragments.ubuntu"),
        ({"fragments": {"ubuntu": '{"storage": {}}'}}, "fragments.ubuntu.storage"),
        ({"fragments": {"ubuntu": '{"late-commands": 1}'}}, "fragments.ubuntu.late-commands"),
        ({"fragments": {"ubuntu": '{"early-commands": "x"}'}}, "fragments.ubuntu.early-commands"),
    ],
)
def test_what_cannot_be_told_is_refused_with_its_field(wrong: dict[str, Any], where: str) -> None:
    """Never silently left out."""
    with pytest.raises(InputError) as error:
        check(FAMILY, asked.install(RELEASE, **wrong))
    assert error.value.where == where


def test_a_fragment_is_joined_and_reports_of_the_end_stay_last() -> None:
    """Lists go behind ours; the person's late commands come before the end is reported."""
    added = {
        "source": {"id": "ubuntu-server-minimal"},
        "user-data": {"bootcmd": ["true"]},
        "packages": ["jq"],
        "late-commands": ["echo theirs"],
    }
    found = data(
        asked.install(RELEASE, packages=("curl",), fragments={"ubuntu": json.dumps(added)})
    )
    assert found["source"] == {"id": "ubuntu-server-minimal"}
    assert found["user-data"]["bootcmd"] == ["true"]
    assert found["user-data"]["hostname"] == "node1"
    assert found["packages"] == ["curl", "jq"]
    assert found["late-commands"][0] == "echo theirs"
    assert "stage=installed" in script(found["late-commands"][-1])


def test_the_longest_script_is_one_word_of_the_kernels() -> None:
    """Our commands are words of a shell, and the kernel takes 128 KiB for one (MAX_ARG_STRLEN)."""
    text = "ü" * (16 << 10)
    late = data(asked.install(RELEASE, scripts=Scripts(post=text)))["late-commands"][-1]
    assert len(late) < 128 << 10
    with pytest.raises(InputError):
        Scripts(post=f"{text}x")


def test_the_first_boot_removes_what_the_installer_keeps_of_its_answers() -> None:
    """It copies them into the new system after the late commands, passphrases and all."""
    told = asked.install(RELEASE, asked.SEALED_LVM, keys=asked.SEALED_KEYS)
    late = script(data(told)["late-commands"][-1])
    inner = base64.b64decode(late.split("echo ", 1)[1].split(" ", 1)[0]).decode()
    assert "/etc/tmpfiles.d/ironwake.conf" in inner
    rules = base64.b64encode(ubuntu.FORGOTTEN.encode()).decode()
    assert rules in inner
    assert "r! /var/log/installer/autoinstall-user-data\n" in ubuntu.FORGOTTEN
