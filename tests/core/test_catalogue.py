"""The catalogue: rows of data, ours and the site's own; a wrong one is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ironwake import catalogue, families, medium, release, wire
from ironwake.catalogue import Text
from ironwake.errors import InputError
from ironwake.families import FAMILIES, start
from ironwake.firmware import Architecture
from ironwake_imager import media as front
from ironwake_runtime import catalogue as site

RELEASE = """
[[release]]
name = "mine-1"
title = "Mine"
family = "other"
version = "1"
least_disk = "2GiB"
least_memory = "512MiB"
"""
MEDIUM = """
[[medium]]
name = "mine-1"
title = "Mine, {arch}"
arch = { amd64 = "x86_64", arm64 = "aarch64" }
base = "https://host.example/{arch}/"
file = "mine-*-{arch}.iso"
checksums = "SHA256SUMS"
take = { installer-kernel = "boot/{arch}/linux" }
marks = [{ file = "mine.txt", has = "^arch={arch}$" }]
"""


def test_every_release_can_be_sent_and_has_a_family() -> None:
    """Services get rows as JSON; their family is code that is there."""
    rows = release.built_in()
    assert len(rows) > 40
    for row in rows.values():
        assert wire.decode(release.Release, wire.encode(row)) == row
        assert row.least_disk
        assert row.least_memory
        assert row.family in FAMILIES, row.name


def test_every_systems_versions_are_there() -> None:
    """What the documents promise."""
    promised = """debian-11 debian-12 debian-13 debian-testing
    ubuntu-20.04 ubuntu-22.04 ubuntu-24.04 ubuntu-26.04
    rocky-8 rocky-9 rocky-10 alma-8 alma-9 alma-10 fedora-43 centos-stream-9
    centos-stream-10 leap-15.6 leap-16.0 tumbleweed sles-15.6 sles-16.0 proxmox-8 proxmox-9
    freebsd-14 windows-10 windows-11 windows-server-2019 windows-server-2022 windows-server-2025
    esxi-7 esxi-8 talos-1.11 fedora-coreos flatcar fai-debian-12"""
    assert set(promised.split()) <= release.built_in().keys()


def test_media_have_what_their_families_need() -> None:
    """Each role that is needed of a vendor's medium is one that its row gives."""
    known, lacking = medium.built_in(), []
    for row in release.built_in().values():
        for architecture in row.architectures:
            needed = start.of(families.of(row)).needs(row, architecture)
            for name, roles in needed.items():
                if name in known:
                    one = known[name]
                    there = {*one.take, *one.fetch, *(("iso", "tree") if one.is_iso else ())}
                    lacking += [(row.name, name, role) for role in roles if role not in there]
    assert lacking == []


def test_every_release_has_a_medium_of_each_architecture() -> None:
    """From its vendor, or built here."""
    there = front.catalogue()
    wanted = {row.medium(one) for row in release.built_in().values() for one in row.architectures}
    assert wanted <= there.keys()


def test_every_download_is_checked() -> None:
    """By https or by a signature; a row without either is refused when it is read."""
    for row in medium.built_in().values():
        if row.base:
            assert row.base.startswith("https://"), row.name
            assert row.checksums or row.stream, row.name
        else:
            assert row.page or row.fetch, row.name


def test_rows_of_a_site() -> None:
    """Its own come after ours, and take the place of ours of the same name."""
    own = RELEASE.replace("mine-1", "debian-12")
    rows = release.releases((*catalogue.built_in(), Text("own.toml", own)))
    assert rows["debian-12"].title == "Mine"
    assert rows["debian-12"].least_memory == 512 << 20
    assert rows["debian-12"].media == "debian-12"


def test_a_row_is_one_medium_for_each_architecture() -> None:
    """With the vendor's word for it put in everywhere; in patterns, as it stands."""
    found = medium.media([Text("own.toml", MEDIUM)])
    assert list(found) == ["mine-1", "mine-1-arm64"]
    arm = found["mine-1-arm64"]
    assert (arm.architecture, arm.title) == (Architecture.ARM64, "Mine, aarch64")
    assert arm.base == "https://host.example/aarch64/"
    assert arm.take == {"installer-kernel": "boot/aarch64/linux"}
    assert arm.marks[0].has == "^arch=aarch64$"


WRONG = (
    (RELEASE, 'name = "mine-1"', 'name = "Mine 1"', "release Mine 1: name"),
    (RELEASE, 'least_disk = "2GiB"', 'least_disk = "much"', "release mine-1: least_disk"),
    (RELEASE, 'version = "1"', "", "release mine-1: version: this field is missing"),
    (RELEASE, 'version = "1"', 'version = "1"\nversoin = "2"', "there is no field 'versoin'"),
    (RELEASE, 'version = "1"', 'version = "1"\nexpected_reboots = 99', "no number of reboots"),
    (RELEASE, 'version = "1"', 'version = "1"\narchitectures = ["mips"]', "architectures"),
    (RELEASE, "[[release]]", "[release]", "is no list of rows"),
    (RELEASE, "[[release]]", "[[releases]]", "there is no table 'releases'"),
    (RELEASE, "[[release]]", "[[release", "this is not TOML"),
    (RELEASE, RELEASE, RELEASE + RELEASE, "given twice"),
    (MEDIUM, 'checksums = "SHA256SUMS"', "", "nothing is downloaded without a checksum"),
    (MEDIUM, "https://host.example/{arch}/", "ftp://host/", "no folder's URL"),
    (MEDIUM, "https://host.example/{arch}/", "https://host.example/x", "no folder's URL"),
    (MEDIUM, 'file = "mine-*-{arch}.iso"', "", "medium mine-1: file: this field is missing"),
    (MEDIUM, "^arch={arch}$", "(", "is no pattern"),
    (MEDIUM, "installer-kernel", "iso", "is no role"),
    (MEDIUM, "amd64 = ", "i386 = ", "architecture that we do not know"),
    (MEDIUM, 'title = "Mine, {arch}"', 'title = "x"\nsignature = "inline"', "whose signature"),
    (MEDIUM, 'title = "Mine, {arch}"', 'title = "x"\nfetch = { a = "b" }', "neither"),
    (MEDIUM, 'title = "Mine, {arch}"', 'title = "x"\nnames = { a = "../b" }', "no file's name"),
)


@pytest.mark.parametrize(("text", "before", "after", "why"), WRONG)
def test_a_wrong_row_is_named(tmp_path: Path, text: str, before: str, after: str, why: str) -> None:
    """With its file, its name, and what is wrong with it."""
    assert before in text
    path = tmp_path / "own.toml"
    path.write_text(text.replace(before, after))
    read = site.releases if text is RELEASE else site.media
    with pytest.raises(InputError) as error:
        read(tmp_path)
    assert str(error.value).startswith(str(path))
    assert why in str(error.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """Other octets than UTF-8; hidden and other files are not looked at."""
    (tmp_path / ".own.toml").write_text("wrong")
    (tmp_path / "own.txt").write_text("wrong")
    assert site.releases(tmp_path) == release.built_in()
    assert site.media(tmp_path / "nowhere") == medium.built_in()
    (tmp_path / "own.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not UTF-8"):
        site.releases(tmp_path)


@pytest.mark.parametrize("title", ['My "system"', "it; reboot", "$(x)", "a\\nb", "`id`", "x" * 81])
def test_a_title_is_a_line_that_a_boot_script_may_show(title: str) -> None:
    """It stands there between quotes, or without any: GRUB and iPXE would run the rest."""
    text = RELEASE.replace('title = "Mine"', f"title = {json.dumps(title)}")
    with pytest.raises(InputError) as caught:
        release.releases([Text("own.toml", text)])
    assert "title" in caught.value.where
