"""What the builders make from the real mirror."""

from __future__ import annotations

import struct
import subprocess
import tarfile
from pathlib import Path

import pytest

from ironwake import release
from ironwake.artifact import Manifest
from ironwake.errors import UnknownError
from ironwake.firmware import Architecture
from ironwake.progress import silent
from ironwake_imager import debian, loaders, media
from ironwake_runtime.apt import AptError, AptRoot
from ironwake_runtime.aptsources import Mirror, MirrorError
from ironwake_runtime.artifacts import ArtifactStore
from ironwake_runtime.builds import Workshop


def test_every_medium_has_a_sentence() -> None:
    """A person can choose from names that explain themselves."""
    assert {
        "loaders",
        "ramdisk-generic",
        "debian-12",
        "debian-12-cloud",
        "debian-12-cloud-live",
    } <= media.catalogue().keys()
    assert all(media.catalogue().values())


def test_an_unknown_medium_names_the_known(tmp_path: Path) -> None:
    """A misspelt name is answered with the names that exist, before anything is done."""
    with pytest.raises(UnknownError) as caught:
        media.add(
            "debain-12", ArtifactStore(tmp_path), tmp_path, Mirror("http://mirror.example"), silent
        )
    assert "debian-12" in caught.value.next_step
    assert list(tmp_path.iterdir()) == []


@pytest.mark.root
def test_packages_resolve_with_and_without_dependencies(shop: Workshop) -> None:
    """The private apt root answers for another release than the host's."""
    apt = shop.apt("trixie")
    apt.update()
    assert apt.resolve(["zstd"], dependencies=False).keys() == {"zstd"}
    assert {"zstd", "libc6"} <= apt.resolve(["zstd"]).keys()
    assert apt.dependency("linux-image-amd64", r"linux-image-\d.*").startswith("linux-image-6.")
    with pytest.raises(AptError, match="no-such-package"):
        apt.resolve(["no-such-package"], dependencies=False)


@pytest.mark.root
def test_a_wrong_keyring_is_refused(shop: Workshop, tmp_path: Path) -> None:
    """Lists that the keyring does not verify are not used."""
    keyring = tmp_path / "empty.gpg"
    keyring.write_bytes(b"")
    apt = AptRoot(tmp_path / "apt", "trixie", shop.mirror, keyring=keyring)
    with pytest.raises(MirrorError):
        apt.update()


@pytest.mark.root
def test_a_dead_mirror_is_named(tmp_path: Path) -> None:
    """A mirror that refuses the connection is named in the error."""
    dead = Mirror("http://127.0.0.1:9/debian")
    with pytest.raises(MirrorError, match=r"127\.0\.0\.1:9"):
        AptRoot(tmp_path / "apt", "trixie", dead).update()


PE_MACHINES = {Architecture.AMD64: 0x8664, Architecture.ARM64: 0xAA64}


@pytest.mark.root
def test_the_loaders_are_signed_images(shop: Workshop) -> None:
    """All served names are there; UEFI loaders are PE files for their processor, GRUB has /grub."""
    manifest = loaders.build(shop)
    assert manifest.artifacts.keys() == loaders.LOADERS.keys()
    for role, artifact in manifest.artifacts.items():
        data = shop.store.path(artifact.sha256).read_bytes()
        if role.endswith(".efi"):
            (header,) = struct.unpack_from("<I", data, 0x3C)
            machine = struct.unpack_from("<4sH", data, header)
            assert machine == (b"PE\0\0", PE_MACHINES[loaders.LOADERS[role].architecture]), role
        if role.startswith("sb/grub"):
            assert b"(memdisk)" in data


def archive_members(
    shop: Workshop, manifest: Manifest, role: str = "archive"
) -> dict[str, tarfile.TarInfo]:
    packed = shop.store.path(manifest.artifact(role).sha256)
    with (
        subprocess.Popen(["zstd", "-dcq", packed], stdout=subprocess.PIPE) as plain,
        tarfile.open(fileobj=plain.stdout, mode="r|") as tar,
    ):
        return {member.name.removeprefix("./"): member for member in tar}


@pytest.mark.root
def test_the_root_archive_boots_anywhere_and_is_nobody(shop: Workshop) -> None:
    """Kernel, loaders for both firmwares and services are there; identity and leftovers are not."""
    manifest = debian.build("debian-12-cloud", shop)
    members = archive_members(shop, manifest)
    kernel = manifest.facts["kernel_version"]
    for name in (
        f"boot/vmlinuz-{kernel}",
        f"boot/initrd.img-{kernel}",
        "usr/lib/shim/shimx64.efi.signed",
        "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed",
        "usr/lib/grub/i386-pc/boot.img",
        "usr/sbin/grub-install",
        "usr/sbin/sshd",
        "usr/bin/curl",
        "etc/systemd/system/multi-user.target.wants/systemd-networkd.service",
        "etc/systemd/system/ssh.service.requires/ssh-host-keys.service",
    ):
        assert name in members, name
    assert members["etc/machine-id"].size == 0
    assert "etc/hostname" not in members
    assert not [name for name in members if name.startswith("etc/ssh/ssh_host_")]
    assert not [name for name in members if name.startswith("var/lib/apt/lists/") and "_" in name]
    assert not [name for name in members if name.endswith(".deb")]
    assert not [m for m in members.values() if m.name.startswith("./var/log/") and m.isreg()]
    assert members["etc/resolv.conf"].issym()
    assert manifest.facts["unpacked_bytes"] == sum(member.size for member in members.values())
    assert manifest.artifacts.keys() == {
        *("archive", "layout-packages"),
        *("installer-kernel", "installer-initrd"),
    }


@pytest.mark.root
def test_what_only_layouts_need_is_beside_the_archive(shop: Workshop) -> None:
    """A repository with all packages that a layout may want, and none twice."""
    manifest = debian.build("debian-12-cloud", shop)
    members = archive_members(shop, manifest, "layout-packages")
    assert "Packages" in members
    names = {name.removesuffix(".deb") for name in members if name.endswith(".deb")}
    assert names >= set(debian.MEDIA["debian-12-cloud"].layout_packages)
    assert not names & set(debian.PACKAGES)


def test_a_medium_brings_what_machines_need_to_get_there() -> None:
    """One command is enough: loaders and the ramdisk of the same kind come first, and once."""
    names = media.with_needs(["debian-12", "debian-12-cloud"])
    assert names == ("loaders", "ramdisk-generic", "debian-12", "ramdisk-cloud", "debian-12-cloud")


def test_a_medium_of_another_architecture_brings_its_own_ramdisk() -> None:
    """No program of a ramdisk for another processor would start there."""
    names = media.with_needs(["debian-13-cloud-arm64"])
    assert names == ("loaders", "ramdisk-cloud-arm64", "debian-13-cloud-arm64")


def test_what_a_release_promises_can_be_built() -> None:
    """Whatever architecture a release lists, there is a medium of that name."""
    promised = {row.medium(one) for row in release.built_in().values() for one in row.architectures}
    assert promised <= media.catalogue().keys()


@pytest.mark.root
@pytest.mark.parametrize("name", ["debian-11", "debian-testing"])
def test_an_installer_alone(shop: Workshop, name: str) -> None:
    """Of the oldest and of the newest Debian: kernel and initrd out of their package."""
    manifest = debian.installer(name, shop)
    assert manifest.artifacts.keys() == {"installer-kernel", "installer-initrd"}
    assert manifest.artifact("installer-initrd").size > 10 << 20
    assert "loaders" in media.with_needs([name])
