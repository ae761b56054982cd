"""`ironwake media …`: what there is to be had, dropped ISO files, and what is kept of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ironwake.artifact import Manifest
from ironwake_runtime.artifacts import ArtifactStore
from ironwake_testing import discs
from tests.cli.conftest import Cli


@pytest.fixture(scope="module")
def disc(tmp_path_factory: pytest.TempPathFactory) -> discs.Disc:
    return discs.make("proxmox-8", tmp_path_factory.mktemp("iso"))


@pytest.fixture
def store(cli: Cli) -> ArtifactStore:
    """One that has loaders: so that nothing is built."""
    found = ArtifactStore(cli.state / "artifacts")
    item = found.add_bytes(b"shim")
    built = "2026-01-02T03:04:05Z"
    roles = {"sb/shimx64.efi": item}
    names = dict.fromkeys(roles, "shimx64.efi")
    found.publish(Manifest("loaders", "loaders", built, "0" * 64, roles, names))
    return found


def test_what_is_to_be_had(cli: Cli) -> None:
    """What is built, what is downloaded, what a person has to bring: each row says so."""
    rows = {row["name"]: row for row in json.loads(cli("media", "catalogue", "--json").out)}
    assert rows["debian-12"]["from"] == "built here"
    assert rows["windows-11"]["from"] == "you bring it"
    assert rows["rocky-9"]["from"].startswith("download.")
    assert len(rows) > 90
    done = cli("media", "add", "rocky9")
    assert (done.code, done.out) == (3, "")
    assert "there is no medium 'rocky9'; did you mean rocky-9" in done.err


def test_a_dropped_iso_is_offered_and_added(
    cli: Cli, store: ArtifactStore, disc: discs.Disc
) -> None:
    """With the command that adds it; once it is there it is no longer offered."""
    isos = cli.state / "isos"
    isos.mkdir()
    path = Path(shutil.copy(disc.path, isos / "pve.iso"))
    (isos / "half.iso").write_bytes(disc.path.read_bytes()[:300_000])
    listed = cli("media", "list").out
    command = f"ironwake media add proxmox-8 --from {path}"
    assert f"found pve.iso: Proxmox VE 8's ISO; add it with: {command}" in listed
    assert "found half.iso: this ISO says that it has" in listed
    rows = {row["name"]: row for row in json.loads(cli("media", "catalogue", "--json").out)}
    assert rows["proxmox-8"]["found"] == [str(path)]
    done = cli(*command.split()[1:])
    assert (done.code, done.out) == (
        0,
        f"proxmox-8 is there: {_size(store)}, by a file of yours, compared with nothing\n",
    )
    assert "pve.iso" not in cli("media", "list").out
    assert store.manifest("proxmox-8").facts["volume"] == "PVE"


def _size(store: ArtifactStore) -> str:
    from ironwake_cli.output import size

    return size(sum(item.size for item in store.manifest("proxmox-8").artifacts.values()))


def test_an_iso_without_a_name(cli: Cli, store: ArtifactStore, disc: discs.Disc) -> None:
    """It is known by its contents; one that nothing has is refused, as are a folder and nothing."""
    assert cli("media", "add", "--from", str(disc.path)).code == 0
    assert store.manifest("proxmox-8").kind == "media"
    other = discs.make_of({"a": b"a"}, cli.state / "other.iso")
    done = cli("media", "add", "--from", str(other.path))
    assert (done.code, done.out) == (4, "")
    assert "nothing in the catalogue has these contents" in done.err
    assert "name the medium" in cli("media", "add", "--from", str(cli.state)).err
    assert "nothing is named" in cli("media", "add").err


def test_the_sites_own_rows(cli: Cli, store: ArtifactStore) -> None:
    """A file in the folder for them adds a medium; a wrong one is named, and nothing is done."""
    folder = cli.state / "catalogue"
    folder.mkdir()
    text = """
[[medium]]
name = "mine"
title = "Mine"
take = { installer-kernel = "k" }
marks = [{ volume = "^MINE$" }]
"""
    (folder / "own.toml").write_text(text)
    made = discs.make_of({"k": b"kernel"}, cli.state / "mine.iso", "MINE")
    assert cli("media", "add", "--from", str(made.path)).code == 0
    kernel = store.manifest("mine").artifact("installer-kernel")
    assert store.path(kernel.sha256).read_bytes() == b"kernel"
    (folder / "own.toml").write_text(text.replace("title", "titel"))
    done = cli("media", "catalogue")
    assert (done.code, done.out) == (2, "")
    assert f"{folder / 'own.toml'}: medium mine: titel: there is no field 'titel'" in done.err


def test_damage_is_found_and_media_go(cli: Cli, store: ArtifactStore, disc: discs.Disc) -> None:
    """`verify` reads every byte; `rm` takes away what nothing else needs."""
    assert cli("media", "add", "proxmox-8", "--from", str(disc.path)).code == 0
    assert cli("media", "verify").out == "loaders is whole\nproxmox-8 is whole\n"
    iso = store.path(store.manifest("proxmox-8").artifact("iso").sha256)
    data = bytearray(iso.read_bytes())
    data[-5] ^= 1
    iso.write_bytes(data)
    done = cli("media", "verify", "proxmox-8")
    assert (done.code, done.out) == (5, "proxmox-8 is damaged: iso has other bytes\n")
    assert "ironwake media rm proxmox-8" in done.err
    assert json.loads(cli("media", "verify", "loaders", "--json").out)[0]["whole"] is True
    assert cli("media", "rm", "loaders", "nope").code == 3
    assert cli("media", "rm", "proxmox-8").out == "proxmox-8 is gone\n"
    assert not iso.exists()
    assert [one.name for one in store.manifests()] == ["loaders"]


def test_options_are_about_one_medium(cli: Cli, store: ArtifactStore) -> None:
    """Not about two, and not about what is built here."""
    done = cli("media", "add", "rocky-8", "rocky-9", "--from", "x.iso")
    assert (done.code, "are about one medium" in done.err) == (2, True)
    done = cli("media", "add", "loaders", "--sha256", "0" * 64)
    assert (done.code, "is built here, of packages" in done.err) == (2, True)
    done = cli("media", "add", "rocky-9", "--from", "nowhere.iso")
    assert (done.code, "no such file or folder" in done.err) == (2, True)
    done = cli("media", "add", "rocky-9", "--mirror", "ftp://x/")
    assert (done.code, "is no folder's URL" in done.err) == (2, True)
