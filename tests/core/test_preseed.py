"""Debian's answer file: data in, lines out, nothing slips through."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.disk import DiskMatch
from ironwake.errors import InputError
from ironwake.methods import METHODS
from ironwake.names import KernelWord
from ironwake.parameters import Parameters, User
from ironwake.profile import Disk, Method
from ironwake_testing.core import MAC, Bench


def _answers(bench: Bench) -> str:
    row = bench.with_method(Method.SCRIPT)
    return METHODS[Method.SCRIPT].payload(row.deployment, row.machine, MAC, row.policy).text


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
    assert "d-i passwd/make-user boolean false" in text  # users are the late script's
    assert f"/deployments/{bench.deployment.token}/callbacks?stage=installing" in text


def _hook(text: str, name: str) -> str:
    return next(line for line in text.splitlines() if f" {name} " in line).split(" ", 3)[3]


PATH = "/dev/disk/by-path/pci-0000:00:04.0"

# What the guard sees of a machine with one disk; `wget` and `poweroff` leave their traces.
_COMMANDS = {
    "list-devices": "echo /dev/vda",
    "udevadm": "echo DEVNAME=/dev/vda; echo ID_SERIAL=disk-1",
    "dd": '[ "$1" = if=/dev/vda ]',
    "debconf-set": 'echo set "$@" >>"$TRACE"',
    "wget": 'echo "$@" >>"$TRACE"',
    "readlink": f'[ "$2" = {PATH} ] && echo /dev/vda || echo "$2"',
    "poweroff": "echo poweroff >>$TRACE; kill $PPID",
}


def _guarded(folder: Path, hook: str, blkid: int, **others: str) -> str:
    """Run the hook in a shell, on a disk for which blkid ends like this; what it did."""
    trace = folder / "trace"
    for name, body in {**_COMMANDS, "blkid": f"exit {blkid}", **others}.items():
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


def _on_disk(bench: Bench, match: str) -> Bench:
    profile = dataclasses.replace(bench.deployment.profile, disk=Disk(DiskMatch(match)))
    deployment = dataclasses.replace(bench.deployment, profile=profile, erase=("disk-2",))
    return dataclasses.replace(bench, deployment=deployment)


@pytest.mark.parametrize("match", [PATH, "disk-1", "auto"])
def test_a_disk_that_cannot_be_read_is_never_taken_for_blank(
    match: str, bench: Bench, tmp_path: Path
) -> None:
    """`blkid -p` ends with 2 for a disk that it cannot open, as for one that has nothing on it."""
    hook = _hook(_answers(_on_disk(bench, match)), "partman/early_command")
    done = _guarded(tmp_path, hook, 2, dd="exit 1")
    assert "stage=failed" in done
    assert "stage=installing" not in done


@pytest.mark.parametrize("match", ["/dev/disk/by-path/other", "disk-9"])
def test_a_disk_that_is_named_but_not_there_is_refused(
    match: str, bench: Bench, tmp_path: Path
) -> None:
    """The installer must not look for another disk than the profile names."""
    hook = _hook(_answers(_on_disk(bench, match)), "partman/early_command")
    done = _guarded(tmp_path, hook, 2)
    assert "stage=failed" in done
    assert "stage=installing" not in done


def test_a_serial_number_of_two_disks_is_refused(bench: Bench, tmp_path: Path) -> None:
    """Which of the two is meant is a question for a person."""
    hook = _hook(_answers(_on_disk(bench, "disk-1")), "partman/early_command")
    done = _guarded(tmp_path, hook, 2, **{"list-devices": "echo /dev/vda; echo /dev/vdb"})
    assert "stage=failed" in done
    assert "stage=installing" not in done


@pytest.mark.parametrize("match", [PATH, "disk-1"])
def test_the_disk_that_is_named_gets_the_system_and_the_boot_loader(
    match: str, bench: Bench, tmp_path: Path
) -> None:
    """Left alone, grub-installer writes to the first disk of a BIOS machine, whatever is on it."""
    hook = _hook(_answers(_on_disk(bench, match)), "partman/early_command")
    done = _guarded(tmp_path, hook, 2)
    assert "set partman-auto/disk /dev/vda\n" in done
    assert "set grub-installer/bootdev /dev/vda\n" in done
    assert "stage=installing" in done


@pytest.mark.parametrize("match", ["", " ", "/dev/sda\n", "WD-1\nd-i x y z", "/dev/sda\\"])
def test_a_disk_that_would_break_the_file_is_refused(match: str) -> None:
    """A line of a preseed ends at a line break, and goes on after a backslash."""
    with pytest.raises(InputError):
        DiskMatch(match)


def test_the_profiles_kernel_arguments_reach_the_installed_system(bench: Bench) -> None:
    """debian-installer copies what stands after three hyphens, and only that (`user-params`)."""
    parameters = Parameters(kernel_arguments=(KernelWord("mitigations=auto"),))
    deployment = dataclasses.replace(bench.deployment, parameters=parameters)
    row = dataclasses.replace(bench, deployment=deployment).with_method(Method.SCRIPT)
    boot = METHODS[Method.SCRIPT].boot(row.deployment, row.machine, MAC, row.policy)
    assert boot.arguments[-2:] == ("---", "mitigations=auto")


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
    (user,) = bench.deployment.parameters.users
    if password:
        with pytest.raises(InputError):
            User(user.name, (), password)
