"""The installed system's first report: heard once, or wanted no more."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ironwake import firstboot

URL = "http://10.77.0.2/health/" + "cd" * 32


def _report(folder: Path, answer: str) -> tuple[int, bool]:
    """Run the script with a curl that hears `answer`: its exit status, whether the URL is kept."""
    files = {file.path: file.text for file in firstboot.files(URL)}
    script = files["usr/lib/ironwake/report-health"]
    (folder / "health-url").write_text(files["etc/ironwake/health-url"])
    (folder / "os-release").write_text('PRETTY_NAME="Debian GNU/Linux 12"\n')
    script = script.replace("/etc/ironwake/", f"{folder}/").replace("/etc/os-", f"{folder}/os-")
    (folder / "curl").write_text(f"#!/bin/sh\n{answer}\n")
    (folder / "curl").chmod(0o755)
    path = {"PATH": f"{folder}:/usr/bin:/bin"}
    done = subprocess.run(["sh", "-c", script], env=path, check=False, capture_output=True)
    return done.returncode, (folder / "health-url").exists()


@pytest.mark.parametrize("status", [200, 204, 404, 410])
def test_an_answer_that_no_repeat_would_change_ends_it(status: int, tmp_path: Path) -> None:
    """Taken, or nobody waits for it any more: the token goes, and the unit rests for good."""
    assert _report(tmp_path, f"printf {status}") == (0, False)


@pytest.mark.parametrize("answer", ["printf 409", "printf 503", "printf 000; exit 7", "exit 28"])
def test_it_goes_on_while_it_may_still_be_heard(answer: str, tmp_path: Path) -> None:
    """Too early, or an appliance that is away: the unit fails, and systemd starts it again."""
    status, kept = _report(tmp_path, answer)
    assert (status != 0, kept) == (True, True)


def _entry(folder: Path, entries: str, partition: str = "1") -> list[str]:
    """Run the other script on a disk with an ESP: what efibootmgr was told to do."""
    files = {file.path: file.text for file in firstboot.files(URL)}
    script = files["usr/lib/ironwake/boot-entry"]
    for place in ("/sys/", "/boot/efi"):
        script = script.replace(place, f"{folder}{place}")
    block = folder / "sys/devices/block/vda/vda1"
    block.mkdir(parents=True)
    (folder / "sys/class/block").mkdir(parents=True)
    (folder / "sys/class/block/vda1").symlink_to(block)
    if partition:
        (block / "partition").write_text(f"{partition}\n")
    shim = folder / "boot/efi/EFI/debian/shimx64.efi"
    shim.parent.mkdir(parents=True)
    shim.touch()
    stubs = {
        "findmnt": "case $3 in SOURCE) echo /dev/vda1 ;; PARTUUID) echo aaaa-bbbb ;; esac",
        "efibootmgr": f'case ${{1:-}} in -q) echo "$@" >{folder}/told ;; '
        f"*) {entries or 'exit 2'} ;; esac",
    }
    for name, text in stubs.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    path = {"PATH": f"{folder}:/usr/bin:/bin"}
    subprocess.run(["sh", "-c", script], env=path, check=False, capture_output=True)
    told = folder / "told"
    return told.read_text().split() if told.exists() else []


def test_a_lost_boot_entry_is_made_again(tmp_path: Path) -> None:
    """The disk gets a name again; the boot order (-C: create only) stays as it is."""
    words = _entry(tmp_path, "echo 'Boot0001* UEFI PXEv4 MAC(525400770010)'")
    disk = ["-q", "-C", "-d", "/dev/vda", "-p", "1", "-L", "Ironwake"]
    assert words == [*disk, "-l", "\\EFI\\debian\\shimx64.efi"]


@pytest.mark.parametrize(
    ("entries", "partition"),
    [
        ("echo 'Boot0004* debian HD(1,GPT,AAAA-BBBB,0x800)'", "1"),
        ("", "1"),
        ("echo BootOrder: 0001", ""),
    ],
)
def test_nothing_is_told_to_firmware_without_need(
    entries: str, partition: str, tmp_path: Path
) -> None:
    """Whoever made the entry, it is there; a BIOS takes none; an ESP on RAID is no partition."""
    assert _entry(tmp_path, entries, partition) == []
