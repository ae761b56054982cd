"""One machine of the rack: its power, its serial line, its disk. All state is on disk."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ironwake.errors import BrokenError, RefusedError
from ironwake_lab import network, process, qmp
from ironwake_lab.firmware import FIRMWARE
from ironwake_lab.host import call
from ironwake_lab.nvram import (
    boot_entries,
    boot_order,
    with_boot_next,
    with_boot_options,
    without_variables,
)
from ironwake_lab.qemu import NIC_SLOT, TPM_SOCKET, Paths, command_line, link_of
from ironwake_lab.spec import MachineSpec

_POLL_SECONDS = 0.05


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the directory against other processes (the power button, another command)."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


class Machine:
    """A handle; any number of them, in any number of processes, may stand for one machine."""

    def __init__(
        self, spec: MachineSpec, paths: Paths, namespace: str, taps: tuple[str, ...]
    ) -> None:
        self._spec = spec
        self.paths = paths
        self._namespace = namespace
        self._taps = taps

    @property
    def spec(self) -> MachineSpec:
        """What it consists of now: a board that was put in later has its own UUID."""
        try:
            board = self.paths.board.read_text(encoding="ascii")
        except FileNotFoundError:
            return self._spec
        return replace(self._spec, uuid=board)

    @property
    def name(self) -> str:
        return self._spec.name

    @property
    def mac(self) -> str:
        """Of the first card."""
        return self._spec.mac

    @property
    def awake_macs(self) -> tuple[str, ...]:
        """Of the cards that a magic packet can reach: those with a cable."""
        return tuple(card.mac for card in self._spec.cards if card.cabled)

    @property
    def disk(self) -> Path:
        """The raw disk image (sparse)."""
        return self.paths.disk

    @property
    def disks(self) -> list[Path]:
        """The images of all of them, the first one first."""
        return self.paths.disks(len(self._spec.disks))

    @property
    def serial_log(self) -> Path:
        """All that the machine ever wrote on its serial line."""
        return self.paths.serial_log

    def create(self) -> None:
        """Make what is missing: a blank disk, NVRAM with its boot order, an empty serial log."""
        self.paths.directory.mkdir(parents=True, exist_ok=True)
        self.paths.disk.parent.mkdir(parents=True, exist_ok=True)
        for path, (_, size) in zip(self.disks, self._spec.disks, strict=True):
            if not path.exists():
                with path.open("wb") as disk:
                    disk.truncate(size)
        if not self.paths.variables.exists():
            self._make_variables()
        self.paths.serial_log.touch()

    def _make_variables(self) -> None:
        firmware = FIRMWARE[self._spec.firmware]
        if firmware.variables:
            macs = [] if self._spec.disk_first else [card.mac for card in self._spec.cards]
            kind = self._spec.network_boot if firmware.nic else "ipxe"
            factory = firmware.variables.read_bytes()
            blank = factory if firmware.keys else without_variables(factory)
            store = with_boot_options(blank, macs, NIC_SLOT, kind)
            self.paths.variables.write_bytes(store)

    def boot_once_from_network(self) -> None:
        """Have the next boot, and only that, be from the first card, as a BMC's boot-once does.

        RefusedError while it is on, or where its firmware has no NVRAM (BIOS).
        """
        with locked(self.paths.directory):
            if self.is_on or not FIRMWARE[self._spec.firmware].uefi:
                raise RefusedError(
                    f"machine {self.name} can't be told now what to boot",
                    "power it off first; a BIOS machine has its order in QEMU's words",
                )
            store = self.paths.variables.read_bytes()
            kind = "http" if self._spec.network_boot == "http" else "pxe"
            self.paths.variables.write_bytes(with_boot_next(store, self.mac, NIC_SLOT, kind))

    def replace_board(self, board: str) -> None:
        """Put in another motherboard, with this UUID: cards and disk stay, NVRAM is a new one.

        RefusedError while the machine is on.
        """
        with locked(self.paths.directory):
            if self.is_on:
                raise RefusedError(
                    f"machine {self.name} is on: its board cannot be replaced", "power it off first"
                )
            text = replace(self._spec, uuid=board).uuid  # checked there
            self.paths.board.write_text(text, encoding="ascii")
            self._make_variables()

    @property
    def boot_order(self) -> tuple[int, ...]:
        """BootOrder in a UEFI machine's NVRAM, as it stands now; () before its first start."""
        return boot_order(self.paths.variables.read_bytes())

    @property
    def boot_entries(self) -> dict[int, str]:
        """The boot options there, by number: how they are called."""
        return boot_entries(self.paths.variables.read_bytes())

    # Power

    @property
    def pid(self) -> int | None:
        """Its QEMU process, while it is on."""
        return process.alive(self.paths.pid)

    @property
    def is_on(self) -> bool:
        """Whether it has power: a guest that shut itself down has ended its QEMU."""
        return self.pid is not None

    def power_on(self) -> bool:
        """Switch on; False when it was on. BrokenError with QEMU's own words if it can't."""
        with locked(self.paths.directory):
            if self.is_on:
                return False
            for stale in (self.paths.pid, self.paths.qmp, self.paths.serial):
                stale.unlink(missing_ok=True)
            if self._spec.tpm:
                self._start_tpm()
            words = command_line(self.spec, self.paths, self._taps)
            call([*network.enter(self._namespace), *words], cwd=self.paths.directory)
            self._pull_cables()
            return True

    def _start_tpm(self) -> None:
        """It ends when QEMU leaves it."""
        if old := process.alive(self.paths.tpm_pid):
            process.end(old)
        self.paths.tpm.mkdir(exist_ok=True)
        state, pid = f"dir={self.paths.tpm}", f"file={self.paths.tpm_pid}"
        words = ["swtpm", "socket", "--tpm2", "--daemon", "--terminate", "--tpmstate", state]
        control = f"type=unixio,path={TPM_SOCKET}"  # relative: an address holds 108 bytes only
        call([*words, "--ctrl", control, "--pid", pid], cwd=self.paths.directory)

    def _pull_cables(self) -> None:
        pulled = [number for number, card in enumerate(self._spec.cards) if not card.cabled]
        for number in pulled:
            qmp.command(self.paths.qmp, "set_link", name=link_of(number), up=False)
        if pulled:
            qmp.command(self.paths.qmp, "cont")

    def power_off(self) -> bool:
        """Pull the plug; False when it was off. Returns once it is off."""
        with locked(self.paths.directory):
            pid = self.pid
            if pid is None:
                return False
            process.end(pid)
            return True

    def reset(self) -> None:
        """Press the reset button: same process, firmware starts again.

        Let a BIOS machine speak on its serial line first: SeaBIOS (1.16.2) often hangs when it is
        reset in its first milliseconds.
        """
        self._on_only("reset")
        qmp.command(self.paths.qmp, "system_reset")

    def shut_down(self) -> None:
        """Press the power switch shortly (ACPI): the operating system decides what follows."""
        self._on_only("shutdown")
        qmp.command(self.paths.qmp, "system_powerdown")

    def wait_on(self, timeout: float) -> None:
        """Wait up to `timeout` seconds until somebody switched it on; BrokenError if nobody did."""
        deadline = time.monotonic() + timeout
        while not self.is_on:
            if time.monotonic() > deadline:
                raise BrokenError(f"nobody switched machine {self.name} on within {timeout:g} s")
            time.sleep(_POLL_SECONDS)

    def status(self) -> str:
        """`off`, or QEMU's run state (`running`, `paused`, `shutdown`, …)."""
        return str(qmp.command(self.paths.qmp, "query-status")["status"]) if self.is_on else "off"

    def _on_only(self, what: str) -> None:
        if not self.is_on:
            raise RefusedError(
                f"machine {self.name} is off: it cannot take {what!r}", "power it on first"
            )

    # Serial line

    def serial_mark(self) -> int:
        """Where the serial log ends now, in bytes; `since` of the functions below takes it."""
        return self.paths.serial_log.stat().st_size

    def serial_text(self, since: int = 0) -> str:
        """What it wrote on its serial line, terminal control sequences included."""
        with self.paths.serial_log.open("rb") as log:
            log.seek(since)
            return log.read().decode("utf-8", "replace")

    def wait_serial(self, pattern: str, timeout: float, since: int = 0) -> re.Match[str]:
        """Wait up to `timeout` seconds until the regular expression is found in the serial text.

        BrokenError with the last lines when it does not come, or when the machine went off.
        """
        deadline = time.monotonic() + timeout
        wanted = re.compile(pattern)
        while True:
            is_on = self.is_on  # asked before reading: its last words count
            late = time.monotonic() > deadline
            text = self.serial_text(since)
            if found := wanted.search(text):
                return found
            if late or not is_on:
                lines = [line.rstrip() for line in text.splitlines() if line.strip()]
                last = "\n".join(lines[-30:])
                why = f"within {timeout:g} s" if late else "before it went off"
                raise BrokenError(
                    f"machine {self.name} did not write {pattern!r} {why}; its last lines:\n{last}",
                    where=str(self.serial_log),
                )
            time.sleep(_POLL_SECONDS)

    def answer(
        self, question: str, text: str, until: str, timeout: float, since: int = 0
    ) -> re.Match[str]:
        """Wait for the question, type the text and Enter, and wait for what must follow.

        Both are regular expressions, each with up to `timeout` seconds. BrokenError as of
        `wait_serial`.
        """
        self.wait_serial(question, timeout, since)
        mark = self.serial_mark()  # nothing that is waited for is written before it is answered
        # Attached until it is taken: QEMU forgets what it has not read from a line that is closed.
        with qmp.connect(self.paths.serial) as line:
            line.sendall(f"{text}\r".encode())
            return self.wait_serial(until, timeout, since=mark)

    # Disk

    def disk_sha256(self) -> str:
        """SHA-256 of the whole disk, holes read as zeros (about 1 s per GiB)."""
        with self.paths.disk.open("rb") as disk:
            return hashlib.file_digest(disk, "sha256").hexdigest()
