"""Systems that have only been in containers, on real machines: they get a kernel, and boot."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from ironwake.artifact import Manifest
from ironwake.progress import silent
from ironwake_imager.library.bring import Importer, Wish
from ironwake_imager.library.library import Library
from ironwake_lab import MachineSpec
from ironwake_runtime.aptsources import mirror_of
from ironwake_runtime.artifacts import ArtifactStore
from ironwake_runtime.builds import Workshop
from ironwake_runtime.settings import read
from ironwake_testing import exported
from ironwake_testing.archives import Entry, tar
from ironwake_testing.ocilayout import Layout
from ironwake_testing.scene import CACHE, copied, node, scene

pytestmark = [pytest.mark.root, pytest.mark.qemu]

UEFI = node(1, disk_bytes=4 << 30)
BIOS = node(2, firmware="bios", disk_bytes=4 << 30)


@dataclass(frozen=True)
class Bench:
    """What is imported into `artifacts`; `base` is the tar of a Debian without a kernel."""

    artifacts: ArtifactStore
    importer: Importer
    base: Path

    def bring(self, source: Path) -> Manifest:
        """The image of that name; it has a kernel then, and says so."""
        manifest = self.importer.bring(Wish(str(source), source.stem))
        facts = manifest.facts
        assert (facts["family"], facts["release"]) == ("debian", "12")
        assert (facts["architecture"], facts["boot_modes"]) == ("amd64", "bios,uefi")
        assert str(facts["kernel"]).endswith("-amd64")
        packages = self.artifacts.path(manifest.artifact("packages").sha256).read_text()
        assert "\nlinux-image-amd64 " in packages
        return manifest


@pytest.fixture(scope="module")
def bench(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A library of this file's own, and a Debian as containers have it."""
    folder = tmp_path_factory.mktemp("images")
    artifacts = ArtifactStore(copied(store, folder / "artifacts"))
    shop = Workshop(artifacts, CACHE, mirror_of(read(os.environ).mirror), silent)
    apt = shop.apt("bookworm")
    apt.update()
    base = exported.base(apt, folder / "base.tar")
    return Bench(
        artifacts, Importer(Library(artifacts), folder / "cache", silent, lambda: shop), base
    )


def becomes_healthy(machine: MachineSpec, image: str, artifacts: Path, tmp_path: Path) -> None:
    """From power-on to its own word that it is up."""
    profiles = {"mine": f"image: {image}\nmethod: archive\n"}
    with scene(tmp_path, machine, profiles=profiles, artifacts=artifacts) as there:
        there.enrol(machine)
        there.succeed(there.deploy(machine.name, "mine"))


@pytest.mark.deep
def test_an_exported_container_becomes_a_healthy_machine(bench: Bench, tmp_path: Path) -> None:
    """What `docker export` gives, by UEFI."""
    bench.bring(exported.export(bench.base, tmp_path / "exported.tar"))
    becomes_healthy(UEFI, "exported", bench.artifacts.directory, tmp_path)


@pytest.mark.deep
def test_an_oci_layout_becomes_a_healthy_machine(bench: Bench, tmp_path: Path) -> None:
    """Three layers with whiteouts, by a BIOS, named by its tag."""
    layers = Layout(tmp_path / "layers")
    added = [Entry("etc/motd", data=b"of the second layer\n"), Entry("opt/gone"), Entry("srv/gone")]
    hidden = [Entry("opt/.wh.gone"), Entry("srv/.wh..wh..opq"), Entry("srv/there")]
    layers.image([bench.base.read_bytes(), tar(added), tar(hidden)])
    bench.bring(layers.finish())
    bench.importer.library.tag("layers", "stable")
    becomes_healthy(BIOS, "layers@stable", bench.artifacts.directory, tmp_path)
