"""FAI: the archive of its configuration space: texts come back, and rubbish is refused."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.errors import InputError
from ironwake.families.fai import tarball
from ironwake.firstboot import File


@given(
    st.dictionaries(
        st.text(string.ascii_letters + "/._-", min_size=1, max_size=60).filter(
            lambda name: all(part not in ("", ".", "..") for part in name.split("/"))
        ),
        st.text(st.characters(exclude_categories=["Cs"])),
        max_size=5,
    )
)
def test_an_archive_comes_back_equal(texts: dict[str, str]) -> None:
    """Whatever the texts are."""
    files = [File(path, 0o644, text) for path, text in texts.items()]
    assert dict(tarball.unpack(tarball.pack(files))) == {file.path: file for file in files}


@given(st.binary(max_size=300))
def test_whatever_is_no_archive_is_refused(raw: bytes) -> None:
    """By InputError, and nothing else."""
    with pytest.raises(InputError):
        tarball.unpack(raw)
