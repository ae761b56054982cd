"""Two network namespaces and the cables between them: one for the service, one for machines."""

from __future__ import annotations

import ctypes
import itertools
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ironwake import wire
from ironwake.view import Index
from ironwake_lab import network

T = TypeVar("T")
_NUMBERS = itertools.count()
_CLONE_NEWNET = 0x40000000
_ETH_P_ALL = 3
_TIMEOUT = 60.0  # for what must come; nothing waits for what must not


def ip(*words: str, inside: str = "") -> None:
    """Run `ip …`, in a namespace where one is named."""
    enter = network.enter(inside) if inside else []
    subprocess.run((*enter, "ip", *words), check=True, capture_output=True, text=True)


@dataclass(frozen=True)
class Bench:
    """The namespaces' names; `plug` lays a cable from `ours` to `theirs`."""

    ours: str
    theirs: str

    def plug(self, name: str, address: str, mac: str) -> None:
        """A cable: `name` with `address` at our end, `m-name` at the machines' end, both up."""
        peer = f"m-{name}"
        ip(
            "link",
            "add",
            name,
            "type",
            "veth",
            "peer",
            peer,
            "netns",
            self.theirs,
            inside=self.ours,
        )
        ip("link", "set", name, "address", mac, inside=self.ours)
        ip("address", "add", f"{address}/24", "dev", name, inside=self.ours)
        ip("link", "set", peer, "up", inside=self.theirs)
        ip("link", "set", name, "up", inside=self.ours)

    def unplug(self, name: str) -> None:
        ip("link", "delete", name, inside=self.ours)

    @contextmanager
    def tap(self, name: str) -> Iterator[socket.socket]:
        """A raw socket at the machines' end of a cable: hears every frame, sends any."""
        with _socket_in(self.theirs) as tap:
            tap.bind((f"m-{name}", _ETH_P_ALL))
            tap.settimeout(_TIMEOUT)
            yield tap


@contextmanager
def bench() -> Iterator[Bench]:
    """Two fresh namespaces, gone at the end."""
    mark = f"iwdhcp-{os.getpid()}-{next(_NUMBERS)}"
    both = Bench(f"{mark}-a", f"{mark}-b")
    made: list[str] = []
    try:
        for name in (both.ours, both.theirs):
            ip("netns", "add", name)
            made.append(name)
            ip("link", "set", "lo", "up", inside=name)
        yield both
    finally:
        for name in made:
            ip("netns", "delete", name)


def inside(namespace: str, call: Callable[[], T]) -> T:
    """What `call` gives, in `namespace`: the thread that runs it moves there, and ends."""

    def moved() -> T:
        handle = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
        try:
            if ctypes.CDLL(None, use_errno=True).setns(handle, _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
        finally:
            os.close(handle)
        return call()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(moved).result()


def _socket_in(namespace: str) -> socket.socket:
    """A raw socket that lives in `namespace`."""
    return inside(
        namespace,
        lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL)),
    )


class Service:
    """`python -m ironwake_dhcp` in a namespace, by a saved view and without a controller."""

    def __init__(self, place: Bench, state: Path, interface: str, **settings: str) -> None:
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(item for item in sys.path if item),
            "IRONWAKE_INTERFACE": interface,
            "IRONWAKE_STATE_DIR": str(state),
            "IRONWAKE_LOG_FORMAT": "json",
            **{f"IRONWAKE_{key.upper()}": value for key, value in settings.items()},
        }
        self._process = subprocess.Popen(
            (*network.enter(place.ours), sys.executable, "-m", "ironwake_dhcp"),
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def counts(self) -> dict[str, int]:
        """End it: by kind, what became of every datagram."""
        self._process.terminate()
        code, text = self.ended()
        assert code == 0, text
        assert "Traceback" not in text
        lines = (json.loads(line) for line in text.splitlines() if line.startswith("{"))
        (found,) = (line["counts"] for line in lines if line["event"] == "stopped")
        return dict(found)

    def wait_for(self, event: str) -> None:
        """Read the log up to `event`; a service that ends before has failed."""
        assert self._process.stderr
        seen = []
        for line in self._process.stderr:
            seen.append(line)
            if line.startswith("{") and json.loads(line)["event"] == event:
                return
        raise AssertionError(f"the service ended before {event!r}: {''.join(seen)}")

    def kill(self) -> None:
        """End it as a crash would."""
        self._process.kill()
        self._process.communicate()

    def end(self) -> int:
        """Ask it to stop, and give its exit code."""
        self._process.terminate()
        return self.ended()[0]

    def ended(self) -> tuple[int, str]:
        """Wait for its end: exit code, and what is left of its output."""
        try:
            _, text = self._process.communicate(timeout=_TIMEOUT)
        finally:
            self._process.kill()
        return self._process.returncode, text


@contextmanager
def serving(
    place: Bench, state: Path, interface: str, index: Index, **settings: str
) -> Iterator[Service]:
    """The service, listening, with that view."""
    (state / "views").mkdir(parents=True, exist_ok=True)
    (state / "views" / "dhcp.json").write_bytes(wire.encode(index.view))
    service = Service(place, state, interface, **settings)
    try:
        service.wait_for("listening")
        yield service
    finally:
        service.end()
