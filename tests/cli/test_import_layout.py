"""`ironwake profile import-layout`: another tool's file becomes the layout of a profile."""

from __future__ import annotations

from pathlib import Path

import pytest

from ironwake.layout.model import Layout
from ironwake.wire import load
from ironwake_cli.__main__ import run

FILE = """\
<config>
  <disk dev="/dev/sda" label_type="gpt" unit_of_measurement="MiB">
    <part num="1" size="500" p_type="primary" p_name="-" flags="esp"/>
    <part num="2" size="*" p_type="primary" p_name="-" flags="-"/>
  </disk>
  <boel devstyle="udev"/>
  <fsinfo real_dev="/dev/sda2" mp="/" fs="ext4"/>
</config>
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "disks-layout.xml"
    path.write_text(FILE)
    return path


def test_it_is_printed_as_a_profile_has_it(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On standard output, and what was left out on standard error, with its line."""
    import yaml

    words = ("profile", "import-layout", str(file), "--match", "/dev/sda=WD-1")
    assert run(words, {}) == 0
    said = capsys.readouterr()
    layout = load(Layout, yaml.safe_load(said.out)["layout"])
    assert layout.disks[0].match == "WD-1"
    assert "disks-layout.xml:6: <boel> is left out" in said.err


def test_a_mistake_is_told_with_its_line(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And nothing is printed as if it were the layout."""
    file.write_text(FILE.replace("ext4", "jfs"))
    assert run(("profile", "import-layout", str(file)), {}) != 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "disks-layout.xml:7" in said.err
    assert "jfs" in said.err


@pytest.mark.parametrize("words", [("nowhere.xml",), ("--match", "sda", "nowhere.xml")])
def test_what_cannot_be_read_is_said(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that is not there, a match that names no disk."""
    assert run(("profile", "import-layout", *words), {}) != 0
    assert "nowhere.xml cannot be read" in (said := capsys.readouterr().err) or "sda" in said
