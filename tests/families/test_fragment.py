"""A fragment of a person's own is joined to what we tell, and has no way round the guard."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake import families
from ironwake.errors import InputError, RefusedError
from ironwake.families import fragment
from ironwake.families.base import Install
from ironwake.methods import METHODS
from ironwake.names import KernelWord, UserName
from ironwake.parameters import User
from ironwake.parameters.model import RootPolicy
from ironwake.profile import Method
from ironwake_testing.core import MAC, make_bench
from tests.families import asked


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        ),
    )
)
def test_joining_with_nothing_changes_nothing(value: object) -> None:
    """Mappings and lists with their empty ones are themselves."""
    empty: object = {} if isinstance(value, dict) else [] if isinstance(value, list) else value
    assert fragment.joined(value, empty) == value
    assert fragment.joined(empty, value) == value


CLUSTER: dict[str, Any] = {"machine": {"type": "worker", "token": "t", "ca": {}}, "cluster": {}}
_STORAGE: dict[str, Any] = {
    "disk": {"disks": [{"device": "/dev/disk/by-id/data", "wipeTable": True}]},
    "array": {"raid": [{"name": "md", "level": "raid1", "devices": ["/dev/disk/by-id/data"]}]},
    "sealed": {"luks": [{"name": "x", "device": "/dev/disk/by-id/data", "wipeVolume": True}]},
    "files": {"filesystems": [{"device": "/dev/disk/by-id/data", "wipeFilesystem": True}]},
    "older files": {
        "filesystems": [{"mount": {"device": "/dev/disk/by-id/data", "wipeFilesystem": True}}]
    },
    "oldest": {"filesystems": [{"mount": {"device": "/dev/disk/by-id/data", "create": {}}}]},
    "label": {"filesystems": [{"device": "/dev/disk/by-partlabel/data", "wipeFilesystem": True}]},
}


def _install(release: str, text: Any, erase: tuple[str, ...] = ()) -> Install:
    family = asked.install(release).release.family
    more: dict[str, Any] = {"roles": ("rootfs", "image")} if family == "coreos" else {}
    if family == "windows":
        more["users"] = (User(UserName("admin"), password="a plain one"),)
    if family == "esxi":
        more |= {"root": RootPolicy.PASSWORD, "root_password_hash": asked.HASH}
    if family == "redhat":
        more["mirror"] = "http://192.0.2.1/tree"
    written = text if isinstance(text, str) else json.dumps(text)
    return asked.install(release, erase=erase, match="WD-1", fragments={family: written}, **more)


def _check(install: Install) -> None:
    families.check(families.of(install.release), install)


def _setup(element: dict[str, Any]) -> dict[str, Any]:
    return {"settings": {"windowsPE": {"Setup": element}}}


@pytest.mark.parametrize(
    ("release", "text"),
    [
        ("debian-12", "d-i preseed/include string http://192.0.2.1/more.cfg"),
        ("debian-12", "d-i\tpreseed/include_command string echo more.cfg"),
        ("debian-12", "d-i preseed/run string more.sh"),
        ("debian-12", "d-i partman-lvm/device_remove_lvm_span boolean true"),
        ("rocky-9", "%include http://192.0.2.1/more.ks"),
        ("rocky-9", "  part / --ondisk=sdb"),
        ("rocky-9", "bootloader --boot-drive=sdb"),
        ("rocky-9", "bootloader --driveorder sdb,sda"),
        ("rocky-9", "bootloader --boot=sdb"),
        ("rocky-9", "bootloader --dr sdb,sda"),
        ("rocky-9", "%post\n%include http://192.0.2.1/more.ks\n%end"),
        ("rocky-9", "%packages\n  %include /tmp/more.ks\n%end"),
        ("rocky-9", "%post\n %ksappend http://192.0.2.1/more.ks\n%end"),
        ("leap-15.6", "<partitioning_advanced><x>y</x></partitioning_advanced>"),
        ("leap-15.6", "<classes><class><class_name>x</class_name></class></classes>"),
        ("leap-15.6", "<general><ask-list><ask><title>x</title></ask></ask-list></general>"),
        (
            "leap-15.6",
            "<bootloader><global><boot_custom>/dev/sdb</boot_custom></global></bootloader>",
        ),
        ("leap-16.0", {"legacyAutoyastStorage": []}),
        ("leap-16.0", {"storage": {}}),
        ("ubuntu-24.04", {"user-data": {"disk_setup": {"/dev/sdb": {}}}}),
        ("ubuntu-24.04", {"user-data": {"fs_setup": [{"device": "/dev/sdb"}]}}),
        ("windows-11", _setup({"DiskConfiguration": {"Disk": [{"DiskID": "1"}]}})),
        ("windows-11", _setup({"ImageInstall": {"OSImage": {"InstallTo": {"DiskID": "1"}}}})),
        ("esxi-8", "%include /tmp/more"),
        ("fai-debian-12", {"disk_config/OWN": "disk_config /dev/sdb"}),
    ],
)
def test_no_fragment_leads_round_the_guard(release: str, text: Any) -> None:
    """What names disks, or fetches more that could, is refused where it is stated."""
    with pytest.raises(InputError) as caught:
        _check(_install(release, text))
    assert caught.value.where.startswith("fragments.")


def test_a_live_system_divides_no_disk() -> None:
    """Nothing is written by this method: its seed has no words for it."""
    bench = make_bench().with_method(Method.LIVE)
    wrong = {"live": json.dumps({"disk_setup": {"/dev/sdb": {}}})}
    parameters = asked.install("debian-12", fragments=wrong).parameters
    deployment = replace(bench.deployment, parameters=parameters)
    with pytest.raises(InputError) as caught:
        METHODS[Method.LIVE].check(deployment, bench.machine, MAC, bench.policy)
    assert caught.value.where == "fragments.live.disk_setup"


@pytest.mark.parametrize("storage", _STORAGE.values(), ids=_STORAGE)
@pytest.mark.parametrize("release", ["fedora-coreos", "flatcar"])
def test_ignition_writes_to_other_disks_only_where_these_are_named(
    release: str, storage: dict[str, Any]
) -> None:
    """Nobody has looked at them: the deployment says that what is on them may go."""
    with pytest.raises(RefusedError) as caught:
        _check(_install(release, {"storage": storage}))
    named = caught.value.next_step.rpartition(" ")[2]
    assert named in json.dumps(storage)
    _check(_install(release, {"storage": storage}, erase=(named,)))


def test_ignition_may_divide_the_disk_that_it_stands_on() -> None:
    """It has been looked at; partitions of it are known by their labels."""
    storage = {
        "disks": [
            {"device": "/dev/disk/by-id/coreos-boot-disk", "partitions": [{"label": "var"}]},
        ],
        "luks": [{"name": "v", "device": "/dev/disk/by-partlabel/var", "wipeVolume": True}],
        "filesystems": [
            {"device": "/dev/mapper/v", "path": "/var", "wipeFilesystem": True},
            {"device": "/dev/disk/by-partlabel/root", "wipeFilesystem": True},
            {"device": "/dev/disk/by-label/data", "path": "/data", "format": "ext4"},
        ],
        "files": [{"path": "/etc/x"}],
    }
    _check(_install("fedora-coreos", {"storage": storage}))


def test_talos_divides_other_disks_only_where_these_are_named() -> None:
    """As it does its own."""
    machine = {**CLUSTER["machine"], "disks": [{"device": "/dev/sdb", "partitions": []}]}
    cluster = {**CLUSTER, "machine": machine}
    with pytest.raises(RefusedError, match="/dev/sdb"):
        _check(_install("talos-1.11", cluster))
    _check(_install("talos-1.11", cluster, erase=("WD-1", "/dev/sdb")))


@pytest.mark.parametrize("place", [None, 5, [], "x"])
def test_talos_is_told_its_disk_by_nothing_else(place: Any) -> None:
    """What is no mapping would stand where ours is, or end in a traceback."""
    machine = {**CLUSTER["machine"], "install": place}
    with pytest.raises(InputError) as caught:
        _check(_install("talos-1.11", {**CLUSTER, "machine": machine}, erase=("WD-1",)))
    assert caught.value.where == "fragments.talos.machine.install"


@pytest.mark.parametrize(
    "storage",
    [{"disks": "x"}, {"disks": [1]}, {"filesystems": {"a": 1}}, [], {"raid": [{"devices": 1}]}],
)
def test_storage_that_is_none_is_no_way_round_either(storage: Any) -> None:
    """It is refused by its field, not read as nothing."""
    with pytest.raises(InputError) as caught:
        _check(_install("fedora-coreos", {"storage": storage}))
    assert caught.value.where.startswith("fragments.coreos")


@pytest.mark.parametrize("word", ["url=http://192.0.2.9/x.cfg", "partman/early_command=true"])
def test_a_kernel_argument_is_no_answer_to_debians_installer(word: str) -> None:
    """Its own command line is read by it, too: the last word counts."""
    with pytest.raises(InputError) as caught:
        _check(asked.install("debian-12", kernel_arguments=(KernelWord(word),)))
    assert caught.value.where == "kernel_arguments"
