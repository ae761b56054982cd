"""Where a storm takes place: a rack with an appliance, and machines that are enrolled and armed."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from ironwake.artifact import Manifest
from ironwake.errors import InputError, IronwakeError, RefusedError
from ironwake.progress import Progress
from ironwake_lab.appliance import Appliance, ApplianceSpec
from ironwake_lab.rack import Rack
from ironwake_lab.spec import RackSpec
from ironwake_lab.storm.api import Api
from ironwake_lab.storm.machine import Machine
from ironwake_lab.storm.router import Router
from ironwake_runtime import neighbours
from ironwake_runtime.artifacts import ArtifactStore

MOST = 4000  # machines of one storm: as many as the range below has addresses
_APPLIANCE = "10.77.0.2/16"
_ROUTER, _POOL = "10.77.0.1", "10.77.16.1"
_POOL_PREFIXES = ("10.77.16.0/20",)
ROUTER_MAC = bytes.fromhex("525400770001")
_PROFILE = "storm"
_THREADS = 8  # that enrol and arm: each waits for a commit most of the time
_BLOCK = 1 << 20
_OTHERS = 64  # neighbours that the host may have besides


@dataclass(frozen=True)
class Sizes:
    """Octets of what machines load, as large as Debian 13's loaders and Debian 12's files."""

    shim: int = 1_036_152
    grub: int = 2_344_384
    undionly: int = 74_213
    kernel: int = 11_700_000
    initrd: int = 12_400_000
    archive: int = 94_700_000


@dataclass(frozen=True)
class Stage:
    """`router` plays the foreign DHCP server, None where the rack has one or needs none.

    `prefixes` are the addresses that machines may get. `token` is the admin token.
    """

    rack: Rack
    token: str
    profile: str
    router: Router | None
    prefixes: tuple[str, ...]

    def api(self) -> Api:
        return Api(self.rack.namespace, lambda: self.token)


def check_neighbours(machines: int, room: int | None) -> None:
    """RefusedError where the kernel has no room for so many neighbours: it would then answer
    nobody's ARP, and what the storm told would be about that."""
    if room is not None and machines + _OTHERS > room:
        raise RefusedError(
            f"the kernel's ARP table has room for {room} neighbours, and {machines} are to come",
            "make more room, on every appliance with as many machines: "
            + neighbours.more_room(machines),
        )


@contextlib.contextmanager
def raised(
    clients: int, sizes: Sizes, progress: Progress, log: Path | None = None
) -> Iterator[Stage]:
    """A rack and an appliance of the storm's own; both gone afterwards, but for its `log`."""
    spec = RackSpec(f"storm-{secrets.token_hex(3)}", (), None, _APPLIANCE)
    with tempfile.TemporaryDirectory(prefix="ironwake-storm-") as name:
        folder = Path(name)
        progress("stage", None, "what machines load: made up, as large as the real files")
        fill(ArtifactStore(folder / "artifacts"), sizes)
        (folder / "profiles").mkdir()
        text = "release: debian-12-cloud\nmethod: archive\n"
        (folder / "profiles" / f"{_PROFILE}.yaml").write_text(text)
        progress("stage", None, "a rack without uplink, and the appliance in it")
        at = ApplianceSpec(folder / "state", folder / "artifacts", folder / "profiles")
        with contextlib.ExitStack() as stack:
            rack = stack.enter_context(Rack.up(spec))
            if log is not None:
                stack.callback(_keep, at.state / "serve.log", log)
            appliance = stack.enter_context(Appliance(rack, at))
            router = Router.of(_ROUTER, spec.network, _POOL, clients)
            yield Stage(rack, appliance.token, _PROFILE, router, _POOL_PREFIXES)


def _keep(source: Path, target: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        shutil.copyfile(source, target)


def borrowed(rack: Rack, token: str, profile: str, clients: int) -> Stage:
    """A rack that is up with an appliance in it: its own router gives the addresses.

    :raises InputError: when that has not enough of them
    """
    there = rack.spec.router
    if there is None:
        raise RefusedError(
            f"the rack {rack.spec.name} has no router to give addresses",
            "raise one with a router: ironwake lab up",
        )
    first, last = IPv4Address(there.first), IPv4Address(there.last)
    if clients > int(last) - int(first) + 1:
        raise InputError(
            f"the rack {rack.spec.name} has addresses for {int(last) - int(first) + 1} machines",
            "storm it with fewer, or leave out --rack: then one of the right size is raised",
            "clients",
        )
    every = tuple(f"{IPv4Address(number)}/32" for number in range(int(first), int(last) + 1))
    return Stage(rack, token, profile, None, every)


def fill(store: ArtifactStore, sizes: Sizes) -> None:
    """Publish what a deployment needs, made of blocks that no one can mistake for software."""
    shelf: tuple[tuple[str, str, Mapping[str, tuple[str, int]]], ...] = (
        (
            "loaders",
            "loaders",
            {
                "sb/shimx64.efi": ("shimx64.efi", sizes.shim),
                "sb/grubx64.efi": ("grubx64.efi", sizes.grub),
                "ipxe/undionly.kpxe": ("undionly.kpxe", sizes.undionly),
            },
        ),
        (
            "ramdisk-cloud",
            "ramdisk",
            {
                "kernel": ("vmlinuz", sizes.kernel),
                "initrd": ("initrd.img", sizes.initrd),
                "tools": ("tools.tar.zst", 1000),  # no storm's order needs them
            },
        ),
        ("debian-12-cloud", "media", {"archive": ("debian-12.tar.zst", sizes.archive)}),
    )
    built = datetime.now(UTC).isoformat()
    for name, kind, files in shelf:
        artifacts = {
            role: store.add_bytes(_content(role, size)) for role, (_, size) in files.items()
        }
        names = {role: file for role, (file, _) in files.items()}
        facts = {"unpacked_bytes": 900_000_000} if kind == "media" else {}
        store.publish(Manifest(name, kind, built, "0" * 64, artifacts, names, facts))


def _content(role: str, size: int) -> bytes:
    block = f"made up by a storm: {role}\n".encode().ljust(64, b".")
    return (block * (min(size, _BLOCK) // 64 + 1) * (size // _BLOCK + 1))[:size]


@contextlib.contextmanager
def enrolled(
    stage: Stage, machines: Sequence[Machine], armed: int, progress: Progress
) -> Iterator[None]:
    """Machines are known, the first `armed` of them armed; forgotten again afterwards."""
    done = 0

    def one(place: int) -> None:
        nonlocal done
        machine = machines[place]
        api = apis[place % _THREADS]
        body = {"name": machine.name, "macs": [_mac(machine)], "architecture": "amd64"}
        api("POST", "/v1/machines", body)
        if place < armed:
            wish: dict[str, Any] = {"profile": stage.profile, "wake": False}
            api("POST", f"/v1/machines/{machine.name}/deploy", wish)
        done += 1
        progress("enrolled", done / len(machines), f"{done} of {len(machines)}")

    def lane(first: int) -> None:
        for place in range(first, len(machines), _THREADS):
            one(place)

    apis = [stage.api() for _ in range(_THREADS)]
    try:
        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(lane, range(_THREADS)))
        yield
    finally:
        for api in apis:
            api.close()


def forget(stage: Stage, machines: Sequence[Machine]) -> None:
    """Remove them from an appliance that stays, whatever became of them."""
    api = stage.api()
    for machine in machines:
        with contextlib.suppress(IronwakeError):
            api("DELETE", f"/v1/machines/{machine.name}")
    api.close()


def _mac(machine: Machine) -> str:
    return ":".join(f"{octet:02x}" for octet in machine.mac)
