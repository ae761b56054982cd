"""A site without a network: everything that it has came in one file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ironwake_testing.packagecache import folder
from ironwake_testing.scene import CACHE, node, scene

pytestmark = [pytest.mark.root, pytest.mark.qemu, pytest.mark.deep]

PROFILE = "release: debian-12-cloud\nmethod: archive\nparameters: {packages: [tree, bc]}\n"


@pytest.fixture
def place() -> Iterator[Path]:
    with folder() as found:
        yield found


def ironwake(*words: str | Path, **settings: str | Path) -> subprocess.CompletedProcess[str]:
    outside = {key: value for key, value in os.environ.items() if not key.startswith("IRONWAKE_")}
    given = {f"IRONWAKE_{key.upper()}": str(value) for key, value in settings.items()}
    command = [sys.executable, "-m", "ironwake_cli", *map(str, words)]
    return subprocess.run(
        command, env={**outside, **given}, capture_output=True, text=True, check=True
    )


def test_an_installation_from_a_bundle_alone(store: Path, tmp_path: Path, place: Path) -> None:
    """Packages, media, profile: exported here, imported there, where no route leads anywhere. A
    machine is installed with packages that are in no image, and is healthy."""
    profiles = tmp_path / "here/profiles"
    profiles.mkdir(parents=True)
    (profiles / "near.yaml").write_text(PROFILE)
    file = tmp_path / "site.iwb"
    ironwake(
        *("bundle", "export", file, "--profile", "near", "--packages"),
        state_dir=tmp_path / "here",
        artifacts_dir=store,
        cache_dir=CACHE,
        ramdisk="cloud",
    )
    there, cache = tmp_path / "there", place / "cache"
    done = ironwake("bundle", "import", file, "--json", state_dir=there, cache_dir=cache)
    brought = json.loads(done.stdout)
    assert brought["mirrors"] == ["debian", "debian-security"]
    text = (there / "profiles/near.yaml").read_text()
    settings = {
        "IRONWAKE_PACKAGES": "on",
        "IRONWAKE_CACHE_DIR": str(cache),
    }
    machine = node(1)
    with scene(
        tmp_path,
        machine,
        profiles={"near": text},
        settings=settings,
        artifacts=there / "artifacts",
    ) as at:
        assert at.rack.run(["ip", "route", "show", "default"]).stdout == ""
        at.enrol(machine)
        at.succeed(at.deploy(machine.name, "near"))
        told = json.loads(at.appliance.cli("cache", "status", "--json").stdout)["sources"]
    assert told["debian"]["hits"] >= 4, "two lists and two packages"
    assert {name: row["fetched"] for name, row in told.items()} == {
        "debian": 0,
        "debian-security": 0,
    }
    assert sum(row["errors"] for row in told.values()) == 0
