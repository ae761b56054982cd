"""qcow2: those of one file come in; those that name another file of this host never do."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from ironwake.errors import RefusedError
from ironwake_imager.library import disk, keeping, qcow2
from ironwake_imager.library.bring import Importer, Wish
from tests.imager.library import disks


def convert(source: Path, target: Path, *options: str) -> Path:
    words = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", *options]
    disks.run(*words, source, target)
    return target


@pytest.mark.parametrize(
    "options", [(), ("-c",), ("-o", "compat=0.10"), ("-c", "-o", "compression_type=zstd")]
)
def test_a_qcow2_is_the_disk_in_it(
    importing: Importer, disk: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """Of old and new versions, compressed or not: the same content as the raw disk."""
    source = convert(disk, tmp_path / "web.qcow2", *options)
    raw = importing.bring(Wish(str(disk), "raw"))
    made = importing.bring(Wish(str(source), "web"))
    assert made.facts["content_sha256"] == raw.facts["content_sha256"]
    assert made.artifact("pack") == raw.artifact("pack")
    assert made.facts["source"] == "qcow2 web.qcow2"
    out = tmp_path / "out.raw"
    keeping.export(importing.library, "web", out, importing.progress)
    disks.run("cmp", disk, out)


def _patched(path: Path, at: int, form: str, value: int) -> None:
    disks.write(path, at, struct.pack(form, value))


def test_a_backing_file(importing: Importer, disk: Path, tmp_path: Path) -> None:
    """A file that a qcow2 names is not read into an image: neither a disk nor /etc/shadow."""
    for backing, form in ((disk, "raw"), (Path("/etc/shadow"), "raw")):
        source = tmp_path / "web.qcow2"
        words = ["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-b", str(backing), "-F", form]
        disks.run(*words, source, "16M")
        with pytest.raises(RefusedError, match="backing file"):
            importing.bring(Wish(str(source), "web"))
    assert importing.library.catalogue().images == ()


def test_data_in_another_file(importing: Importer, tmp_path: Path) -> None:
    """As it is, and where the header hides that it is."""
    source = tmp_path / "web.qcow2"
    data = tmp_path / "data"
    options = f"data_file={data},data_file_raw=on"
    disks.run("qemu-img", "create", "-q", "-f", "qcow2", "-o", options, source, "16M")
    with pytest.raises(RefusedError, match="another file"):
        importing.bring(Wish(str(source), "web"))


@pytest.mark.parametrize(
    ("at", "form", "value", "says"),
    [
        (4, ">I", 1, "version 1"),
        (4, ">I", 9, "version 9"),
        (8, ">Q", 104, "backing file"),
        (24, ">Q", 1 << 62, "at most"),
        (24, ">Q", 0, "at most"),
        (32, ">I", 2, "encrypted"),
        (72, ">Q", 0b10, "damaged"),
        (72, ">Q", 1 << 40, "unknown features"),
    ],
)
def test_a_header_that_is_odd(tmp_path: Path, at: int, form: str, value: int, says: str) -> None:
    """It is refused before any program opens the file."""
    source = tmp_path / "web.qcow2"
    disks.run("qemu-img", "create", "-q", "-f", "qcow2", source, "16M")
    _patched(source, at, form, value)
    with pytest.raises(RefusedError, match=says):
        qcow2.size(source, 1 << 40)


def test_the_format_is_never_guessed_by_others(importing: Importer, disk: Path) -> None:
    """A raw disk that is said to be a qcow2 is none, and the other way round it has no table."""
    wishes = {form: Wish(str(disk), "web", disk=_wishes(form)) for form in ("qcow2", "raw")}
    with pytest.raises(RefusedError, match="no qcow2"):
        importing.bring(wishes["qcow2"])
    assert importing.bring(wishes["raw"]).name == "web@1"


def test_a_qcow2_that_is_cut_short(importing: Importer, disk: Path, tmp_path: Path) -> None:
    """qemu-img or we say so; nothing gets a name."""
    source = convert(disk, tmp_path / "web.qcow2")
    with source.open("r+b") as stream:
        stream.truncate(source.stat().st_size // 2)
    with pytest.raises(Exception, match=r"qemu-img|GPT|table") as caught:
        importing.bring(Wish(str(source), "web"))
    assert "Traceback" not in str(caught.value)
    assert importing.library.catalogue().images == ()


def _wishes(form: str) -> disk.Wishes:
    return disk.Wishes(disk.Format(form))
