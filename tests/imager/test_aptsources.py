"""Reading the host's mirror from its apt configuration, in each spelling people use."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake_runtime.aptsources import (
    Mirror,
    MirrorError,
    host_mirror,
    parse_deb822,
    parse_one_line,
)

BOOKWORM = 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n'
DEB822 = """\
# made by an installer
Types: deb deb-src
URIs: http://mirror.example/debian/
Suites: bookworm
# a comment inside
 bookworm-updates
Components: main
 contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://security.mirror.example/debian-security
Suites: bookworm-security
Components: main
"""
ONE_LINE = """\
deb cdrom:[Debian GNU/Linux 12]/ bookworm main
# deb http://old.example/debian bookworm main
deb-src http://source.example/debian bookworm main
deb [arch=amd64 signed-by=/x.gpg] http://mirror.example/debian bookworm main contrib # ours
deb http://mirror.example/debian-security bookworm-security main
"""


def etc(folder: Path, os_release: str = BOOKWORM, **files: str) -> Path:
    (folder / "apt/sources.list.d").mkdir(parents=True)
    (folder / "os-release").write_text(os_release)
    for name, text in files.items():
        where = "apt/sources.list" if name == "main" else f"apt/sources.list.d/{name}"
        (folder / where.replace("__", ".")).write_text(text)
    return folder


def test_a_deb822_host(tmp_path: Path) -> None:
    """A deb822 file with folded fields and comments gives both mirrors."""
    assert host_mirror(etc(tmp_path, debian__sources=DEB822)) == Mirror(
        "http://mirror.example/debian", "http://security.mirror.example/debian-security"
    )


def test_a_one_line_host(tmp_path: Path) -> None:
    """One-line entries: options, comments, sources and discs are told apart."""
    text = ONE_LINE.split("\n", 1)[1]
    assert host_mirror(etc(tmp_path, main=text)) == Mirror(
        "http://mirror.example/debian", "http://mirror.example/debian-security"
    )


def test_third_party_repositories_do_not_count(tmp_path: Path) -> None:
    """A repository of another suite or without main is not Debian's mirror."""
    other = (
        "deb http://vendor.example/apt stable-vendor main\ndeb http://v2.example/ bookworm test\n"
    )
    with pytest.raises(MirrorError, match="IRONWAKE_MIRROR"):
        host_mirror(etc(tmp_path, vendor__list=other))


def test_a_disabled_stanza_does_not_count(tmp_path: Path) -> None:
    """`Enabled: no` is believed."""
    with pytest.raises(MirrorError):
        host_mirror(etc(tmp_path, debian__sources=DEB822.replace("Types:", "Enabled: no\nTypes:")))


def test_another_distribution_must_name_a_mirror(tmp_path: Path) -> None:
    """On a host that is no Debian, its sources are not taken for Debian's."""
    with pytest.raises(MirrorError, match="not a Debian"):
        host_mirror(etc(tmp_path, "ID=ubuntu\nVERSION_CODENAME=noble\n", main=ONE_LINE))


@pytest.mark.parametrize(
    ("text", "mirror"),
    [
        (
            "http://m.example/debian/",
            Mirror("http://m.example/debian", "http://m.example/debian-security"),
        ),
        ("http://m.example/deb", Mirror("http://m.example/deb")),
        (
            "http://a.example/d http://b.example/s",
            Mirror("http://a.example/d", "http://b.example/s"),
        ),
    ],
)
def test_the_setting(text: str, mirror: Mirror) -> None:
    """A mirror given by hand may name its security archive, or have it beside."""
    assert Mirror.parse(text) == mirror


@pytest.mark.parametrize("text", ["", "m.example/debian", "http://a http://b http://c", "debian"])
def test_a_setting_that_is_no_uri_is_refused(text: str) -> None:
    """What cannot be a mirror is refused with the value and an example."""
    with pytest.raises(MirrorError, match="is not a URI"):
        Mirror.parse(text)


@given(st.text())
def test_no_text_crashes_the_readers(text: str) -> None:
    """Any text is read as sources, perhaps none."""
    for source in (*parse_one_line(text), *parse_deb822(text)):
        assert source.uri is not None
