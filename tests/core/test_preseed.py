"""Debian's answer file: data in, lines out, nothing slips through."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ironwake.errors import InputError
from ironwake.methods import METHODS
from ironwake.names import KernelWord
from ironwake.profile import Method, Parameters, Profile, User
from ironwake_testing.core import Bench


def _answers(bench: Bench) -> str:
    row = bench.with_method(Method.SCRIPT)
    return METHODS[Method.SCRIPT].payload(row.deployment, row.machine, row.policy).text


def test_debconf_accepts_the_file(bench: Bench, tmp_path: Path) -> None:
    """`debconf-set-selections -c` is the format's own judge."""
    file = tmp_path / "preseed.cfg"
    file.write_text(_answers(bench))
    checked = subprocess.run(
        ["debconf-set-selections", "-c", str(file)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr


def test_every_answer_is_one_line_with_owner_name_and_type(bench: Bench) -> None:
    """A preseed has no quoting: a line is an answer, and nothing else is."""
    lines = _answers(bench).splitlines()
    assert lines[0] == "#_preseed_V1"
    for line in lines[1:]:
        assert line.split(" ", 3)[0] in {"d-i", "tasksel", "popularity-contest"}


def test_the_mirror_the_user_and_the_hooks_stand_in_it(bench: Bench) -> None:
    """What the profile and the site say reaches the installer."""
    text = _answers(bench)
    assert "d-i mirror/http/hostname string mirror.example" in text
    assert "d-i passwd/username string admin" in text
    assert f"/deployments/{bench.deployment.token}/callbacks?stage=installing" in text


def test_without_erase_the_installer_guards_the_disk(bench: Bench) -> None:
    """The guard stands before the first write, unless this deployment may erase."""
    assert "blkid" in _answers(bench)
    erasing = dataclasses.replace(
        bench, deployment=dataclasses.replace(bench.deployment, erase=("/dev/sda",))
    )
    assert "blkid" not in _answers(erasing)


@given(st.text())
def test_hostile_text_in_a_profile_is_refused_or_harmless(text: str) -> None:
    """No field of a profile can bring a line break, a quote or a second command with it."""
    makers = (
        lambda: Parameters(timezone=text),
        lambda: Parameters(locale=text),
        lambda: Parameters(keyboard=text),
        lambda: Parameters(packages=(text,)),
        lambda: KernelWord(text),
        lambda: Profile(text),
    )
    for make in makers:
        try:
            make()
        except InputError:
            continue
        assert not set(text) & set("\n\r'\"`$;|&<>(){}\\ ")


@pytest.mark.parametrize("password", ["secret", "$1$abc$def", "", "$6$x"])
def test_a_plain_or_weak_password_is_refused(password: str, bench: Bench) -> None:
    """Only crypt(5) hashes of today get into a profile."""
    user = bench.deployment.profile.user
    assert user is not None
    if password:
        with pytest.raises(InputError):
            User(user.name, (), password)
