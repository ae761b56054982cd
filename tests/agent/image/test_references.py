"""Ids in configuration: all of the old ones become new, and nothing else is touched."""

from __future__ import annotations

import uuid
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from ironwake_agent.image import references

_UUIDS = st.uuids().map(str)
_TEXT = st.text(alphabet="xyz =\n#/ghij", max_size=20)


@given(st.dictionaries(_UUIDS, _UUIDS, min_size=1, max_size=5), st.lists(_TEXT), st.booleans())
def test_every_old_id_becomes_its_new_one(
    ids: dict[str, str], texts: list[str], upper: bool
) -> None:
    """Wherever they stand, in whatever case; what is between stays."""
    old = [one.upper() if upper else one for one in ids]
    before = "".join(f'{text}"{one}"' for text, one in zip(texts, old, strict=False))
    after = references.replaced(before.encode(), ids).decode()
    expected = "".join(f'{text}"{new}"' for text, new in zip(texts, ids.values(), strict=False))
    assert after == expected


@given(st.binary(max_size=300))
def test_a_text_without_ids_is_left_alone(text: bytes) -> None:
    """To the byte, whatever it is."""
    ids = {str(uuid.uuid4()): str(uuid.uuid4()), "ABCD-1234": "0000-0000"}
    if b"abcd-1234" not in text.lower():
        assert references.replaced(text, ids) == text


def test_ids_are_swapped_at_once() -> None:
    """A new id that is another's old one is not replaced again."""
    one, other = str(uuid.uuid4()), str(uuid.uuid4())
    text = f"{one} {other}".encode()
    assert references.replaced(text, {one: other, other: one}) == f"{other} {one}".encode()


def test_short_ids_are_found_as_words_only() -> None:
    """FAT's and MSDOS tables' numbers are short: a part of something longer is none of them."""
    ids = {"ABCD-1234": "1111-2222", "deadbeef": "00000001", "deadbeef-02": "00000001-02"}
    text = b"UUID=abcd-1234 PARTUUID=DEADBEEF-02 0xABCD-12345 deadbeef1 PTUUID=deadbeef"
    assert references.replaced(text, ids) == (
        b"UUID=1111-2222 PARTUUID=00000001-02 0xABCD-12345 deadbeef1 PTUUID=00000001"
    )


def test_no_link_leads_out_of_the_root(tmp_path: Path) -> None:
    """The image's links point wherever their maker liked."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "fstab").write_text("UUID=abcd-1234")
    root = tmp_path / "root"
    (root / "boot").mkdir(parents=True)
    (root / "etc").symlink_to(outside)
    (root / "boot/grub").symlink_to(outside)
    (outside / "grub.cfg").write_text("abcd-1234")
    assert references.mend(root, {"ABCD-1234": "1111-2222"}) == ()
    assert (outside / "fstab").read_text() == "UUID=abcd-1234"


def test_the_initrd_is_made_again_only_where_it_has_them() -> None:
    """What stands in crypttab or initramfs-tools' own configuration, stands in it too."""
    assert not references.needs_initrd(("etc/fstab", "boot/grub/grub.cfg"))
    assert references.needs_initrd(("etc/initramfs-tools/conf.d/resume",))
