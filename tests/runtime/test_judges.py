"""The formats' own tools: what they find wrong is told, and so is a tool that is not there."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.families.base import Format
from ironwake.release import find
from ironwake_runtime import judges
from ironwake_runtime.confined import Limits
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


CANARY = "canary-5d1c"


@pytest.mark.parametrize(
    "line",
    ["%ksappend {}", "  %ksappend {}", "\x0b%ksappend {}", "#\x85%ksappend {}", "%include {}"],
)
def test_a_kickstart_brings_in_no_other_file(tmp_path: Path, line: str) -> None:
    """Whoever wrote it need not be who looks at it: what ksvalidator read of this host it would
    quote, a line for each that is no command."""
    secret = tmp_path / "secret"
    secret.write_text(f"{CANARY} of this host\n")
    content = f"text\n{line.format(secret)}\nlang en_US.UTF-8\n".encode()
    (verdict,) = judge(Format.KICKSTART, content, find("rocky-9"))
    assert (verdict.there, verdict.complaints) == (True, ())
    wrong = content + b"texts\n"
    (verdict,) = judge(Format.KICKSTART, wrong, find("rocky-9"))
    said = " ".join(verdict.complaints)
    assert "Unknown command: texts" in said
    assert CANARY not in said


@pytest.mark.parametrize("form", [Format.CLOUD_CONFIG, Format.AUTOINSTALL])
@pytest.mark.parametrize(
    "first",
    ["## template: jinja", "#include", "Content-Type: multipart/mixed", "\ufeff#cloud-config"],
)
def test_cloud_init_is_shown_nothing_but_its_configuration(form: Format, first: str) -> None:
    """By its first line it takes a file for a template, whose words it would run."""
    content = f"{first}\n#cloud-config\npackages: [a]\n".encode()
    tool = next(one for one in judge(form, content) if one.judge == "cloud-init")
    assert tool.complaints == ("it was not asked: it takes this for something else",)


@pytest.mark.parametrize("form", [Format.XML, Format.AUTOYAST, Format.UNATTEND])
def test_xml_brings_in_no_other_file(tmp_path: Path, form: Format) -> None:
    """Neither as a document type, nor as an entity of any kind."""
    secret = tmp_path / "secret"
    secret.write_text(f"<{CANARY}")
    at = f'SYSTEM "{secret.as_uri()}"'
    content = f"<!DOCTYPE a {at} [<!ENTITY % p {at}> %p; <!ENTITY e {at}>]><a>&e;</a>".encode()
    verdicts = judge(form, content)
    assert any(verdict.complaints for verdict in verdicts)
    assert CANARY not in str(verdicts)


def _merges(levels: int) -> bytes:
    lines = ["a0: &a0 {k: v, l: w}"]
    for level in range(1, levels):
        lines.append(f"a{level}: &a{level} {{<<: [{', '.join([f'*a{level - 1}'] * 9)}]}}")
    return "\n".join(lines).encode()


YAML = [form for form, looks in judges._OWN.items() if any("YAML" in name for name in looks)]


@pytest.mark.parametrize("form", YAML)
def test_a_small_file_makes_no_huge_thing(form: Format) -> None:
    """Merges of merges: each level is nine times the one before. Tools have their limits."""
    own, *tools = judge(form, b"#cloud-config\n" + _merges(60), limits=Limits(cpu=2))
    assert any("merges more than" in line for line in own.complaints)
    assert all(one.complaints for one in tools)
    own, *_ = judge(form, b"#cloud-config\n" + _merges(3))
    assert not any("merges" in line for line in own.complaints)


@pytest.mark.parametrize(
    ("form", "content"),
    [
        *((form, b"[" * 100_000) for form in (Format.JSON, Format.IGNITION, *YAML)),
        *((Format.YAML, f"!!{tag}".encode()) for tag in ("int '_'", "bool x", "timestamp x")),
        *((Format.YAML, text) for text in (b"2001-99-99: 1", b"a: &a {<<: *a}", b"!!set [a]")),
        (Format.XML, b"<a>" * 100_000),
        (Format.XML, b"<?xml version='1.0' encoding='nobody'?><a/>"),
        (Format.SHELL, b"$(" * 100_000),
    ],
)
def test_what_breaks_a_reader_is_told(form: Format, content: bytes) -> None:
    """In words, on one line each; no exception of anybody's parser comes out."""
    complaints = [line for verdict in judge(form, content) for line in verdict.complaints]
    assert complaints
    assert all(line.isprintable() and line.strip() for line in complaints)


@given(st.sampled_from(sorted(judges._OWN)), st.binary(max_size=60) | st.text().map(str.encode))
def test_no_file_is_too_odd_for_our_own_judges(form: Format, content: bytes) -> None:
    """Nothing is raised."""
    for look in judges._OWN[form].values():
        assert all(isinstance(line, str) for line in look(content))


def test_what_a_tool_says_moves_no_cursor() -> None:
    """A file's own words come back in its tool's: not those that a terminal would obey."""
    (verdict,) = judge(Format.SHELL, b"case \x1b[2J\x1b]0;title\x07 (\n")
    assert verdict.complaints
    assert all(line.isprintable() for line in verdict.complaints)
