"""One engine, one rack and one set of images for all tests of this folder."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator

import pytest

from ironwake.progress import silent
from ironwake_imager import media
from ironwake_lab import MachineSpec, Rack, RackSpec
from ironwake_runtime.aptsources import Mirror, host_mirror
from ironwake_runtime.artifacts import ArtifactStore
from ironwake_runtime.settings import Settings, read
from ironwake_testing.engine import Engine
from ironwake_testing.stack import PROJECT, Stack

PROFILE = "release: debian-12-cloud\nmethod: archive\n"


@pytest.fixture(scope="module")
def settings() -> Settings:
    return read(os.environ)


@pytest.fixture(scope="module")
def engine(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine with the project's images; nobody else has it meanwhile."""
    cache = settings.cache_dir / "engine"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ours = Engine(cache, tmp_path_factory.mktemp("engine"))
        ours.build(PROJECT)
        yield ours


@pytest.fixture(scope="module")
def bare(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A rack with three machines, the engine in it, and nothing started yet."""
    folder = tmp_path_factory.mktemp("rack")
    profiles = folder / "profiles"
    profiles.mkdir()
    (profiles / "debian.yaml").write_text(PROFILE)
    name = f"c{secrets.token_hex(5)}"
    machines = tuple(MachineSpec(f"node{n}", f"52:54:00:77:00:1{n}") for n in (1, 2, 3))
    given = {
        "IRONWAKE_INTERFACE": "br0",
        "IRONWAKE_RAMDISK": "cloud",
        "IRONWAKE_PROFILES_DIR": str(profiles),
    }
    with (
        Rack.up(RackSpec(name, machines), folder / name) as rack,
        engine.running(rack.namespace),
    ):
        stack = Stack(rack, engine, name, given)
        try:
            yield stack
        finally:
            stack.down()


@pytest.fixture(scope="module")
def stack(bare: Stack) -> Stack:
    """All containers are up and healthy; nothing is in store."""
    bare.up()
    return bare


@pytest.fixture(scope="module")
def stocked(stack: Stack, settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """The appliance with media, built on this host and cached."""
    # Beside the cache, so that large files are linked and not copied.
    store = settings.cache_dir / "engine" / "store"
    mirror = Mirror.parse(settings.mirror) if settings.mirror else host_mirror()
    for name in media.with_needs(("debian-12-cloud",)):
        media.add(name, ArtifactStore(store), settings.cache_dir, mirror, silent)
    stack.stock(store)
    return stack
