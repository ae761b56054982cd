"""The virtual rack as a whole: raise it, use it, take it down, from any process that may.

    with Rack.up(spec) as rack:
        rack.run(["ip", "address"])
        rack.machine("node1").power_on()
        rack.machine("node1").wait_serial("login:", timeout=120)

All state is in the rack's directory, so `Rack.attach(directory)` finds it from another process.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ironwake.errors import BrokenError, InputError, RefusedError, UnknownError
from ironwake_lab import network, process
from ironwake_lab.capture import Capture
from ironwake_lab.host import call, need_for, need_root
from ironwake_lab.machine import Machine, locked
from ironwake_lab.qemu import Paths
from ironwake_lab.router import Router
from ironwake_lab.spec import RackSpec

STATE = Path("/run/ironwake-lab")
# Disks grow to gigabytes, and /run is memory on most systems.
DISKS = Path("/var/tmp/ironwake-lab")  # noqa: S108 (below a directory of ours, made 0700)
_DESCRIPTION = "rack.json"


class Rack:
    """A raised rack. As a context manager it takes itself down at the end."""

    def __init__(self, spec: RackSpec, directory: Path) -> None:
        self.spec = spec
        self.directory = directory
        disks = DISKS / spec.name if directory.parent == STATE else directory / "disks"
        self._disks = disks
        self.router = Router(spec, directory / "router")
        self.machines = tuple(
            Machine(
                one,
                Paths(directory / "machines" / one.name, disks / f"{one.name}.raw"),
                network.namespace_of(spec.name),
                network.taps_of(spec, index),
            )
            for index, one in enumerate(spec.machines)
        )
        self._children: list[subprocess.Popen[Any]] = []
        self._captures = 0

    # Coming and going

    @classmethod
    def up(cls, spec: RackSpec, directory: Path | None = None) -> Rack:
        """Raise the rack, all machines off. Idempotent: what runs stays, what died is restarted.

        `directory` takes all its files (default: state in /run/ironwake-lab/NAME, disks in
        /var/tmp/ironwake-lab/NAME). RefusedError when something is not installed, when a rack
        of that name is up with another description, or when this is not root. Whatever goes wrong,
        Ctrl-C included, a rack that this call began is taken down again.
        """
        need_for(spec)
        directory = (directory or STATE / spec.name).absolute()
        description = directory / _DESCRIPTION
        fresh = not description.exists()
        if not fresh and (present := cls.attach(directory)).spec != spec:
            raise RefusedError(
                f"the rack {present.spec.name} is up already in {directory}, with other contents",
                f"take it down first: ironwake lab down {present.spec.name}",
            )
        if fresh and directory.exists() and any(directory.iterdir()):
            # `down` removes the directory with all that is in it.
            raise InputError(
                f"{directory} is not empty, and a rack wants a directory of its own",
                "name one that does not exist yet",
                "directory",
            )
        rack = cls(spec, directory)
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            with locked(directory):
                rack._raise()
                description.write_text(spec.to_json(), encoding="utf-8")
                rack._start_button()
        except BaseException:  # Ctrl-C too takes down what this call began
            if fresh:
                rack.down()
            raise
        return rack

    @classmethod
    def attach(cls, directory: Path) -> Rack:
        """The rack in this directory; UnknownError when there is none."""
        description = directory.absolute() / _DESCRIPTION
        try:
            text = description.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise UnknownError(
                f"no rack is up in {directory}", "raise one: ironwake lab up"
            ) from None
        return cls(RackSpec.from_json(text, str(description)), directory.absolute())

    def _raise(self) -> None:
        mine = self.directory / "namespace"
        if not mine.exists() or mine.read_text(encoding="ascii") != self._namespace_mark():
            with _uninterrupted():
                network.create(self.spec)
                mine.write_text(self._namespace_mark(), encoding="ascii")
        self._disks.mkdir(parents=True, exist_ok=True, mode=0o700)
        for machine in self.machines:
            machine.create()
        self.router.start()

    def _namespace_mark(self) -> str:
        names = (network.namespace_of(self.spec.name), network.gateway_of(self.spec.name))
        return " ".join(str(network.inode(name)) for name in names)

    def _start_button(self) -> None:
        if not self.button_pid:
            button: list[str | Path] = [sys.executable, "-m", "ironwake_lab.button", self.directory]
            call([*network.enter(self.namespace), *button, self._button_file])

    @property
    def _button_file(self) -> Path:
        return self.directory / "button.pid"

    @property
    def button_pid(self) -> int | None:
        """The power button's process, if it runs."""
        return process.alive(self._button_file)

    def down(self) -> None:
        """Take everything down: processes, namespaces, links, files. Idempotent.

        Ends also whatever else still runs inside the rack's namespaces. A second Ctrl-C waits
        until it is done.
        """
        need_root()
        with _uninterrupted():
            for child in self._children:
                process.end_child(child)
            # The button first, lest it switch on what was just switched off.
            if pid := self.button_pid:
                process.end(pid)
            for machine in self.machines:
                if machine.paths.directory.exists():
                    machine.power_off()
            self.router.stop()
            mark = self.directory / "namespace"
            if mark.exists() and mark.read_text(encoding="ascii") == self._namespace_mark():
                self._clear_namespaces()
            shutil.rmtree(self._disks, ignore_errors=True)
            shutil.rmtree(self.directory, ignore_errors=True)
            for parent in (STATE, DISKS):
                with contextlib.suppress(OSError):  # not there, or other racks are in it
                    parent.rmdir()

    def _clear_namespaces(self) -> None:
        family = _ancestors(os.getpid())
        for name in (network.namespace_of(self.spec.name), network.gateway_of(self.spec.name)):
            for pid in network.processes(name):
                if pid not in family:
                    process.end(pid)
            network.remove(name)

    def __enter__(self) -> Rack:
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    # Using it

    @property
    def namespace(self) -> str:
        """The network namespace of the appliance and the machines."""
        return network.namespace_of(self.spec.name)

    @property
    def router_namespace(self) -> str:
        """The router's; its interface is `eth0`."""
        return network.gateway_of(self.spec.name)

    def machine(self, name: str) -> Machine:
        """By name; UnknownError, with the names there are."""
        for machine in self.machines:
            if machine.name == name:
                return machine
        names = ", ".join(machine.name for machine in self.machines) or "none"
        raise UnknownError(
            f"the rack {self.spec.name} has no machine {name!r}", f"it has: {names}", "machine"
        )

    def inside(self, argv: Sequence[str | Path]) -> list[str]:
        """The words that run `argv` in the appliance's namespace."""
        return [*network.enter(self.namespace), *(str(word) for word in argv)]

    def run(self, argv: Sequence[str | Path], **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command inside to its end; `options` as for `subprocess.run`.

        Output is captured as text, and a failing command raises, unless the options say otherwise.
        """
        options = {"text": True, "capture_output": True, "check": True, **options}
        done: subprocess.CompletedProcess[str] = subprocess.run(self.inside(argv), **options)
        return done

    def popen(self, argv: Sequence[str | Path], **options: Any) -> subprocess.Popen[Any]:
        """Start a command inside; `down` ends it if it still runs. `options` as for `Popen`."""
        child = subprocess.Popen(self.inside(argv), **options)
        self._children.append(child)
        return child

    def capture(self) -> Capture:
        """All frames on the bridge during a `with` block; also `capture-*.pcap` in the directory.

        Of TCP their headers only: an installation moves hundreds of megabytes.
        """
        self._captures += 1
        number = f"{os.getpid()}-{self._captures}"
        return Capture(self.namespace, self.directory / f"capture-{number}.pcap")


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ancestors(pid: int) -> set[int]:
    """This process and those that started it: `down` may be called from inside the namespace."""
    family = set()
    while pid > 0 and pid not in family:
        family.add(pid)
        try:
            pid = process.parent(pid)
        except OSError as error:
            raise BrokenError(f"cannot read /proc/{pid}/stat: {error}") from error
    return family
