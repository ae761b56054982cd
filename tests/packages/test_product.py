"""The product itself in a bundle, and `ironwake bundle` as people run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ironwake.artifact import Manifest
from ironwake.errors import RefusedError
from ironwake_imager.bundle import product
from ironwake_runtime.artifacts import ArtifactStore

PROFILE = "release: debian-12\nmethod: archive\n"


def program(path: Path, text: str) -> tuple[str, ...]:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return (str(path),)


def test_containers_are_saved_together(tmp_path: Path) -> None:
    """All images of the compose file, by the engine's own words; loaded where there is one."""
    said = tmp_path / "said"
    docker = program(tmp_path / "docker", f'echo "$@" >> {said}; [ "$2" != save ] || echo x > "$4"')
    archive = product.containers(tmp_path, docker)
    assert archive.read_text() == "x\n"
    assert f"image save --output {archive} ironwake/controller" in said.read_text()
    assert product.load(archive, docker)
    assert f"image load --quiet --input {archive}" in said.read_text()
    assert not product.load(archive, ("/nowhere/docker",))


def test_an_image_that_was_not_built(tmp_path: Path) -> None:
    """It is named, with how to build it."""
    docker = program(tmp_path / "docker", '[ "$3" != ironwake/dns ]')
    with pytest.raises(RefusedError, match="no image ironwake/dns here; run: docker compose build"):
        product.containers(tmp_path, docker)


def test_wheels_are_those_of_constraints(tmp_path: Path) -> None:
    """pip is told the checkout and the versions that it was tested with, without their hashes."""
    project = tmp_path / "p"
    project.mkdir()
    (project / "pyproject.toml").touch()
    text = "aiohttp==3.14.1 ; python_version < '4' \\\n    --hash=sha256:00\n    # via x\nb==2\n"
    (project / "constraints.txt").write_text(text)
    pip = program(
        tmp_path / "pip",
        'mkdir -p "$4"; cp "$6" "$4/pins"; echo "$7" > "$4/what"; touch "$4/a.whl"',
    )
    (wheel,) = product.wheels(tmp_path, project, pip)
    assert wheel.name == "a.whl"
    pins = (wheel.parent / "pins").read_text().splitlines()
    assert pins == ["aiohttp==3.14.1 ; python_version < '4'", "b==2"]
    assert (wheel.parent / "what").read_text().strip() == f"{project}[all]"


def test_wheels_need_a_checkout(tmp_path: Path) -> None:
    """Elsewhere there is nothing to make them from."""
    with pytest.raises(RefusedError, match="no checkout"):
        product.wheels(tmp_path, tmp_path)


def cli(at: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    outside = {key: value for key, value in os.environ.items() if not key.startswith("IRONWAKE_")}
    given = {"IRONWAKE_STATE_DIR": str(at / "state"), "IRONWAKE_CACHE_DIR": str(at / "cache")}
    return subprocess.run(
        [sys.executable, "-m", "ironwake_cli", "bundle", *words],
        env={**outside, **given, **more},
        capture_output=True,
        text=True,
        check=False,
    )


def medium(at: Path, *names: str) -> None:
    store = ArtifactStore(at / "state/artifacts")
    for name in names:
        kind = {"loaders": "loaders"}.get(name, "media")
        item = store.add_bytes(name.encode() * 1000)
        made = "2026-11-01T00:00:00+00:00"
        store.publish(Manifest(name, kind, made, "x", {"archive": item}, {"archive": "a"}))


def test_from_one_site_to_another(tmp_path: Path) -> None:
    """A profile and what its machines are served, by two commands; a second import is the same."""
    here, there, file = tmp_path / "here", tmp_path / "there", tmp_path / "site.iwb"
    (here / "state/profiles").mkdir(parents=True)
    (here / "state/profiles/web.yaml").write_text(PROFILE)
    lacking = cli(here, "export", str(file), "--profile", "web")
    assert lacking.returncode == 4
    assert "run: ironwake media add loaders ramdisk-generic debian-12" in lacking.stderr
    medium(here, "loaders", "ramdisk-generic", "debian-12", "debian-13")
    done = cli(here, "export", str(file), "--profile", "web", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["files"] == 7
    for _ in range(2):
        said = cli(there, "import", str(file), "--json")
        assert said.returncode == 0, said.stderr
        brought = json.loads(said.stdout)
        assert sorted(brought["media"]) == ["debian-12", "loaders", "ramdisk-generic"]
        assert brought["kept"] == []
    assert (there / "state/profiles/web.yaml").read_text() == PROFILE
    again = cli(there, "export", str(tmp_path / "2.iwb"), "--profile", "web", "--json")
    assert json.loads(again.stdout)["files"] == 7


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "there is nothing to put into it"),
        (("--media", "debian-12", "--packages"), "packages are those of profiles"),
        (("--profile", "nosuch"), "there is no profile 'nosuch'"),
        (("--profile", "../x"), "there is no profile '../x'"),
    ],
)
def test_what_cannot_be_exported(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    """In words, and without a file."""
    done = cli(tmp_path, "export", str(tmp_path / "site.iwb"), *words)
    assert done.returncode in (2, 3)
    assert said in done.stderr
    assert not (tmp_path / "site.iwb").exists()


def test_another_file_is_no_bundle(tmp_path: Path) -> None:
    """Said so, with the code of a refusal, and no traceback."""
    file = tmp_path / "x"
    file.write_bytes(b"hello")
    done = cli(tmp_path, "import", str(file))
    assert done.returncode == 4
    assert done.stderr.strip().endswith("name a file that bundle export has written")
