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
from ironwake_testing.core import MAC, Bench


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


def _hook(text: str, name: str) -> str:
    return next(line for line in text.splitlines() if f" {name} " in line).split(" ", 3)[3]


# What the guard sees of a machine with one disk; `wget` and `poweroff` leave their traces.
_COMMANDS = {
    "list-devices": "echo /dev/vda",
    "udevadm": "echo DEVNAME=/dev/vda; echo ID_SERIAL=disk-1",
    "wget": 'echo "$@" >>"$TRACE"',
    "poweroff": "echo poweroff >>$TRACE; kill $PPID",
}


def _guarded(folder: Path, hook: str, blkid: int) -> str:
    """Run the hook in a shell, on a disk for which blkid ends like this; what it did."""
    trace = folder / "trace"
    for name, body in {**_COMMANDS, "blkid": f"exit {blkid}"}.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    path = {"PATH": f"{folder}:/usr/bin:/bin", "TRACE": str(trace)}
    subprocess.run(["sh", "-c", hook], env=path, check=False)
    return trace.read_text()


@pytest.mark.parametrize(
    ("blkid", "erase", "goes_on"),
    [
        (2, (), True),  # nothing found: blank
        (0, (), False),  # a partition table or a file system
        (8, (), False),  # several signatures that contradict each other
        (0, ("/dev/vda",), True),
        (0, ("disk-1",), True),
        (0, ("disk-10", "/dev/vdb", "it's"), False),  # another disk may be erased
    ],
)
def test_only_a_blank_disk_or_one_to_erase_is_partitioned(
    blkid: int, erase: tuple[str, ...], goes_on: bool, bench: Bench, tmp_path: Path
) -> None:
    """The guard stands before the first write, and lets nothing pass but what was named."""
    bench = dataclasses.replace(
        bench, deployment=dataclasses.replace(bench.deployment, erase=erase)
    )
    done = _guarded(tmp_path, _hook(_answers(bench), "partman/early_command"), blkid)
    assert ("stage=installing" in done) is goes_on
    assert ("stage=failed" in done and "poweroff" in done) is not goes_on


def test_a_network_without_name_server_or_router_raises_no_question(bench: Bench) -> None:
    """The installer asks for both before it has its answers, so the kernel's line has to say it."""
    row = bench.with_method(Method.SCRIPT)
    boot = METHODS[Method.SCRIPT].boot(row.deployment, row.machine, MAC, row.policy)
    assert f"netcfg/get_nameservers={bench.policy.site.address}" in boot.arguments
    assert "netcfg/no_default_route=true" in boot.arguments


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
