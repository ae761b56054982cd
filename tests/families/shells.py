"""Installers' scripts run in a shell, on a machine of folders: what they did, and told."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

# Nothing else is on the path: what a script must not reach (poweroff, above all) it cannot.
_TOOLS = (
    *("sh", "cat", "tr", "sed", "grep", "cut", "sort", "head", "tail", "base64", "mkdir"),
    *("chmod", "rm", "mv", "readlink", "basename", "id"),
)
_STUBS = {
    "udevadm": 'for last; do :; done; cat "$HERE/udev/${last##*/}"',
    "blkid": 'for last; do :; done; cat "$HERE/found/${last##*/}" 2>/dev/null || exit 2',
    "dd": """\
case $1 in if=/dev/*) [ -e "$HERE/udev/${1##*/}" ] && [ ! -e "$HERE/unreadable" ];; *) exit 1;; esac
""",
    "curl": """\
for last; do :; done
echo "$last" >>"$HERE/told"
while [ $# -gt 1 ]; do
    if [ "$1" = -o ] && [ "$2" != /dev/null ]; then cat "$HERE/fetched" >"$2"; fi
    shift
done""",
    "poweroff": 'echo poweroff >>"$HERE/told"; kill -KILL $PPID',
    "sleep": ":",
}
GIB = 1 << 30


@dataclass(frozen=True)
class Done:
    """`told`: the URLs that were posted to, and `poweroff`; `said` is its output."""

    status: int
    told: str
    errors: str
    said: str = ""


class Machine:
    """A folder with what the kernel and udev say of disks, and blkid; it boots by UEFI, or not."""

    def __init__(self, folder: Path, *, uefi: bool = True) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        for name in ("bin", "block", "udev", "found"):
            (folder / name).mkdir()
        if uefi:
            (folder / "efi").mkdir()
        for tool in _TOOLS:
            (self.bin / tool).symlink_to(f"/usr/bin/{tool}")
        for name, text in _STUBS.items():
            self.stub(name, text)

    def stub(self, name: str, text: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/usr/bin/sh\n{text}\n")
        path.chmod(0o755)

    def disk(
        self,
        name: str,
        size: int = 100 * GIB,
        serial: str = "",
        found: str = "",
        *,
        wwn: str = "",
        links: tuple[str, ...] = (),
        rotates: bool = False,
        removable: bool = False,
        read_only: bool = False,
        usb: bool = False,
        readable: bool = True,
        hidden: bool = False,
    ) -> None:
        """:param size: in bytes; `found` is what is on it, "" for nothing"""
        block = self.folder / ("usb1" if usb else "pci") / name
        (block / "queue").mkdir(parents=True)
        for file, text in {
            "size": str(size // 512),
            "removable": str(int(removable)),
            "ro": str(int(read_only)),
            "hidden": str(int(hidden)),
            "queue/rotational": str(int(rotates)),
        }.items():
            (block / file).write_text(f"{text}\n")
        (self.folder / "block" / name).symlink_to(block)
        rows = [f"DEVNAME=/dev/{name}", f"ID_SERIAL={serial}", f"ID_SERIAL_SHORT={serial}"]
        rows += [f"ID_WWN={wwn}"] if wwn else []
        rows += [f"DEVLINKS={' '.join(links)}"] if links else []
        (self.folder / "udev" / name).write_text("\n".join(rows) + "\n")
        if found:
            (self.folder / "found" / name).write_text(f"{found}\n")
        if not readable:
            (self.folder / "unreadable").touch()

    def run(self, script: str, *places: str, shell: str = "sh") -> Done:
        """Run it; `places` are paths in it that lie in this folder instead."""
        for place in ("/sys/block", "/sys/firmware/efi", *places):
            script = script.replace(place, f"{self.folder}/{Path(place).name}")
        done = subprocess.run(
            [f"/usr/bin/{shell}", "-c", script],
            env={"PATH": str(self.bin), "HERE": str(self.folder), "LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
        )
        told = self.folder / "told"
        return Done(
            done.returncode, told.read_text() if told.exists() else "", done.stderr, done.stdout
        )


def syntax(script: str) -> str:
    """What a POSIX shell has against it; "" for nothing."""
    done = subprocess.run(
        ["sh", "-n"], input=script, capture_output=True, text=True, check=False, env=os.environ
    )
    return done.stderr
