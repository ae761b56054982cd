"""Tables for larger disks: sfdisk makes them, and sfdisk is asked what they say afterwards."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ironwake import partitions
from ironwake.layout.identity import Identity
from ironwake.newtable import NewTable, new_table
from ironwake.sizes import MIB

_ROOT = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"
_GPT = (
    "label: gpt\nfirst-lba: 34\n"
    "start=2048, size=8192, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, name=ESP\n"
    "start=34, size=2014, type=21686148-6449-6E6F-744E-656564454649\n"
    f'start=10240, size=+, type={_ROOT}, name="der Größte", attrs="LegacyBIOSBootable,GUID:60"\n'
)
_DOS = "label: dos\nlabel-id: 0xdeadbeef\nstart=2048, size=4096, type=82\nstart=6144, type=83\n"


def _disk(path: Path, size: int, script: str) -> None:
    with path.open("wb") as stream:
        stream.truncate(size)
    subprocess.run(["sfdisk", "-q", path], input=script, text=True, check=True)


def _said(path: Path) -> dict[str, Any]:
    done = subprocess.run(["sfdisk", "--json", path], capture_output=True, text=True, check=True)
    table: dict[str, Any] = json.loads(done.stdout)["partitiontable"]
    return table


def _verified(path: Path) -> str:
    done = subprocess.run(["sfdisk", "--verify", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def _moved(path: Path, size: int, identity: Identity | None) -> NewTable:
    """Make the disk larger, and give it its new table."""
    raw = path.read_bytes()
    found = partitions.find(lambda start, count: raw[start : start + count], len(raw))
    made = new_table(raw[:MIB], found, size, identity)
    with path.open("r+b") as stream:
        stream.write(made.head)
        stream.truncate(len(raw) - 34 * 512)
        stream.truncate(size)
        stream.seek(made.end_at)
        if made.end:
            stream.write(made.end)
    return made


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 400_000), st.booleans())
def test_sfdisk_reads_what_we_write(
    tmp_path_factory: pytest.TempPathFactory, more: int, renew: bool
) -> None:
    """Both copies are right, the last partition ends with the disk, all else is as it was."""
    path = tmp_path_factory.mktemp("disk") / "disk"
    _disk(path, 32 * MIB, _GPT)
    before = _said(path)
    size = 32 * MIB + more * 512
    made = _moved(path, size, Identity("d1") if renew else None)
    assert "No errors detected" in _verified(path)
    after = _said(path)
    assert after["lastlba"] == size // 512 - 34
    for number, (old, new) in enumerate(
        zip(before["partitions"], after["partitions"], strict=True)
    ):
        same = {key: value for key, value in old.items() if key not in ("uuid", "size", "node")}
        assert same.items() <= new.items()
        assert (old["uuid"] != new["uuid"]) is renew
        if renew:
            assert made.ids[old["uuid"].lower()] == new["uuid"].lower()
        assert made.parts[number].size == new["size"] * 512
    assert (before["id"] != after["id"]) is renew
    grown = after["partitions"][2]
    assert grown["size"] >= before["partitions"][2]["size"]
    assert size - (grown["start"] + grown["size"]) * 512 < 2 * MIB
    again = path.read_bytes()
    found = partitions.find(lambda start, count: again[start : start + count], size)
    assert [part.size for part in found.parts] == [part.size for part in made.parts]


@pytest.mark.parametrize("renew", [True, False])
def test_an_msdos_table_grows_too(tmp_path: Path, renew: bool) -> None:
    """Its last primary partition; its number is new where ids shall be."""
    path = tmp_path / "disk"
    _disk(path, 32 * MIB, _DOS)
    made = _moved(path, 96 * MIB, Identity("d1") if renew else None)
    after = _said(path)
    assert "No errors detected" in _verified(path)
    assert (after["id"] == "0xdeadbeef") is not renew
    assert made.grown == 2
    assert after["partitions"][1]["size"] == 93 * MIB // 512
    if renew:
        assert made.ids["deadbeef-02"] == f"{after['id'][2:]}-02"


def test_a_logical_partition_stays_as_it_is(tmp_path: Path) -> None:
    """The extended one around it would have to grow with it."""
    path = tmp_path / "disk"
    _disk(path, 32 * MIB, "label: dos\nsize=4096\ntype=5\nsize=8192\n")
    assert _moved(path, 96 * MIB, None).grown == 0


@pytest.mark.parametrize("kind", ["C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "S"])
def test_only_what_holds_something_grows(tmp_path: Path, kind: str) -> None:
    """An ESP or swap at the end is as large as it has to be."""
    path = tmp_path / "disk"
    _disk(path, 32 * MIB, f"label: gpt\nsize=4096, type={_ROOT}\ntype={kind}\n")
    assert _moved(path, 96 * MIB, None).grown == 0
