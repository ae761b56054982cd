"""Fedora CoreOS and Flatcar: Ignition as data, judged by ignition-validate; what writes it."""

from __future__ import annotations

import base64
import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ironwake.errors import InputError
from ironwake.families import FAMILIES, check, start
from ironwake.families.base import Install
from ironwake.families.coreos import ignition
from ironwake.firmware import Architecture
from ironwake.names import DomainName, KernelWord, UserName
from ironwake.parameters.model import RootPolicy, Scripts, Security, User
from ironwake.parameters.network import Device, Kind, Network
from ironwake.release import find
from tests.families import asked
from tests.families.shells import GIB, Machine

FAMILY = FAMILIES["coreos"]
RELEASES = ("fedora-coreos", "flatcar")
NETWORK = Network(
    (
        Device("up", Kind.BOND, ("boot", "52:54:00:12:34:57")),
        Device("office", Kind.VLAN, ("up",), addresses=("192.0.2.7/24",), vlan=20),
    )
)


def install(release: str, **stated: Any) -> Install:
    return asked.install(release, roles=("rootfs", "image"), **stated)


def document(asked_for: Install, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FAMILY.answers(asked_for).files[name])
    return found


def content(of: dict[str, Any], end: str) -> str:
    """The text of the one file whose path ends so."""
    (file,) = [one for one in of["storage"]["files"] if one["path"].endswith(end)]
    return base64.b64decode(file["contents"]["source"].partition(",")[2]).decode()


@pytest.mark.parametrize("release", RELEASES)
def test_ignitions_own_tool_takes_both_documents(release: str, tmp_path: Path) -> None:
    """The live system's, and the installed one's, with all that can be told."""
    told = install(
        release,
        users=(User(UserName("admin"), (asked.KEY,), asked.HASH, full_name="A"),),
        root=RootPolicy.KEYS,
        root_keys=(asked.KEY,),
        network=NETWORK,
        ntp=("192.0.2.3",),
        timezone="Europe/Berlin",
        kernel_arguments=(KernelWord("mitigations=auto"),),
        scripts=Scripts("echo pre", "echo post"),
        fragments={"coreos": '{"systemd": {"units": [{"name": "x.service", "mask": true}]}}'},
    )
    check(FAMILY, told)
    for name, text in FAMILY.answers(told).files.items():
        file = tmp_path / name
        file.write_text(text)
        words = ["ignition-validate", str(file)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert FAMILY.parse(name, text) == json.loads(text)
    system = document(told, "system.ign")
    assert (
        content(document(told, "install.ign"), "/system.ign") == json.dumps(system, indent=1) + "\n"
    )
    assert system["passwd"]["users"][0]["groups"] == ["sudo"]
    assert [unit["name"] for unit in system["systemd"]["units"]][-1] == "x.service"


@pytest.mark.parametrize("words", asked.NAUGHTY)
def test_hostile_words_come_back_equal(words: str) -> None:
    """In a name, in a script: they are values, or bytes of a file."""
    user = User(UserName("admin"), full_name=words.replace(":", "").replace(",", ""))
    system = document(install("flatcar", users=(user,), scripts=Scripts(post=words)), "system.ign")
    assert system["passwd"]["users"][0]["gecos"] == user.full_name
    assert content(system, "/ironwake-post").endswith(words)


def test_the_kernel_is_told_where_its_ignition_is() -> None:
    """Fedora's asks for its root file system besides; Flatcar has it in its initrd."""
    url = f"{asked.SITE}/deployments/{asked.TOKEN}/answers/install.ign"
    for release in RELEASES:
        words = FAMILY.arguments(install(release))
        assert f"ignition.config.url={url}" in words
        assert any(word.startswith("coreos.live.rootfs_url=") for word in words) is (
            release == "fedora-coreos"
        )


def test_each_needs_its_own_medium() -> None:
    """What is not there is named before a machine boots."""
    starter = start.of(FAMILY)
    for release, role in (("fedora-coreos", "rootfs"), ("flatcar", "image")):
        ((name, roles),) = starter.needs(find(release), Architecture.AMD64).items()
        assert name == release
        assert role in roles


@pytest.mark.parametrize("release", RELEASES)
def test_nothing_of_the_system_lies_where_it_cannot_be_written(release: str) -> None:
    """Their /usr is read-only: the health report runs from elsewhere."""
    system = document(install(release), "system.ign")
    paths = [file["path"] for file in system["storage"]["files"]]
    assert not [path for path in paths if path.startswith("/usr/lib")]
    (unit,) = system["systemd"]["units"]
    (report,) = [path for path in paths if path.endswith("report-health")]
    assert f"ExecStart={report}" in unit["contents"]


WRITERS = {"fedora-coreos": "coreos-installer", "flatcar": "flatcar-install"}


def prepared(folder: Path, release: str) -> Machine:
    """A machine with the writer's program, whose words are noted."""
    machine = Machine(folder)
    machine.disk("sda", size=100 * GIB, serial="WD-1")
    machine.stub(WRITERS[release], 'echo "$0 $*" >>"$HERE/wrote"')
    machine.stub("systemctl", 'echo "systemctl $*" >>"$HERE/wrote"')
    machine.stub("seq", "echo 1")
    return machine


@pytest.mark.parametrize("release", RELEASES)
def test_the_chosen_disk_is_written_once_it_was_looked_at(release: str, tmp_path: Path) -> None:
    """The vendor's own program writes it; the end is reported before the restart."""
    machine = prepared(tmp_path, release)
    script = content(document(install(release), "install.ign"), "/ironwake-install")
    (tmp_path / "fetched").touch()
    done = machine.run(script.replace("/tmp/", f"{tmp_path}/").replace(" -o pipefail", ""))
    wrote = (tmp_path / "wrote").read_text().splitlines()
    assert wrote[0].endswith(("/etc/ironwake/system.ign /dev/sda", "system.ign -d /dev/sda"))
    assert wrote[-1] == "systemctl --no-block reboot"
    told = done.told.splitlines()
    assert "stage=installing&step=installer" in told[0]
    assert "stage=installed" in told[-1]


@pytest.mark.parametrize("release", RELEASES)
def test_a_disk_that_is_not_blank_is_not_written(release: str, tmp_path: Path) -> None:
    """Nor is anything else: it is reported, and the machine goes off."""
    machine = prepared(tmp_path, release)
    machine.disk("sdb", serial="WD-2", found="ext4")
    script = content(document(install(release, match="WD-2"), "install.ign"), "/ironwake-install")
    done = machine.run(script.replace(" -o pipefail", ""))
    assert "is+not+blank:+ext4" in done.told
    assert done.told.endswith("poweroff\n")
    assert not (tmp_path / "wrote").exists()


def test_the_older_specification_has_a_file_system_for_each_place() -> None:
    """Ignition 2.x, which older Flatcars take; it knows no arguments of the kernel."""
    told = install("flatcar", timezone="Europe/Berlin")
    options = {**told.release.options, "ignition": "2.3.0"}
    told = replace(told, release=replace(told.release, options=options))
    system = document(told, "system.ign")
    assert system["ignition"]["version"] == "2.3.0"
    places = [*system["storage"]["files"], *system["storage"]["links"]]
    assert {place["filesystem"] for place in places} == {"root"}
    with pytest.raises(InputError) as error:
        ignition.data(ignition.Config(arguments=("quiet",)), "2.3.0")
    assert error.value.where == "kernel_arguments"


@pytest.mark.parametrize(
    ("release", "wrong", "where"),
    [
        ("flatcar", {"keyboard": "de"}, "keyboard"),
        ("flatcar", {"security": Security.DISABLED}, "security"),
        ("fedora-coreos", {"packages": ("vim",)}, "packages"),
        ("fedora-coreos", {"layout": asked.PLAIN}, "layout"),
        (
            "fedora-coreos",
            {"fragments": {"coreos": '{"ignition": {}}'}},
            "fragments.coreos.ignition",
        ),
    ],
)
def test_what_cannot_be_told_is_refused(release: str, wrong: dict[str, Any], where: str) -> None:
    """With its field."""
    with pytest.raises(InputError) as error:
        check(FAMILY, install(release, **wrong))
    assert where in (error.value.where or error.value.what)


@pytest.mark.parametrize("release", RELEASES)
def test_search_domains_alone_are_told(release: str) -> None:
    """Without devices and name servers, too: the card that booted has its file then."""
    network = Network(search=(DomainName("lab.example"),))
    system = document(install(release, network=network), "system.ign")
    assert any(
        "lab.example" in base64.b64decode(one["contents"]["source"].partition(",")[2]).decode()
        for one in system["storage"]["files"]
    )
