"""Profiles: read from files, and wrong ones told by file and line."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.errors import InputError, UnknownError
from ironwake.profile import Profile
from ironwake_controller.profiles import Profiles
from ironwake_runtime import yamlfile

GOOD = """\
release: debian-12
method: archive
parameters:
  users:
    - name: admin
      ssh_keys:
        - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFakeFakeFakeFakeFakeFake me@laptop
  timezone: Europe/Berlin
"""


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (GOOD.replace("debian-12", "debian-1"), 1, "no release"),
        (GOOD.replace("archive", "magic"), 2, "none of"),
        (GOOD.replace("Europe/Berlin", "'; rm'"), 8, "not right"),
        (GOOD.replace("ssh-ed25519", "ssh-magic"), 6, "public SSH key"),
        (GOOD.replace("name: admin", "name: Admin Istrator"), 5, "not a user name"),
        (GOOD.replace("timezone:", "timezon:"), 8, "no field 'timezon'"),
        (GOOD + "colour: red\n", 9, "no field"),
        (GOOD + "method: script\n", 9, "given twice"),
        (GOOD + "disk: [auto]\n", 9, "an object is wanted"),
        (GOOD + "disk: {match: 5}\n", 9, "text is wanted"),
        (GOOD.replace("method: archive", "method: [archive"), 3, "expected"),
        ("capture: &a {name: x}\nrelease: *a\n", 2, "aliases"),
        ("method: archive\n", 1, "missing"),
        ("", 1, "empty"),
        ("- release\n", 1, "an object is wanted"),
    ],
)
def test_mistakes_are_told_by_file_and_line(
    tmp_path: Path, text: str, line: int, says: str
) -> None:
    """Whatever is wrong, the message says where to look and what is wrong there."""
    (tmp_path / "web.yaml").write_text(text)
    (found,) = Profiles(tmp_path).every()
    assert found.profile is None
    assert found.error is not None
    assert found.error.where == f"web.yaml:{line}"
    assert says in found.error.what


def test_a_wrong_file_hides_no_other(tmp_path: Path) -> None:
    """The others can be used, and the wrong one's own error is told when it is asked for."""
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "bad.yaml").write_text("release: 7\n")
    (tmp_path / "Not A Name.yaml").write_text(GOOD)
    profiles = Profiles(tmp_path)
    assert [found.name for found in profiles.every() if found.profile] == ["good"]
    assert profiles.get("good")[0].release == "debian-12"
    with pytest.raises(InputError) as caught:
        profiles.get("bad")
    assert caught.value.where == "bad.yaml:1"
    with pytest.raises(UnknownError, match="nothing"):
        profiles.get("nothing")


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    """The next question sees the new content, and its new revision."""
    path = tmp_path / "web.yaml"
    path.write_text(GOOD)
    profiles = Profiles(tmp_path)
    before, old = profiles.get("web")
    path.write_text(GOOD.replace("archive", "script"))
    after, new = profiles.get("web")
    assert (before.method.value, after.method.value) == ("archive", "script")
    assert old != new


def test_huge_and_unreadable_files_are_told(tmp_path: Path) -> None:
    """Neither stops the listing."""
    (tmp_path / "huge.yaml").write_text("# " + "x" * 100_000)
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "deep.yaml").write_text("release: " + "[" * 5000)
    assert [found.error is not None for found in Profiles(tmp_path).every()] == [True] * 3


def test_no_link_shows_a_file_of_this_host(tmp_path: Path) -> None:
    """The controller may read more than whoever puts profiles into the folder, or reads of them."""
    folder = tmp_path / "profiles"
    folder.mkdir()
    (tmp_path / "secret").write_text("canary-5d1c: of this host\n")
    (folder / "linked.yaml").symlink_to(tmp_path / "secret")
    (folder / "good.yaml").write_text(GOOD)
    (folder / "same.yaml").symlink_to("good.yaml")
    good, linked, same = Profiles(folder).every()
    assert (good.profile, good.revision) == (same.profile, same.revision)
    assert str(linked.error).startswith(f"linked.yaml: linked.yaml leads out of {folder}; put")
    assert linked.profile is None


def test_no_folder_is_no_profile(tmp_path: Path) -> None:
    """A folder that is not there yet has none."""
    assert Profiles(tmp_path / "nothing").every() == ()


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_a_profile_or_a_wrong_one(raw: bytes) -> None:
    """No content of a file raises anything but the one error."""
    with contextlib.suppress(InputError):
        yamlfile.parse(Profile, raw)
