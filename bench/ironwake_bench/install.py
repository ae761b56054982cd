"""`bench-install`: from power-on to the first report of health, against the same done by hand.

Both sides install the same machine: UEFI firmware that boots from the network, the same kernel in
the ramdisk, the same Debian, a blank disk. By hand (`by_hand`) nothing is checked and everything is
known beforehand. Who starts the new kernel at once competes with a restart: by hand there is one
image only.

A time ends when the report comes in, by the clock of whoever takes it: the appliance's controller,
or nginx.
"""

from __future__ import annotations

import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from ironwake.errors import BrokenError
from ironwake.lifecycle import ENDS, State
from ironwake.progress import silent
from ironwake_bench import by_hand, ground, options, peers
from ironwake_bench.by_hand import ByHand
from ironwake_bench.cells import Cell, Goal, report
from ironwake_bench.ground import Ours
from ironwake_bench.options import Options
from ironwake_bench.rounds import OURS, interleave, median
from ironwake_imager import media
from ironwake_imager.library.bring import Importer, Wish
from ironwake_imager.library.library import Library
from ironwake_lab import MachineSpec, Rack, RackSpec, RouterSpec
from ironwake_lab.machine import Machine
from ironwake_runtime.aptsources import host_mirror
from ironwake_runtime.artifacts import ArtifactStore
from ironwake_runtime.builds import Workshop

_BENCH = "install"
_PEER = "dnsmasq, nginx and a script"
_MEDIUM = "debian-12-cloud"
_GOAL = Goal(1.0, more=False)
_PROFILES = {
    "archive": f"release: {_MEDIUM}\n",
    "image": "method: disk-image\nimage: golden\n",
    "kexec": "method: disk-image\nimage: golden\nfinish: kexec\n",
}
_CELLS = {  # name: our profile, the way by hand
    "archive": ("archive", "archive"),
    "disk image": ("image", "image"),
    "disk image, kexec": ("kexec", "image"),
}
_NODE = MachineSpec("node1", "52:54:00:77:00:10")
_PATIENCE = 1800.0  # seconds: no promise, only an end
_BETWEEN_LOOKS = 1.0  # it is not what the time is taken from


@dataclass(frozen=True)
class Bench:
    """Both sides, each with its machine."""

    here: Ours
    theirs: Rack
    peer: ByHand

    def ours(self, profile: str) -> float:
        """Seconds from power-on to health."""
        machine = _blank(self.here.rack)
        appliance = self.here.appliance
        body = {"profile": profile, "wake": False}
        path = f"/v1/machines/{_NODE.name}/deploy"
        identity = appliance.api("POST", path, body, expect=201)["id"]
        appliance.settle()

        def ended() -> float | None:
            found: dict[str, Any] = appliance.api("GET", f"/v1/deployments/{identity}")
            if found["state"] == State.SUCCEEDED:
                return datetime.fromisoformat(found["ended"]).timestamp()
            if found["state"] in ENDS:
                raise BrokenError(f"{profile} is {found['state']}: {found['message']}")
            return None

        return _time(machine, ended)

    def by_hand(self, way: str) -> float:
        """The same."""
        machine = _blank(self.theirs)
        self.peer.arm(self.theirs, way)
        return _time(machine, lambda: self.peer.reported)


def main() -> int:
    return report(
        _cells(options.read("From power-on to health, against the same by hand.", least=1))
    )


def _cells(wish: Options) -> Iterator[Cell]:
    wanted = {name: ways for name, ways in _CELLS.items() if wish.wants(name)}
    if not wanted:
        return
    with ExitStack() as stack:
        bench = _raise(stack)
        sides: dict[str, Callable[[], float]] = {}
        for profile, way in wanted.values():
            sides[f"{OURS}, {profile}"] = partial(bench.ours, profile)
            sides[f"by hand, {way}"] = partial(bench.by_hand, way)
        seen = interleave(sides, wish.rounds, _BENCH)
        for name, (profile, way) in wanted.items():
            mine, other = (median(seen[s]) for s in (f"{OURS}, {profile}", f"by hand, {way}"))
            yield Cell(_BENCH, name, mine, "s", _GOAL, other, _PEER)


def _raise(stack: ExitStack) -> Bench:
    """Media are built where the cache lacks them, the golden disk anew: half a minute."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ironwake-bench-")))
    folder.chmod(0o755)
    store = ArtifactStore(folder / "media")
    _say("media")
    for name in media.with_needs((_MEDIUM,)):
        media.add(name, store, peers.CACHE, host_mirror(), silent)
    _say("the golden disk")
    golden = by_hand.golden(folder, store, _NODE.disk_bytes)
    rack = stack.enter_context(ground.raised(_rack(RouterSpec())))

    def fill(inside: ArtifactStore) -> None:
        for name in media.with_needs((_MEDIUM,)):
            manifest = store.manifest(name)
            for artifact in manifest.artifacts.values():
                inside.adopt(store.path(artifact.sha256), artifact)
            inside.publish(manifest)
        importer = Importer(Library(inside), folder / "cache", silent, _no_shop)
        importer.bring(Wish(str(golden), "golden"))

    here = stack.enter_context(ground.serving(rack, profiles=_PROFILES, media=fill))
    body = {"name": _NODE.name, "macs": [_NODE.mac]}
    here.appliance.api("POST", "/v1/machines", body, expect=201)
    _say("what is needed by hand")
    peer = by_hand.make(folder / "by-hand", store, here.appliance.address, golden)
    golden.unlink()
    theirs = stack.enter_context(ground.raised(_rack(peer.router)))
    stack.enter_context(peer.serving(theirs))
    return Bench(here, theirs, peer)


def _rack(router: RouterSpec) -> RackSpec:
    return RackSpec(f"b{secrets.token_hex(4)}", (_NODE,), router)


def _no_shop() -> Workshop:
    raise AssertionError("a disk needs no packages")


def _blank(rack: Rack) -> Machine:
    """The machine, switched off, as it came from its maker."""
    machine = rack.machine(_NODE.name)
    machine.power_off()
    for path in (machine.disk, machine.paths.variables):
        path.unlink()
    machine.create()
    return machine


def _time(machine: Machine, ended: Callable[[], float | None]) -> float:
    """Seconds from power-on to what `ended` gives; BrokenError with the machine's last lines."""
    mark = machine.serial_mark()
    begin = time.time()
    machine.power_on()
    limit = time.monotonic() + _PATIENCE
    try:
        while (end := ended()) is None:
            said = machine.serial_text(mark)
            if time.monotonic() > limit or not machine.is_on or by_hand.FAILED in said:
                raise BrokenError(f"no word of health: {said[-3000:]}")
            time.sleep(_BETWEEN_LOOKS)
    finally:
        machine.power_off()
    print(f"  {end - begin:.1f} s", file=sys.stderr, flush=True)  # noqa: T201
    return end - begin


def _say(what: str) -> None:
    print(f"making {what}", file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
