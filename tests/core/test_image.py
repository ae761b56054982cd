"""Names of images, their versions and tags, and what references mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.artifact import Artifact, ArtifactError, Manifest, is_manifest_name
from ironwake.errors import BrokenError, InputError, RefusedError, UnknownError
from ironwake.firmware import Architecture
from ironwake.image import (
    Catalogue,
    Image,
    ImageKind,
    Page,
    Reference,
    is_image_name,
    pages_document,
    pages_of,
)

WORDS = st.from_regex(r"(?![0-9]+\Z)[a-z0-9][a-z0-9._-]{0,31}", fullmatch=True)
NUMBERS = st.integers(1, 999_999_999).map(str)


def manifest(name: str, sequence: int = 1, **facts: str | int) -> Manifest:
    given = {"image_kind": "disk", "logical_bytes": 1 << 20, "sequence": sequence, **facts}
    pack = {"pack": Artifact("0" * 64, 1)}
    return Manifest(name, "image", "2026-01-02T03:04:05Z", "", pack, {"pack": "p"}, given)


@pytest.mark.parametrize(
    "text",
    ["", "@", "web@", "@3", "Web", "web@0", "web@03", "web@-1", "web@a/b", "../web", ".web",
     "web@1@2", "web@.", "web ", "web\n", "w" * 49, "web@" + "v" * 33, "web@1234567890", "wéb"],
)  # fmt: skip
def test_what_is_no_reference(text: str) -> None:
    """Nothing that could leave its folder, be read in two ways, or has no end."""
    with pytest.raises(InputError):
        Reference(text)
    assert not is_image_name(text)
    assert "@" not in text or not is_manifest_name(text)


@given(WORDS.filter(lambda text: len(text) <= 48), st.one_of(NUMBERS, WORDS))
def test_a_reference_has_a_name_and_a_label(name: str, label: str) -> None:
    """Both come out as they went in; only with a label is it the name of one image."""
    assert (Reference(name).name, Reference(name).label) == (name, "")
    both = Reference(f"{name}@{label}")
    assert (both.name, both.label) == (name, label)
    assert is_image_name(both)
    assert not is_image_name(name)


def test_manifests_of_images_have_images_names() -> None:
    """And no others have them."""
    assert manifest("web@3").name == "web@3"
    with pytest.raises(ArtifactError, match="NAME@VERSION"):
        manifest("web")
    with pytest.raises(ArtifactError, match="not a manifest name"):
        Manifest("web@3", "media", "2026-01-02T03:04:05Z", "", {}, {})


@given(st.lists(st.one_of(st.none(), WORDS), max_size=12))
def test_no_version_is_given_twice(asked: list[str | None]) -> None:
    """Numbers go up by one, words are taken once, and what was written down is read again."""
    page, given_out = Page(), []
    for word in asked:
        version = word or page.next_version()
        if version in given_out:
            with pytest.raises(RefusedError):
                page.given(version)
            continue
        page = page.given(version)
        given_out.append(version)
    assert page.last == asked.count(None)
    assert pages_of(pages_document({"web": page})) == {"web": page}


def test_words_of_versions_and_tags_are_apart() -> None:
    """What is a version is never a tag, and a tag never a number."""
    page = Page().given("golden").tagged("stable", "golden")
    with pytest.raises(RefusedError, match="is a version"):
        page.tagged("golden", "1")
    with pytest.raises(RefusedError, match="is a tag"):
        page.given("stable")
    with pytest.raises(InputError, match="no tag"):
        page.tagged("3", "golden")
    with pytest.raises(UnknownError, match="there are: stable"):
        page.untagged("old")
    assert page.untagged("stable").tags == {}


def test_what_references_mean() -> None:
    """The newest in the order of import, that very version, or where the tag stands."""
    pages = {"web": Page(2, ("golden",), {"stable": "1"})}
    rows = [manifest("web@2", 3), manifest("web@1", 1), manifest("web@golden", 2)]
    other = Manifest("loaders", "loaders", "2026-01-02T03:04:05Z", "", {}, {})
    found = Catalogue([*rows, other, manifest("db@1")], pages)
    assert [one.name for one in found.images] == ["db@1", "web@1", "web@golden", "web@2"]
    assert found.find("web").name == "web@2"
    assert found.find("web@golden").name == "web@golden"
    assert found.find("web@stable").name == "web@1"
    assert found.tags(found.find("web@1")) == ("stable",)
    with pytest.raises(UnknownError, match=r"it has: 1, golden, 2; and the tags: stable"):
        found.find("web@7")
    with pytest.raises(UnknownError, match=r"there are: db, web"):
        found.find("mail")


def test_a_tag_of_an_image_that_is_gone_means_nothing() -> None:
    """It is not the newest one instead."""
    found = Catalogue([manifest("web@2", 2)], {"web": Page(2, (), {"stable": "1"})})
    with pytest.raises(UnknownError):
        found.find("web@stable")


def test_what_is_known_of_an_image() -> None:
    """Facts become an image; wrong ones are an error, not a guess."""
    facts: dict[str, str | int] = {
        "architecture": "amd64",
        "boot_modes": "bios,uefi",
        "kernel": "6.1",
        "family": "debian",
    }
    found = Image.of(manifest("web@1", 1, **facts))
    assert (found.kind, found.size) == (ImageKind.DISK, 1 << 20)
    assert (found.architecture, found.boot_modes) == (Architecture.AMD64, ("bios", "uefi"))
    assert Image.of(manifest("web@1")).boot_modes == ()
    wrongs: tuple[dict[str, str | int], ...] = (
        {"image_kind": "tape"},
        {"logical_bytes": "much"},
        {"architecture": "vax"},
    )
    for wrong in wrongs:
        with pytest.raises(BrokenError, match="import it again"):
            Image.of(manifest("web@1", 1, **wrong))


@pytest.mark.parametrize(
    "document",
    [[], {"web": 1}, {"web": {}}, {"web": {"last": "1", "words": [], "tags": {}}},
     {"web": {"last": 1, "words": ["../x"], "tags": {}}},
     {"web": {"last": 1, "words": [], "tags": {"stable": "../x"}}},
     {"web": {"last": 1, "words": [], "tags": ["x"]}}],
)  # fmt: skip
def test_what_is_not_written_by_us(document: object) -> None:
    """It is damaged, and says so."""
    with pytest.raises(ValueError):
        pages_of(document)
