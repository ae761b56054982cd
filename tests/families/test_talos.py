"""Talos: a machine configuration of two halves, and a disk that is named twice or not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import yaml

from ironwake.disk import DiskMatch
from ironwake.errors import InputError, RefusedError
from ironwake.families import FAMILIES, check
from ironwake.families.base import Install
from ironwake.names import KernelWord
from ironwake.parameters.network import Device, Kind, Network
from tests.families import asked

FAMILY = FAMILIES["talos"]
RELEASE = "talos-1.11"
CLUSTER: dict[str, Any] = {
    "version": "v1alpha1",
    "machine": {"type": "worker", "token": "t", "ca": {"crt": "c"}},
    "cluster": {"controlPlane": {"endpoint": "https://192.0.2.9:6443"}},
}


def install(match: str = "WD-1", cluster: Any = CLUSTER, **stated: Any) -> Install:
    fragments = {"talos": json.dumps(cluster)} if cluster else {}
    return asked.install(RELEASE, match=match, fragments=fragments, **stated)


def config(told: Install) -> dict[str, Any]:
    """As a YAML reader has it."""
    found: dict[str, Any] = yaml.safe_load(FAMILY.answers(told).files["machine.yaml"])
    return found


def test_the_clusters_part_and_the_machines_are_one_document() -> None:
    """The secrets are the fragment's; the name, the disk, the network are this machine's."""
    told = install(ntp=("192.0.2.3",), kernel_arguments=(KernelWord("quiet"),))
    check(FAMILY, told)
    found = config(told)
    assert found["cluster"] == CLUSTER["cluster"]
    machine = found["machine"]
    assert machine["token"] == "t"
    assert machine["install"]["diskSelector"] == {"serial": "WD-1"}
    assert machine["install"]["wipe"] is False
    assert machine["install"]["extraKernelArgs"] == ["quiet"]
    assert machine["network"]["hostname"] == "node1.ironwake.internal"
    card = {"deviceSelector": {"hardwareAddr": "52:54:00:77:00:10"}, "dhcp": True}
    assert machine["network"]["interfaces"] == [card]
    assert machine["time"] == {"servers": ["192.0.2.3"]}
    assert FAMILY.parse("machine.yaml", FAMILY.answers(told).files["machine.yaml"]) == found


def test_it_boots_only_to_a_disk_that_it_may_erase() -> None:
    """Talos looks at nothing before it writes: a person has to say that this disk may go."""
    with pytest.raises(RefusedError, match="without a look"):
        FAMILY.arguments(install())
    words = FAMILY.arguments(replace(install(), erase=("WD-1",)))
    assert f"talos.config={asked.SITE}/deployments/{asked.TOKEN}/answers/machine.yaml" in words
    assert "talos.platform=metal" in words


def test_a_disk_by_its_path() -> None:
    """As udev has it."""
    found = config(install("/dev/disk/by-path/pci-1"))
    assert found["machine"]["install"]["disk"] == "/dev/disk/by-path/pci-1"


def test_networks_as_talos_has_them() -> None:
    """A VLAN stands inside of what it is on; cards are known by their MAC addresses."""
    network = Network(
        (
            Device("up", Kind.BOND, ("boot", "52:54:00:12:34:57")),
            Device("office", Kind.VLAN, ("up",), addresses=("192.0.2.7/24",),
                   gateway="192.0.2.1", vlan=20),
            Device("br", Kind.BRIDGE, ("up",), dhcp=True),
        ),
        ("192.0.2.53",),
    )  # fmt: skip
    found = config(install(network=network))["machine"]["network"]
    up, bridge = found["interfaces"]
    assert [one["hardwareAddr"][-2:] for one in up["bond"]["deviceSelectors"]] == ["10", "57"]
    assert up["vlans"][0]["vlanId"] == 20
    assert up["vlans"][0]["routes"] == [{"network": "0.0.0.0/0", "gateway": "192.0.2.1"}]
    assert bridge["bridge"]["interfaces"] == ["up"]
    assert found["nameservers"] == ["192.0.2.53"]


def test_its_pod_reports_that_it_runs() -> None:
    """Nothing else would: installed by the deployment's token, health by the system's own."""
    (pod,) = config(install())["machine"]["pods"]
    script = pod["spec"]["containers"][0]["command"][-1]
    assert script.index("stage=installing") < script.index("stage=installed")
    assert script.index("stage=installed") < script.index(f"/health/{'cd' * 32}")
    quiet = replace(install(), release=replace(install().release, options={}))
    assert "pods" not in config(quiet)["machine"]


@pytest.mark.parametrize(
    ("told", "where"),
    [
        (install("auto"), "disk.match"),
        (install("smallest nvme"), "disk.match"),
        (install("wwn:0x5"), "disk.match"),
        (install(cluster=None), "fragments.talos"),
        (install(cluster={"cluster": {}, "machine": {"type": "worker"}}), "fragments.talos"),
        (install(cluster={**CLUSTER, "machine": {**CLUSTER["machine"], "install": {"disk": "x"}}}),
         "fragments.talos.machine.install"),
        (install(network=Network((Device("br", Kind.BRIDGE, dhcp=True),))), "network"),
        (install(layout=asked.PLAIN), "layout"),
        (install(timezone="Europe/Berlin"), "timezone"),
        (install(packages=("vim",)), "packages"),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_refused(told: Install, where: str) -> None:
    """With its field."""
    with pytest.raises(InputError) as error:
        check(FAMILY, told)
    assert where in (error.value.where or error.value.what)


@pytest.mark.parametrize("match", ["serial:WD-1", "WD-1"])
def test_a_serial_number_is_one_however_it_is_written(match: str) -> None:
    """Talos compares it with the disk's own."""
    found = config(install(DiskMatch(match)))
    assert found["machine"]["install"]["diskSelector"] == {"serial": "WD-1"}
