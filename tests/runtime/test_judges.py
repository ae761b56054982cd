"""The formats' own tools: what they find wrong is told, and so is a tool that is not there."""

from __future__ import annotations

import io
import shutil
import tarfile

import pytest

from ironwake.families.base import Format
from ironwake.release import find
from ironwake_runtime import judges
from ironwake_runtime.judges import judge


def _tar() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz"):
        pass
    return made.getvalue()


YAST, UNATTEND = "http://www.suse.com/1.0/yast2ns", "urn:schemas-microsoft-com:unattend"
# A right one, and wrong ones.
FILES: dict[Format, tuple[bytes, tuple[bytes, ...]]] = {
    Format.PRESEED: (b"d-i a/b string c\n", (b"d-i a\n",)),
    Format.KICKSTART: (b"text\nlang en_US.UTF-8\n", (b"texts\n", b"%packages\n")),
    Format.CLOUD_CONFIG: (
        b"#cloud-config\npackages: [a]\n",
        (b"packages: [a]\n", b"#cloud-config\npackages: 5\n"),
    ),
    Format.AUTOINSTALL: (
        b"#cloud-config\nautoinstall: {version: 1}\n",
        (b"#cloud-config\nautoinstall: {}\n", b"#cloud-config\n- a\n"),
    ),
    Format.META_DATA: (b"instance-id: a\n", (b"a: [\n",)),
    Format.NETWORK_CONFIG: (b"version: 2\n", (b"a: [\n",)),
    Format.YAML: (b"a: 1\n", (b"a: [\n", b"\xff\n")),
    Format.JSON: (b'{"a": 1}', (b"{", b"")),
    Format.XML: (b"<a/>", (b"<a>", b"<!DOCTYPE a []><a/>")),
    Format.AUTOYAST: (f"<profile xmlns='{YAST}'/>".encode(), (b"<profile/>", b"<profile>")),
    Format.UNATTEND: (
        f"<unattend xmlns='{UNATTEND}'/>".encode(),
        (b"<unattend/>", b"<unattend>"),
    ),
    Format.IGNITION: (
        b'{"ignition": {"version": "3.3.0"}}',
        (b"{", b'{"ignition": {"version": "9.9"}}'),
    ),
    Format.SHELL: (b"echo a\n", (b"if\n",)),
    Format.TAR: (_tar(), (b"no archive",)),
    Format.TEXT: (b"whatever\n", ()),
}


@pytest.mark.parametrize("form", Format)
def test_a_right_file_passes_and_a_wrong_one_is_told(form: Format) -> None:
    """By all judges of the format (tools/packages installs them): each finds fault with one."""
    right, wrong = FILES[form]
    release = find("rocky-9")
    passed = judge(form, right, release)
    assert not [one for one in passed if one.complaints or not one.there]
    found = set()
    for content in wrong:
        told = {one.judge for one in judge(form, content, release) if one.complaints}
        assert told, content
        found |= told
    assert found == {one.judge for one in passed}


def test_a_judge_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that nobody judged was not found right."""
    monkeypatch.setenv("PATH", "/nowhere")
    assert shutil.which("debconf-set-selections") is None
    (verdict,) = judge(Format.PRESEED, b"x\n")
    assert (verdict.there, verdict.judge) == (False, "debconf-set-selections")


def test_every_format_has_a_judge() -> None:
    """But plain text, of which nobody knows anything."""
    judged = {*judges._OWN, *judges._TOOLS}
    assert judged == set(Format) - {Format.TEXT}
