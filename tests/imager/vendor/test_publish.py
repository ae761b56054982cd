"""ISO images of every vendor's structure: known, served byte for byte, refused when they lie."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from ironwake import medium as media
from ironwake.errors import BrokenError, InputError, RefusedError
from ironwake.iso import wim
from ironwake.iso.table import decode
from ironwake_imager.vendor import opened
from ironwake_imager.vendor.folder import Folder
from ironwake_imager.vendor.publish import Origin
from ironwake_imager.vendor.source import Wish
from ironwake_testing import discs
from ironwake_testing.esxi import BOOT_CFG
from tests.imager.vendor.conftest import Desk

OWN = Origin("a.iso", "nobody")


@pytest.mark.parametrize("name", discs.STRUCTURES)
def test_a_dropped_iso_is_recognised_and_its_files_are_the_originals(
    desk: Desk, tmp_path: Path, name: str
) -> None:
    """By its contents, as just this medium; what is taken out and what is inside is unchanged."""
    disc = discs.make(name, tmp_path)
    (found,) = opened.dropped(tmp_path, desk.known.values())
    assert [one.name for one in found.media] == [name], found.why_not
    manifest = desk.bringer.bring(desk.known[name], Wish(path=disc.path))
    assert manifest.files["iso"] == f"{name}.iso"
    for role, paths in desk.known[name].take.items():
        path = next(one for one in paths.split("|") if one in disc.files)
        assert desk.bytes_of(name, role) == disc.files[path]
    table, iso = decode(desk.bytes_of(name, "tree")), desk.bytes_of(name, "iso")
    assert iso == disc.path.read_bytes()
    for path, data in disc.files.items():
        place = table.tree.find(path)
        assert place is not None, path
        assert iso[place.offset : place.offset + place.size] == data, path


def test_windows_editions_and_esxi_words_are_facts(desk: Desk, tmp_path: Path) -> None:
    """What answer files need to know of a medium stands in its manifest."""
    for name in ("windows-11", "esxi-8"):
        disc = discs.make(name, tmp_path)
        desk.bringer.bring(desk.known[name], Wish(path=disc.path))
    windows, esxi = (desk.store.manifest(name) for name in ("windows-11", "esxi-8"))
    assert windows.facts["editions"] == "1: Windows 11 Home; 2: Windows 11 Pro"
    assert esxi.facts["boot_cfg"] == BOOT_CFG
    assert esxi.files["installer-kernel"] == "mboot.efi"


def test_a_fact_is_told_whole_or_not_at_all(desk: Desk, tmp_path: Path) -> None:
    """A list of modules that ends somewhere would be found out by the machine that lacks the rest.

    Nothing is published then.
    """
    structure = discs.STRUCTURES["esxi-8"]
    files = {**structure.files(), "boot.cfg": f"{BOOT_CFG}x={'x' * 40_000}".encode()}
    path = discs.make_of(files, tmp_path / "e.iso", structure.label, structure.make).path
    with pytest.raises(RefusedError, match=r"boot\.cfg of this medium is longer than"):
        desk.bringer.bring(desk.known["esxi-8"], Wish(path=path))
    assert not desk.store.manifests()


def test_a_real_windows_image_says_what_it_is(tmp_path: Path) -> None:
    """wimlib's own files have their XML where we look for it."""
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "a").write_bytes(discs.octets("a", 5000))
    path = tmp_path / "a.wim"
    command = ["wimlib-imagex", "capture", str(tmp_path / "w"), str(path), "Some system"]
    subprocess.run(command, check=True, capture_output=True)
    data = path.read_bytes()
    text = wim.xml(lambda offset, size: data[offset : offset + size], len(data))
    assert wim.editions(text) == "1: Some system"
    cut = data[: len(data) // 2]
    assert wim.xml(lambda offset, size: cut[offset : offset + size], len(cut)) == ""


def test_a_truncated_iso(desk: Desk, tmp_path: Path) -> None:
    """It is refused, whatever is missing, and nothing of it is kept."""
    disc = discs.make("rocky-9", tmp_path)
    whole = disc.path.read_bytes()
    for size in (100, 40_000, len(whole) // 2, len(whole) - 200 * 2048):
        disc.path.write_bytes(whole[:size])
        with pytest.raises(RefusedError):
            desk.bringer.bring(desk.known["rocky-9"], Wish(path=disc.path))
        assert desk.leftovers() == []


def test_an_iso_whose_kernel_is_another_one(desk: Desk, tmp_path: Path) -> None:
    """Its own list says what the kernel is: where they differ, nothing of it is kept."""
    for name in ("rocky-9", "ubuntu-24.04", "leap-15.6"):
        disc = discs.make(name, tmp_path)
        path = desk.known[name].take["installer-kernel"].partition("|")[0]
        lying = {**disc.files, path: b"another kernel"}
        liar = discs.make_of(lying, tmp_path / "lie.iso", how=discs.rock_ridge)
        with pytest.raises(RefusedError, match="differs from what the medium's own list says"):
            desk.bringer.bring(desk.known[name], Wish(path=liar.path))
        assert desk.leftovers() == []


def test_another_medium_than_the_one_that_was_named(desk: Desk, tmp_path: Path) -> None:
    """What it is instead is said, with the command that adds it."""
    disc = discs.make("alma-8", tmp_path)
    with pytest.raises(RefusedError, match="ironwake media add alma-8 --from") as error:
        desk.bringer.bring(desk.known["rocky-9"], Wish(path=disc.path))
    assert "not Rocky Linux 9's DVD, x86_64, but AlmaLinux 8's DVD, x86_64" in str(error.value)


def test_a_checksum_that_differs(desk: Desk, tmp_path: Path) -> None:
    """Given, or in a list that lies beside the file: nothing is added, and nothing stays."""
    disc = discs.make("rocky-9", tmp_path)
    with pytest.raises(RefusedError, match="has another SHA256"):
        desk.bringer.bring(desk.known["rocky-9"], Wish(path=disc.path, sha256="0" * 64))
    (tmp_path / "CHECKSUM").write_text(f"SHA256 (rocky-9.iso) = {'1' * 64}\n")
    with pytest.raises(RefusedError, match="has another SHA256"):
        desk.bringer.bring(desk.known["rocky-9"], Wish(path=disc.path))
    assert desk.leftovers() == []


def test_a_list_beside_the_file(desk: Desk, tmp_path: Path) -> None:
    """It is used, and the manifest says so."""
    disc = discs.make("rocky-9", tmp_path)
    said = subprocess.run(
        ["sha256sum", disc.path.name], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    (tmp_path / "SHA256SUMS").write_text(said.stdout)
    manifest = desk.bringer.bring(desk.known["rocky-9"], Wish(path=disc.path))
    assert manifest.facts["trust"] == "the list SHA256SUMS beside it"


def test_a_folder_with_an_iso_and_one_with_its_files(desk: Desk, tmp_path: Path) -> None:
    """A USB stick may have either; the files are the same by HTTP."""
    stick = tmp_path / "stick"
    stick.mkdir()
    disc = discs.make("rocky-9", stick)
    (stick / "other.iso").write_bytes(b"no ISO")
    desk.bringer.bring(desk.known["rocky-9"], Wish(path=stick))
    assert "iso" in desk.store.manifest("rocky-9").artifacts
    unpacked = disc.path.with_suffix(".files")
    (unpacked / "away").symlink_to("/etc")
    desk.bringer.bring(desk.known["rocky-9"], Wish(path=unpacked))
    table, contents = decode(desk.bytes_of("rocky-9", "tree")), desk.bytes_of("rocky-9", "contents")
    assert set(table.tree.files) == set(disc.files)
    for path, place in table.tree.files.items():
        assert contents[place.offset : place.offset + place.size] == disc.files[path]
    assert desk.bytes_of("rocky-9", "installer-kernel") == disc.files[discs.RED_HAT["kernel"]]


@pytest.mark.parametrize("swapped", ["folder/file", "folder"])
@pytest.mark.parametrize("what", ["a link", "a pipe", "nothing"])
def test_a_folder_that_is_changed_while_it_is_read(tmp_path: Path, swapped: str, what: str) -> None:
    """Where a file was, there is something else: no link is followed, and no pipe is waited for."""
    secret = tmp_path / "secret/file"
    secret.parent.mkdir()
    secret.write_bytes(b"data")
    at = tmp_path / "stick"
    (at / "folder").mkdir(parents=True)
    (at / "folder/file").write_bytes(b"data")
    contents = Folder(at)
    assert b"".join(contents.chunks()) == b"data"
    assert contents.text("folder/file") == "data"
    (at / swapped).rename(tmp_path / "aside")
    if what == "a link":
        (at / swapped).symlink_to(secret if swapped.endswith("file") else secret.parent)
    elif what == "a pipe":
        os.mkfifo(at / swapped)
    with pytest.raises(BrokenError, match="folder/file was changed meanwhile"):
        b"".join(contents.chunks())
    with pytest.raises(BrokenError, match="folder/file was changed meanwhile"):
        contents.text("folder/file")


def test_a_folder_behind_a_link(tmp_path: Path) -> None:
    """A person has named it: where a stick is mounted there is often one."""
    (tmp_path / "stick").mkdir()
    (tmp_path / "stick/file").write_bytes(b"data")
    (tmp_path / "link").symlink_to("stick")
    assert b"".join(Folder(tmp_path / "link").chunks()) == b"data"


def test_what_was_there_before_goes(desk: Desk, tmp_path: Path) -> None:
    """A newer ISO of the same medium takes the place of the older one, whose bytes go."""
    disc = discs.make("proxmox-8", tmp_path)
    before = desk.bringer.bring(desk.known["proxmox-8"], Wish(path=disc.path))
    newer = discs.make_of({**disc.files, "new": b"new"}, tmp_path / "new.iso")
    after = desk.bringer.bring(desk.known["proxmox-8"], Wish(path=newer.path))
    there = {path.name for path in desk.store.directory.glob("sha256/*/*")}
    assert there == {item.sha256 for item in after.artifacts.values()}
    assert before.artifact("iso").sha256 not in there


def test_a_medium_of_the_users_own(desk: Desk, tmp_path: Path) -> None:
    """Single files, by the names that the row has: those that are there."""
    (tmp_path / "wimboot").write_bytes(b"MZ wimboot")
    manifest = desk.bringer.bring(desk.known["wimboot"], Wish(path=tmp_path / "wimboot"))
    assert manifest.files == {"kernel": "wimboot"}
    (tmp_path / "curl.exe").write_bytes(b"MZ curl")
    manifest = desk.bringer.bring(desk.known["winpe"], Wish(path=tmp_path))
    assert set(manifest.artifacts) == {"curl.exe"}
    with pytest.raises(InputError, match="none is there"):
        desk.bringer.bring(desk.known["winpe"], Wish(path=tmp_path / "wimboot"))


def test_the_tables_text_is_the_same_each_time(desk: Desk, tmp_path: Path) -> None:
    """So is its hash, which is the path under which the tree is served."""
    disc = discs.make("proxmox-8", tmp_path)
    first = desk.bringer.bring(desk.known["proxmox-8"], Wish(path=disc.path))
    again = desk.bringer.bring(desk.known["proxmox-8"], Wish(path=disc.path))
    assert (first.artifacts, first.inputs) == (again.artifacts, again.inputs)
    assert json.loads(desk.bytes_of("proxmox-8", "tree"))["sha256"] == first.artifact("iso").sha256


def test_every_iso_row_is_known_by_more_than_its_architecture() -> None:
    """No two media of one architecture have the same marks."""
    seen: dict[object, str] = {}
    for one in media.built_in().values():
        if one.marks:
            assert seen.setdefault(one.marks, one.name) == one.name
