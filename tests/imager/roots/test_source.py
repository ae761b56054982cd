"""Root file systems from everywhere: recognised, judged, made one archive; hostile ones refused."""

from __future__ import annotations

import gzip
import json
import lzma
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from ironwake.errors import InputError, IronwakeError, RefusedError, UnknownError
from ironwake.rootfs.member import Kind, RootError
from ironwake.rootfs.rules import Limits
from ironwake_imager.roots import source
from ironwake_imager.roots.source import Source, recognise
from ironwake_testing.archives import SYSTEM, Entry, tar
from ironwake_testing.ocilayout import Layout
from tests.imager.roots.bringing import beside, bring, contents

PLAIN = tar(SYSTEM)
WAYS: dict[str, Callable[[bytes], bytes]] = {
    "tar": lambda raw: raw,
    "gz": gzip.compress,
    "xz": lzma.compress,
    "zst": zstandard.ZstdCompressor().compress,
}


def file(folder: Path, raw: bytes) -> Path:
    path = folder / "source"
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize("way", WAYS)
def test_a_tar_becomes_an_image(way: str, tmp_path: Path) -> None:
    """However it is packed, the same archive comes out, with what the system says of itself."""
    path = file(tmp_path, WAYS[way](PLAIN))
    assert recognise(path) is Source.TAR
    root = bring(path, tmp_path / "work")
    assert {**root.facts, "content_sha256": ""} == {
        "image_kind": "root",
        "architecture": "amd64",
        "family": "debian",
        "release": "12",
        "kernel": "6.1.0-1-amd64",
        "boot_modes": "",
        "unpacked_bytes": sum(len(entry.data) for entry in SYSTEM),
        "members": len(SYSTEM) + 3,  # the root, var, var/lib
        "content_sha256": "",
        "source": "tar",
    }
    assert root.files["packages"].read_text() == "dash 0.5.12-2\n"
    found = contents(root.files["archive"])
    for entry in SYSTEM:
        member, data = found[entry.name]
        assert (data, member.link, member.mode) == (entry.data, entry.link, 0o755)


def test_equal_contents_are_equal_archives(tmp_path: Path) -> None:
    """The same system packed in two ways has one checksum."""
    hashes = set()
    for way, pack in WAYS.items():
        (tmp_path / way).mkdir()
        path = file(tmp_path / way, pack(PLAIN))
        hashes.add(bring(path, tmp_path / way / "work").facts["content_sha256"])
    assert len(hashes) == 1


def test_gnu_tar_unpacks_what_comes_out(tmp_path: Path) -> None:
    """The agent's own program takes our archive without a word, and gives the files back."""
    members = [*SYSTEM, Entry("etc/again", "hard", "etc/passwd"), Entry("usr/" + "n" * 200)]
    path = file(tmp_path, tar(members, owner=os.getuid()))
    root = bring(path, tmp_path / "work")
    target = tmp_path / "target"
    target.mkdir()
    command = ("tar", "--zstd", "-xpf", str(root.files["archive"]), "-C", str(target))
    done = subprocess.run(command, capture_output=True, check=True)
    assert done.stderr == b""
    assert (target / "etc/again").samefile(target / "etc/passwd")
    assert (target / "bin/sh").read_bytes().startswith(b"\x7fELF")
    assert (target / members[-1].name).is_file()


@pytest.mark.parametrize(
    "raw",
    [b"", bytes(2 << 20), os.urandom(5000), b"\x33\xc0" + bytes(508) + b"\x55\xaa" + b"x" * 9000],
    ids=["empty", "zeroes", "noise", "disk"],
)
@pytest.mark.parametrize("way", WAYS)
def test_what_is_no_root_is_left_to_others(raw: bytes, way: str, tmp_path: Path) -> None:
    """A disk, packed or not, is no root file system."""
    path = file(tmp_path, WAYS[way](raw))
    assert recognise(path) is None
    with pytest.raises(InputError, match="no root file system"):
        bring(path, tmp_path / "work")


def test_nothing_there_is_said(tmp_path: Path) -> None:
    """A mistyped name is no empty source."""
    with pytest.raises(UnknownError, match="no file or directory"):
        recognise(tmp_path / "no")


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        (Entry("../../etc/x"), "leads out"),
        (Entry("/etc/x"), "absolute"),
        (Entry("bin/x"), "leads through 'bin'"),
        (Entry("l", "sym", "../.."), "out of the root"),
        (Entry("h", "hard", "../x"), "leads out"),
        (Entry("sda", "block"), "outside of /dev"),
        (Entry("etc/passwd"), "stands twice"),
    ],
)
@pytest.mark.parametrize("way", WAYS)
def test_a_hostile_archive_leaves_nothing(
    entry: Entry, what: str, way: str, tmp_path: Path
) -> None:
    """Refused with the member's name before an archive is made; beside the bench nothing is new."""
    path = file(tmp_path, WAYS[way](tar([*SYSTEM, entry])))
    with beside(tmp_path) as work:
        with pytest.raises(RootError, match=what):
            bring(path, work)
        assert not list(work.iterdir())


@pytest.mark.parametrize("way", ["gz", "xz", "zst"])
def test_a_bomb_is_refused(way: str, tmp_path: Path) -> None:
    """Much more than its packed bytes, or more than the size allowed: either ends it."""
    plain = tar([*SYSTEM, Entry("zeroes", data=bytes(8 << 20))])
    path = file(tmp_path, WAYS[way](plain))
    for limits, what in (
        (Limits(free=1 << 20, ratio=20), "is a bomb"),
        (Limits(size=1 << 20), "'zeroes' makes it more than"),
    ):
        with beside(tmp_path) as work, pytest.raises(RootError, match=what):
            bring(path, work, limits=limits)
        work.rmdir()


def test_a_window_of_gigabytes_is_refused(tmp_path: Path) -> None:
    """A frame that asks for more memory than zstd gives by itself."""
    frame = b"\x28\xb5\x2f\xfd\x00" + bytes([(31 - 10) << 3]) + b"\x01\x00\x00"
    path = file(tmp_path, frame)
    with pytest.raises(RootError, match="damaged"):
        bring(path, tmp_path / "work")


@pytest.mark.parametrize("way", WAYS)
def test_a_truncated_archive_is_refused(way: str, tmp_path: Path) -> None:
    """Cut off at whatever place, it is damaged, not small."""
    raw = WAYS[way](tar([*SYSTEM, Entry("big", data=os.urandom(50_000))]).rstrip(b"\0"))
    for cut in (len(raw) // 3, len(raw) // 2, len(raw) - 1):
        path = file(tmp_path, raw[:cut])
        with beside(tmp_path) as work, pytest.raises(IronwakeError):
            bring(path, work)
        work.rmdir()


def test_what_is_no_system_is_refused(tmp_path: Path) -> None:
    """An archive of something else, and a system with two kernels."""
    path = file(tmp_path, tar([Entry("README", data=b"hello")]))
    with pytest.raises(RefusedError, match="/etc/passwd"):
        bring(path, tmp_path / "work")
    path = file(tmp_path, tar([*SYSTEM, Entry("boot/vmlinuz-6.12")]))
    with pytest.raises(RefusedError, match="2 kernels"):
        bring(path, tmp_path / "work2")


def test_without_a_kernel_one_is_wanted(tmp_path: Path) -> None:
    """Debian gets one by default; for another system there is none, and that is said."""
    bare = [entry for entry in SYSTEM if not entry.name.startswith("boot/")]
    other = [
        entry._replace(data=b"ID=alpine\nVERSION_ID=3.20\n") if "release" in entry.name else entry
        for entry in bare
    ]
    path = file(tmp_path, tar(other))
    with pytest.raises(RefusedError, match=r"none to add: it is alpine 3.20 for amd64"):
        bring(path, tmp_path / "work", kernel=source.Kernel.AUTO)
    root = bring(path, tmp_path / "work2", kernel=source.Kernel.NEVER)
    assert (root.facts["kernel"], root.facts["family"]) == ("", "alpine")


def layout(folder: Path) -> Layout:
    """Three layers: a system, changes with whiteouts, more."""
    made = Layout(folder)
    upper = tar([Entry("var/lib/dpkg/.wh.status"), Entry("etc/motd", data=b"two"), Entry("opt/a")])
    top = tar([Entry("etc/motd", data=b"three"), Entry("opt/.wh..wh..opq"), Entry("opt/b")])
    made.image([PLAIN, upper, top])
    return made


@pytest.mark.parametrize("form", ["directory", "tar", "tar with ./", "tar.gz"])
def test_an_oci_layout_is_its_layers_in_order(form: str, tmp_path: Path) -> None:
    """Each layer over those below, whiteouts and opaque markers applied, and gone themselves."""
    made = layout(tmp_path / "oci")
    path = made.finish()
    if form != "directory":
        path = made.as_tar(tmp_path / "oci.tar", "./" if "./" in form else "")
    if form == "tar.gz":
        path.write_bytes(gzip.compress(path.read_bytes()))
    assert recognise(path) is Source.OCI
    root = bring(path, tmp_path / "work")
    found = contents(root.files["archive"])
    assert found["etc/motd"][1] == b"three"
    assert "var/lib/dpkg/status" not in found
    assert "opt/b" in found
    assert "opt/a" not in found
    assert not [name for name in found if ".wh." in name]
    assert root.facts["architecture"] == "amd64"
    assert "packages" not in root.files


def test_every_blob_is_what_its_name_says(tmp_path: Path) -> None:
    """One octet of any blob that is another one, and the image is refused."""
    names = sorted(
        path.name for path in (layout(tmp_path / "0").finish() / "blobs/sha256").iterdir()
    )
    for number, name in enumerate(names, 1):
        path = layout(tmp_path / str(number)).finish()
        blob = path / "blobs/sha256" / name
        raw = bytearray(blob.read_bytes())
        raw[-1] ^= 1
        blob.write_bytes(raw)
        with pytest.raises(RootError, match="is not"):
            bring(path, tmp_path / f"work{number}")


def test_a_layer_is_what_the_configuration_says(tmp_path: Path) -> None:
    """Layers by other hashes than the configuration's: swapped, or by another builder."""
    made = Layout(tmp_path / "oci")
    made.image([PLAIN])
    (blob,) = [path for path in made.folder.rglob("*") if b"diff_ids" in _text(path)]
    config = json.loads(blob.read_bytes())
    config["rootfs"]["diff_ids"] = ["sha256:" + "0" * 64]
    row = made.blob(json.dumps(config).encode(), "config")
    (blob,) = [path for path in made.folder.rglob("*") if b'"layers": [' in _text(path)]
    manifest = {**json.loads(blob.read_bytes()), "config": row}
    made.manifests = [{**made.manifests[0], **made.blob(json.dumps(manifest).encode(), "x")}]
    made.manifests[0]["mediaType"] = "application/vnd.oci.image.manifest.v1+json"
    with pytest.raises(RootError, match="not what its image says"):
        bring(made.finish(), tmp_path / "work")


def _text(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def test_hostile_layouts_are_refused(tmp_path: Path) -> None:
    """A layer that leads out, one that stands elsewhere, a blob that is a link or a pipe."""
    made = Layout(tmp_path / "a")
    made.image([PLAIN, tar([Entry("bin/x")])])
    with pytest.raises(RootError, match="leads through 'bin'"):
        bring(made.finish(), tmp_path / "work-a")
    made = Layout(tmp_path / "b")
    made.image([PLAIN], urls=["http://192.0.2.1/layer"])
    with pytest.raises(RootError, match="stands elsewhere"):
        bring(made.finish(), tmp_path / "work-b")
    made = Layout(tmp_path / "c")
    row = made.image([PLAIN])
    blob = made.folder / "blobs/sha256" / str(row["digest"]).partition(":")[2]
    blob.rename(tmp_path / "elsewhere")
    blob.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RootError, match="the layout has no"):
        bring(made.finish(), tmp_path / "work-c")
    blob.unlink()
    os.mkfifo(blob)
    with pytest.raises(RootError, match="no file"):
        bring(made.finish(), tmp_path / "work-d")


@pytest.mark.parametrize(
    "digest", ["sha256:../../../etc/passwd", "sha512:" + "0" * 128, "sha256:" + "A" * 64, 5, None]
)
def test_a_digest_is_no_path(digest: object, tmp_path: Path) -> None:
    """What names a blob is 64 digits, whoever wrote the index."""
    made = Layout(tmp_path / "oci")
    made.manifests = [{**made.image([PLAIN]), "digest": digest}]
    with pytest.raises(RootError, match="no SHA-256 digest"):
        bring(made.finish(), tmp_path / "work")


def test_a_tar_of_a_layout_writes_its_blobs_only(tmp_path: Path) -> None:
    """Other names in it are left out, hostile ones end it; nothing is beside the bench."""
    made = layout(tmp_path / "oci")
    (made.folder / "manifest.json").write_text("[]")
    (made.folder / "blobs/sha256/short").write_text("no")
    path = made.as_tar(tmp_path / "oci.tar")
    with beside(tmp_path) as work:
        bring(path, work)
        names = {str(one.relative_to(work / "layout")) for one in (work / "layout").rglob("*")}
    assert "manifest.json" not in names
    assert "blobs/sha256/short" not in names


def test_of_several_images_one_must_be_named(tmp_path: Path) -> None:
    """A layout for two processors: the architecture says which."""
    made = Layout(tmp_path / "oci")
    made.image([PLAIN])
    made.image([tar([*SYSTEM, Entry("etc/arm")])], "arm64")
    made.finish()
    with pytest.raises(InputError, match="2 images, for: amd64, arm64"):
        bring(made.folder, tmp_path / "work")
    root = bring(made.folder, tmp_path / "work2", architecture="arm64")
    assert "etc/arm" in contents(root.files["archive"])


@pytest.mark.root
def test_a_directory_is_kept_as_it_is(tmp_path: Path) -> None:
    """Owners by number, modes, access lists, attributes, links, holes, devices, times."""
    here = tmp_path / "here"
    (here / "etc").mkdir(parents=True)
    (here / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (here / "dev").mkdir()
    os.mknod(here / "dev/null", 0o666 | 0o020000, os.makedev(1, 3))
    os.mkfifo(here / "etc/pipe")
    one = here / "etc/one"
    one.write_bytes(b"1" * 5000)
    os.chown(one, 4_000_000, 123)
    one.chmod(0o4711)
    os.link(one, here / "etc/two")
    os.setxattr(one, "user.note", b"\0=\n\xff")
    capability = bytes.fromhex("0100000200040000000000000000000000000000")
    os.setxattr(one, "security.capability", capability)
    access = bytes.fromhex(
        "0200000001000600ffffffff02000600e803000004000400ffffffff10000600ffffffff20000400ffffffff"
    )
    os.setxattr(here / "etc/passwd", "system.posix_acl_access", access)
    os.setxattr(here / "etc", "system.posix_acl_default", access)
    with (here / "holes").open("wb") as stream:
        stream.write(b"a" * 4096)
        stream.seek(50 << 20)
        stream.write(b"b" * 4096)
        stream.truncate(100 << 20)
    (here / "link").symlink_to("/etc/passwd")
    os.utime(here / "etc", (1_000_000_000, 1_000_000_000))
    assert recognise(here) is Source.DIRECTORY
    root = bring(here, tmp_path / "work")
    target = tmp_path / "target"
    target.mkdir()
    command = ("tar", "--zstd", "--extract", "--preserve-permissions", "--same-owner",
               "--numeric-owner", "--xattrs", "--xattrs-include=*", "--acls",
               "--delay-directory-restore", "--file", str(root.files["archive"]),
               "--directory", str(target))  # fmt: skip
    assert subprocess.run(command, capture_output=True, check=True).stderr == b""
    assert _tree(target) == _tree(here)
    assert (target / "holes").stat().st_blocks < 100
    # and once more from there: the same archive, to the octet
    again = bring(target, tmp_path / "work2")
    assert again.facts["content_sha256"] == root.facts["content_sha256"]


def _tree(root: Path) -> dict[str, object]:
    """Everything that a file system knows of the files below."""
    found: dict[str, object] = {}
    inodes: dict[int, str] = {}
    for path in sorted([root, *root.rglob("*")]):
        facts = path.lstat()
        name = str(path.relative_to(root))
        data = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        attributes = {
            key: os.getxattr(path, key, follow_symlinks=False)
            for key in os.listxattr(path, follow_symlinks=False)
        }
        found[name] = (
            facts.st_mode, facts.st_uid, facts.st_gid, int(facts.st_mtime), facts.st_rdev,
            inodes.setdefault(facts.st_ino, name), data, attributes,
            str(path.readlink()) if path.is_symlink() else "",
        )  # fmt: skip
    return found


@pytest.mark.root
def test_links_of_a_directory_lead_nowhere(tmp_path: Path) -> None:
    """A link to a folder of this host is a link in the archive, and none of its contents."""
    here = tmp_path / "here"
    (here / "etc").mkdir(parents=True)
    (here / "etc/passwd").touch()
    (here / "host").symlink_to("/etc")
    root = bring(here, tmp_path / "work")
    found = contents(root.files["archive"])
    assert found["host"][0].kind is Kind.SYMLINK
    assert not [name for name in found if name.startswith("host/")]
