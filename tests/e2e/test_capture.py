"""Images of machines: read without a byte being written, and the same tree on another machine."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import zstandard

from ironwake.artifact import Manifest
from ironwake.image import Image, ImageKind
from ironwake.progress import silent
from ironwake.rootfs.member import Kind, Member
from ironwake.rootfs.rules import Limits
from ironwake_imager.library.bring import Importer, Wish
from ironwake_imager.library.library import Library
from ironwake_imager.roots.layers import TarLayer
from ironwake_runtime.artifacts import ArtifactStore
from ironwake_runtime.builds import Workshop
from ironwake_testing.archives import Entry, tar
from ironwake_testing.ocilayout import Layout
from ironwake_testing.scene import BOOT_SECONDS, DEPLOY_SECONDS, Scene, copied, node, scene

pytestmark = [pytest.mark.root, pytest.mark.qemu]

PROFILES = {
    "source": "image: source\nmethod: archive\nfinish: poweroff\n",
    "copy": "image: web\nmethod: archive\nfinish: poweroff\n",
    "clone": "image: whole\nmethod: disk-image\nidentity: new\n",
}
# A UEFI starts a fresh system first, whatever the network has for it: it would not be closed.
ONE = node(1, firmware="bios", disk_bytes=3 << 30)
TWO = node(2, firmware="bios", disk_bytes=4 << 30)
# cap_net_raw, effective (linux/capability.h: vfs_cap_data, revision 2)
_CAPABILITY = "\x01\0\0\x02\0\x20" + "\0" * 14
# As tar writes them, and a link's mode is always this one: what comes back is the same to the byte.
_ACL = "user::rw-\nuser:1234:rw-\ngroup::r--\nmask::rw-\nother::r--"
_PLAIN = "user::rwx\ngroup::r-x\nother::r-x"
_DEFAULT = "user::rwx\nuser:1234:r-x\ngroup::r-x\nmask::r-x\nother::---"
MARKS = (
    Entry("opt/marks", "dir", pax={"SCHILY.acl.access": _PLAIN, "SCHILY.acl.default": _DEFAULT}),
    Entry("opt/marks/acl", data=b"one\n", mode=0o664, pax={"SCHILY.acl.access": _ACL}),
    Entry("opt/marks/first", data=b"two\n", pax={"SCHILY.xattr.user.note": "kept"}),
    Entry("opt/marks/second", "hard", "opt/marks/first"),
    Entry("opt/marks/tool", data=b"\x7fELF", pax={"SCHILY.xattr.security.capability": _CAPABILITY}),
    Entry("opt/marks/pipe", "fifo"),
    Entry("opt/marks/link", "sym", "../marks/tool", mode=0o777),
)
# What each machine has of its own.
_OWN = (
    *("etc/fstab", "etc/hostname", "etc/hosts", "etc/systemd", "boot/grub", "boot/efi"),
    *("etc/default/grub", "var/lib/ironwake", "usr/lib/ironwake", "etc/ironwake"),
    *("boot/initrd.img", "etc/machine-id", "var/log", "var/cache", "etc/grub.d"),
)
# What the agent writes anew on each: the same, but for the time.
_WRITTEN = {
    *("etc/default/keyboard", "etc/default/locale", "etc/group", "etc/gshadow", "etc/localtime"),
    *("etc/passwd", "etc/shadow", "etc/subgid", "etc/subuid", "etc/timezone"),
}


class Found(NamedTuple):
    """What one name of a tree is, to the last attribute; `content` is the SHA-256 of it."""

    kind: Kind
    mode: int
    owner: tuple[int, int]
    mtime: int
    size: int
    link: str
    device: tuple[int, int]
    extended: tuple[tuple[str, bytes], ...]
    content: str


def tree(store: ArtifactStore, manifest: Manifest) -> dict[str, Found]:
    """All of a root image, by name."""
    found: dict[str, Found] = {}
    member: Member | None = None
    digest = hashlib.sha256()
    archive = TarLayer(store.path(manifest.artifact("archive").sha256), Limits())
    for event in archive.read(contents=True):
        if not isinstance(event, Member):
            digest.update(event)
            continue
        if member is not None:
            found[member.path] = _found(member, digest)
        member, digest = event, hashlib.sha256()
    if member is not None:
        found[member.path] = _found(member, digest)
    return found


def _found(member: Member, digest: hashlib._Hash) -> Found:
    mtime = 0 if member.kind is Kind.DIRECTORY else member.mtime
    return Found(
        *(member.kind, member.mode, (member.uid, member.gid), mtime, member.size, member.link),
        *(member.device, tuple(sorted(member.extended.items())), digest.hexdigest()),
    )


def differences(one: dict[str, Found], two: dict[str, Found]) -> list[str]:
    """The names that are other, but for what each machine has of its own."""
    names = (name for name in sorted({*one, *two}) if _told(one, name) != _told(two, name))
    return [name for name in names if not name.startswith(_OWN)]


def _told(tree: dict[str, Found], name: str) -> Found | None:
    found = tree.get(name)
    return found._replace(mtime=0) if found and name in _WRITTEN else found


@pytest.fixture(scope="module")
def there(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Two machines, and the first has a system with all that is easily lost; it is off."""
    folder = tmp_path_factory.mktemp("capture")
    artifacts = ArtifactStore(copied(store, folder / "artifacts"))
    _import(artifacts, folder)
    with scene(folder, ONE, TWO, profiles=PROFILES, artifacts=artifacts.directory) as there:
        there.enrol(ONE)
        there.enrol(TWO)
        install(there, ONE.name, "source")
        yield there


def _import(artifacts: ArtifactStore, folder: Path) -> None:
    archive = artifacts.manifest("debian-12-cloud").artifact("archive")
    with artifacts.path(archive.sha256).open("rb") as packed:
        plain = zstandard.ZstdDecompressor().stream_reader(packed).read()
    layers = Layout(folder / "layers")
    layers.image([plain, tar(MARKS)])

    def shop() -> Workshop:
        raise AssertionError("it has a kernel")

    importer = Importer(Library(artifacts), folder / "cache", silent, shop)
    importer.bring(Wish(str(layers.finish()), "source"))


def install(
    there: Scene, name: str, profile: str, seconds: float = DEPLOY_SECONDS, **more: object
) -> None:
    """Put a system on it, and leave it off: its file systems are closed, it never ran."""
    deployment = there.deploy(name, profile, **more)
    there.appliance.wait_event(deployment, lambda e: e["kind"] == "installed", seconds)
    wait_off(there, name)
    there.appliance.cli("cancel", name, check=True)


def capture(there: Scene, name: str, image: str, **what: str) -> Manifest:
    """Read it; the image. Not a byte of its disk is another one afterwards."""
    machine = there.rack.machine(name)
    before = digest(machine.disks[0])
    asked = {"name": image, **what}
    deployment = there.deploy(name, "", method="capture", capture=asked, finish="poweroff")
    there.succeed(deployment)
    wait_off(there, name)
    assert digest(machine.disks[0]) == before
    there.appliance.cli("image", "capture", name, "--take", check=True)
    library = Library(ArtifactStore(there.artifacts))
    assert not any((there.state / "captures").iterdir())
    return library.find(image)[1]


def wait_off(there: Scene, name: str) -> None:
    """Until the machine has switched itself off."""
    machine = there.rack.machine(name)
    machine.wait_serial("done: switching off", BOOT_SECONDS)
    if machine.pid is not None:
        words = ["tail", f"--pid={machine.pid}", "-f", "/dev/null"]
        subprocess.run(words, timeout=300, check=False)
    assert not machine.is_on


def digest(disk: Path) -> str:
    with disk.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@pytest.mark.deep
def test_a_captured_root_is_the_same_tree_on_another_machine(there: Scene) -> None:
    """ACLs, attributes, capabilities, hard links, owners, times: captured, deployed, captured."""
    store = ArtifactStore(there.artifacts)
    first = tree(store, capture(there, ONE.name, "web", root="auto"))
    source = tree(store, Library(store).find("source")[1])
    marks = {entry.name: source[entry.name] for entry in MARKS}
    assert {name: first[name] for name in marks} == marks
    assert {Kind.HARDLINK, Kind.FIFO} <= {first[name].kind for name in marks}
    install(there, TWO.name, "copy")
    second = tree(store, capture(there, TWO.name, "again", root="auto"))
    assert differences(first, second) == []
    assert {name: second[name] for name in marks} == marks


@pytest.mark.deep
def test_a_captured_disk_boots_on_another_machine(there: Scene) -> None:
    """Its used blocks alone are sent; the clone is a machine of its own, and is healthy."""
    manifest = capture(there, ONE.name, "whole")
    image = Image.of(manifest)
    assert (image.kind, image.size) == (ImageKind.DISK, ONE.disk_bytes)
    assert "bios" in image.boot_modes
    assert int(manifest.facts["held_bytes"]) < ONE.disk_bytes // 2
    erase = [f"disk-{TWO.name}"]
    there.succeed(there.deploy(TWO.name, "clone", erase=erase))
