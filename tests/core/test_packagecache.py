"""Which mirror a URL is of, and what nginx is told: names that cannot break out of its words."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.errors import InputError
from ironwake.nginx import render
from ironwake.packagecache import Cache, Source, asked, hosts, is_within, joined, named, near
from ironwake.site import Site

BASE = "http://192.0.2.1:3142"
DEBIAN = Source("debian", "https://mirror.example/debian")
SOURCES = (
    DEBIAN,
    Source("debian-security", "https://mirror.example/debian-security"),
    Source("rocky-9", "http://other.example:8080/pub/rocky/9"),
    Source("inner", "https://mirror.example/debian/inner"),
    Source("bundled", "", ("http://far.example/x",), imported=True),
)


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("https://mirror.example/debian", "/debian"),
        ("http://mirror.example/debian/", "/debian"),
        ("http://mirror.example/debian/dists/x", "/debian/dists/x"),
        ("http://mirror.example/debian-security", "/debian-security"),
        ("http://mirror.example/debian/inner/x", "/inner/x"),
        ("http://other.example:8080/pub/rocky/9/BaseOS", "/rocky-9/BaseOS"),
        ("http://far.example/x/pool", "/bundled/pool"),
    ],
)
def test_a_known_mirror_is_near(url: str, wanted: str) -> None:
    """By HTTP or HTTPS, the longest one, and never by half a name."""
    assert near(url, SOURCES, BASE) == f"{BASE}/packages{wanted}"


@pytest.mark.parametrize(
    "url", ["http://mirror.example/debia", "http://other.example/pub/rocky/9", "", "x"]
)
def test_another_one_stays_as_it_is(url: str) -> None:
    """What was not named is not ours."""
    assert near(url, SOURCES, BASE) == url


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (f"{BASE}/packages/debian/pool/g%2b%2b.deb?a=1", ("debian", "/pool/g++.deb")),
        ("/packages/debian/dists/x/", ("debian", "/dists/x/")),
        ("packages/debian/dists", ("debian", "/dists")),
        ("debian/dists", ("debian", "/dists")),
        ("debian", ("debian", "/")),
        (BASE, ("", "/")),
        ("", ("", "/")),
    ],
)
def test_what_is_asked_for(text: str, wanted: tuple[str, str]) -> None:
    """However a person writes it: the machine's URL, or what is left of it."""
    assert asked(text) == wanted


@pytest.mark.parametrize(
    ("url", "path", "within"),
    [
        ("/debian/dists/x/InRelease", "/dists/x/InRelease", True),
        ("/debian/dists/x/InRelease", "/dists/x", True),
        ("/debian/dists/x/InRelease", "/dists/x/", True),
        ("/debian/dists/x/InRelease", "/", True),
        ("/debian/dists/x-security/InRelease", "/dists/x", False),
        ("/debian/dists/x/InRelease", "/dists/x/InRelease.gpg", False),
        ("/debian/dists/x/InRelease", "/ists", False),
        ("/debian-security/dists/x", "/", False),
        ("/debian/dists/x", "/../dists/x", False),
    ],
)
def test_what_is_within_a_folder(url: str, path: str, within: bool) -> None:
    """The file itself and what is below it, and never by half a name."""
    assert is_within(f"https://mirror.example{url}", DEBIAN, path) is within
    assert not is_within(f"https://other.example{url}", DEBIAN, path)


def test_what_a_family_installs_from() -> None:
    """What is stated first, then by the release's name and the family's; else nothing."""
    site = Site("192.0.2.1", 24, packages=SOURCES, cache=BASE)
    assert site.packages_of("rocky-9", "redhat") == f"{BASE}/packages/rocky-9"
    assert site.packages_of("alma-9", "redhat") == ""
    stated = "https://mirror.example/debian/"
    assert site.packages_of("x", stated=stated) == f"{BASE}/packages/debian"
    assert site.packages_of("x", stated="http://own.example/y") == "http://own.example/y"
    bare = Site("192.0.2.1", 24, packages=SOURCES, mirror=DEBIAN.url)
    assert bare.packages_of("", "debian-12", "debian") == DEBIAN.url
    assert bare.packages_of("bundled") == ""
    assert Site("192.0.2.1", 24, mirror=DEBIAN.url).packages_of("debian") == DEBIAN.url


def test_one_of_each_name() -> None:
    """The first URL is asked; the others are known for the same."""
    (one,) = joined(
        (
            Source("debian", "", ("http://a.example/d",), imported=True),
            DEBIAN,
            Source("debian", "http://b.example/d"),
        )
    )
    assert one == Source(
        "debian", DEBIAN.url, ("http://a.example/d", "http://b.example/d"), imported=True
    )


@pytest.mark.parametrize(
    "url",
    [
        "ftp://mirror.example/x",
        "http://mirror.example/x;y",
        "http://mirror.example/$x",
        'http://mirror.example/"x',
        "http://mirror.example/x{y}",
        "http://mirror.example/x y",
        "http://mirror.example/x?y=1",
        "http://user@mirror.example/x",
        "http://mirror.example:99999/x",
        "http://mirror.example/../x",
        "http:///x",
        "http://mi;rror/x",
    ],
)
def test_a_mirror_that_cannot_be(url: str) -> None:
    """Whatever has a meaning to nginx is refused, not quoted."""
    with pytest.raises(InputError):
        Source("x", url)


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=20))
def test_settings_never_become_directives(name: str, url: str, host: str) -> None:
    """Whatever is accepted stands in the file as one word: its braces and ends are ours."""
    try:
        sources = named(f"{name}=http://{url}")
        found = hosts(host)
    except InputError:
        return
    text = render(
        Cache(("192.0.2.1",), 3142, ("192.0.2.0/24",), "/x", 1 << 30, sources, hosts=found)
    )
    plain = render(Cache(("192.0.2.1",), 3142, ("192.0.2.0/24",), "/x", 1 << 30, (Source("a"),)))
    known = set(_words(plain)) | set(_words(render(_with_one())))
    assert set(_words(text)) <= known


def _with_one() -> Cache:
    source = Source("a", "http://a.example/a")
    return Cache(
        ("192.0.2.1",), 3142, ("192.0.2.0/24",), "/x", 1 << 30, (source,), hosts=("b.example",)
    )


def _words(text: str) -> list[str]:
    """First words of directives, but for the rows of maps."""
    lines = re.sub(r"(?s)\n    map .*?\n    }", "", text).splitlines()
    return [line.split()[0] for line in lines if line.strip()]


@pytest.mark.parametrize("folder", ['/x"y', "/x$y", "/x\ny", "/x{y", "/x\\y"])
def test_a_folder_that_cannot_be_quoted(folder: str) -> None:
    """It is refused in words."""
    with pytest.raises(InputError, match="cannot stand in nginx's configuration"):
        render(Cache(("192.0.2.1",), 3142, (), folder, 1, (DEBIAN,)))
