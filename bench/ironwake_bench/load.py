"""Load generators in C (bench/load): compiled once, run where the machines would be."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ironwake.errors import BrokenError
from ironwake_bench.peers import CACHE, need
from ironwake_lab import Rack, network, process

_SOURCES = Path(__file__).parents[1] / "load"
_CACHE = CACHE / "load"


@functools.cache
def program(name: str) -> Path:
    """`bench/load/NAME.c`, compiled; BrokenError with the compiler's words when that fails."""
    source = _SOURCES / f"{name}.c"
    shared = b"".join(path.read_bytes() for path in sorted(_SOURCES.glob("*.h")))
    digest = hashlib.sha256(source.read_bytes() + shared).hexdigest()[:16]
    target = _CACHE / f"{name}-{digest}"
    if not target.exists():
        _CACHE.mkdir(parents=True, exist_ok=True)
        fresh = target.with_suffix(f".{os.getpid()}")
        compiler = need("gcc", "gcc")
        flags = ("-O2", "-Wall", "-Wextra", "-Werror")
        words: list[str | Path] = [compiler, *flags, "-o", fresh, source]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BrokenError(f"{name}.c was not compiled: {done.stderr.strip()[:2000]}")
        fresh.rename(target)
    return target


def run(rack: Rack, name: str, *words: object, beside: bool = False) -> dict[str, Any]:
    """Run a generator at the far end of the rack's cable (`eth0`); the JSON object it prints.

    `beside`: in the appliance's place instead, for what listens on its loopback address only.
    """
    inside = network.enter(rack.namespace if beside else rack.router_namespace)
    argv: list[str | Path] = [*inside, program(name), *map(str, words)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BrokenError(f"{name} failed: {done.stderr.strip()[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@contextlib.contextmanager
def running(rack: Rack, name: str, *words: object) -> Iterator[None]:
    """Such a program, at the same place, that says a line when it is ready and never ends."""
    inside = network.enter(rack.router_namespace)
    argv: list[str | Path] = [*inside, program(name), *map(str, words)]
    child = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        if child.stdout is None or not child.stdout.readline():
            raise BrokenError(f"{name} failed: {child.communicate()[1].strip()[-2000:]}")
        yield
    finally:
        process.end_child(child)
        child.communicate()
