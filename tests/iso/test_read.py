"""ISO images of real programs: every file is found where it is, by its own name."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ironwake.iso.image import Image, Volume
from ironwake.iso.read import read
from ironwake_testing import discs

WORD = st.text("abcdefghijklmnopqrstuvwxyzABC0123456789+~_.-äß名", min_size=1, max_size=20).filter(
    lambda word: word.strip(".") == word and word not in ("", ".", "..")
)
CONTENTS = st.binary(max_size=5000)


def volume(path: Path) -> Volume:
    data = path.read_bytes()
    return read(Image(len(data), lambda offset, size: data[offset : offset + size]))


def check(disc: discs.Disc) -> Volume:
    """Every file is there, at its place, and no other one."""
    found, data = volume(disc.path), disc.path.read_bytes()
    inside = {
        path: data[place.offset : place.offset + place.size]
        for path, place in found.tree.files.items()
    }
    assert inside == disc.files
    return found


def paths(folders: st.SearchStrategy[list[str]]) -> st.SearchStrategy[dict[str, bytes]]:
    names = folders.map("/".join)
    return st.dictionaries(names, CONTENTS, max_size=12).map(_without_clashes)


def _without_clashes(files: dict[str, bytes]) -> dict[str, bytes]:
    """Of names that differ by case alone, or are a folder elsewhere, the first."""
    kept: dict[str, bytes] = {}
    taken: set[str] = set()
    for path, data in files.items():
        lower = path.lower()
        parts = lower.split("/")
        above = {"/".join(parts[:count]) for count in range(1, len(parts))}
        if lower not in taken and not above & {one.lower() for one in kept}:
            kept[path] = data
            taken |= {lower, *above}
    return kept


@pytest.mark.parametrize("how", [discs.rock_ridge, discs.joliet, discs.udf])
def test_any_tree(how: discs.How) -> None:
    """What was put in is found, whatever the names are, with each kind of names."""

    @settings(max_examples=12, deadline=None)
    @given(paths(st.lists(WORD, min_size=1, max_size=4)))
    def any_tree(files: dict[str, bytes]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            check(discs.make_of(files, Path(folder) / "a.iso", how=how))

    any_tree()


def test_plain_names_are_as_linux_has_them(tmp_path: Path) -> None:
    """Small letters, without a version and without a dot at the end."""
    files = {"KERNEL": b"k", "EFI/BOOT/BOOTX64.EFI": b"e", "readme.txt": b"r"}
    disc = discs.make_of(files, tmp_path / "a.iso", "LABEL", discs.plain)
    found = volume(disc.path)
    assert set(found.tree.files) == {path.lower() for path in files}
    assert (found.label, found.tree.fold) == ("LABEL", True)
    assert found.tree.find("efi/BOOT/bootx64.efi") is not None


def test_a_label_and_a_size(tmp_path: Path) -> None:
    """Both are what the image says; the file may be longer."""
    disc = discs.make_of({"a": b"a"}, tmp_path / "a.iso", "My Label 1")
    size = disc.path.stat().st_size
    with disc.path.open("ab") as stream:
        stream.write(bytes(10_000))
    assert (volume(disc.path).label, volume(disc.path).size) == ("My Label 1", size)


def test_deep_folders_and_long_names(tmp_path: Path) -> None:
    """Rock Ridge moves folders below the eighth, and names go on elsewhere: both are mended."""
    deep = "/".join(f"level{number}" for number in range(14))
    files = {f"{deep}/file": b"deep", "n" * 250: b"long", f"{deep}/{'m' * 240}.rpm": b"both"}
    disc = discs.make_of(files, tmp_path / "a.iso")
    assert volume(disc.path).tree.find(f"{deep}/file") is not None
    check(disc)


def test_folders_that_were_moved_by_another_program(tmp_path: Path) -> None:
    """genisoimage's are moved, too, and belong where their links are."""
    deep = "/".join(f"level{number}" for number in range(12))
    source = tmp_path / "files"
    (source / deep).mkdir(parents=True)
    (source / deep / "file").write_bytes(b"deep")
    command = ("genisoimage", "-quiet", "-R", "-o", tmp_path / "a.iso", source)
    subprocess.run(command, check=True, capture_output=True)
    assert volume(tmp_path / "a.iso").tree.find(f"{deep}/file") is not None


def test_many_files(tmp_path: Path) -> None:
    """A directory of many sectors is read whole."""
    files = {f"packages/some-package-with-a-name-{n}.rpm": b"%d" % n for n in range(900)}
    check(discs.make_of(files, tmp_path / "a.iso"))


def test_symbolic_links_are_followed_within_the_tree(tmp_path: Path) -> None:
    """Debian's `dists/stable` leads to its release; what leads out, or round, leads nowhere."""
    source = tmp_path / "a.files"
    (source / "dists/bookworm").mkdir(parents=True)
    (source / "dists/bookworm/Release").write_bytes(b"Suite: stable")
    (source / "dists/stable").symlink_to("bookworm")
    (source / "debian").symlink_to(".")
    (source / "deep").mkdir()
    (source / "deep/back").symlink_to("../dists/stable/Release")
    (source / "out").symlink_to("../../etc/passwd")
    (source / "round").symlink_to("round")
    (source / "absolute").symlink_to("/dists/bookworm/Release")
    os.mkfifo(source / "pipe")
    discs.rock_ridge(source, tmp_path / "a.iso", "LINKS")
    tree = volume(tmp_path / "a.iso").tree
    release = tree.find("dists/bookworm/Release")
    assert release is not None
    for path in ("dists/stable/Release", "debian/dists/stable/Release", "deep/back", "absolute"):
        assert tree.find(path) == release, path
    for path in ("out", "round", "round/x", "pipe", "dists", "dists/stable", "", "..", "debian"):
        assert tree.find(path) is None, path
