"""The agent's apt asks the site's package cache; the installed system's own sources stay."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ironwake.errors import BrokenError
from ironwake.packagecache import Source
from ironwake_agent import packages
from ironwake_agent.network import Lease
from tests.agent.rig import ORDER, Recorder

CACHE = "http://192.0.2.1:3142"
MIRROR = Source("debian", "http://mirror.example/debian", ("https://other.example/d",))
LINE = "deb [arch=amd64 signed-by=/x.gpg] http://mirror.example/debian bookworm main\n"
STANZA = "Types: deb\nURIs: https://other.example/d/ http://vendor.example/x\nSuites: y\n"
LEASE = Lease("eth0", "192.0.2.7")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    parts = tmp_path / "etc/apt/sources.list.d"
    parts.mkdir(parents=True)
    (parts.parent / "sources.list").write_text(LINE)
    (parts / "vendor.sources").write_text(STANZA)
    (parts / "old.list.save").write_text("deb http://gone.example/ x main\n")
    return tmp_path


def _parts(seen: dict[str, str], target: Path) -> Recorder:
    def look(_: tuple[str, ...]) -> str | None:
        for path in (target / "var/cache/ironwake-sources/parts").iterdir():
            seen[path.name] = path.read_text()
        return None

    return Recorder(wants=look)


def test_known_mirrors_are_asked_through_the_cache(target: Path) -> None:
    """Whichever of its URLs the system names, in both notations; others are left as they are."""
    order = replace(ORDER, packages=("tree",), mirrors=(MIRROR,), cache=CACHE)
    seen: dict[str, str] = {}
    run = _parts(seen, target)
    packages.install(run, target, order, LEASE)
    assert seen == {
        "sources.list": LINE.replace("http://mirror.example", f"{CACHE}/packages"),
        "vendor.sources": STANZA.replace("https://other.example/d/", f"{CACHE}/packages/debian"),
    }
    assert all("Dir::Etc::SourceParts=/var/cache/ironwake-sources/parts" in c for c in run.calls)
    assert not any("Check-Valid-Until" in word for call in run.calls for word in call)
    assert (target / "etc/apt/sources.list").read_text() == LINE
    assert not (target / "var/cache/ironwake-sources").exists()


def test_an_imported_mirror_may_be_old(target: Path) -> None:
    """What a bundle brought is signed, and of the day that it was made."""
    order = replace(
        ORDER, packages=("tree",), mirrors=(replace(MIRROR, imported=True),), cache=CACHE
    )
    run = Recorder()
    packages.install(run, target, order, LEASE)
    assert all("Acquire::Check-Valid-Until=false" in call for call in run.calls)


def test_without_a_cache_apt_is_as_it_is(target: Path) -> None:
    """No word more than the packages."""
    run = Recorder()
    packages.install(run, target, replace(ORDER, packages=("tree",)), LEASE)
    assert not any("Dir::Etc" in word for call in run.calls for word in call)


def test_a_failure_leaves_nothing(target: Path) -> None:
    """apt failed: what was written for it is gone, and the packages are named."""
    order = replace(ORDER, packages=("tree",), mirrors=(MIRROR,), cache=CACHE)
    with pytest.raises(BrokenError, match="the packages tree could not be installed"):
        packages.install(Recorder(broken={"chroot": "no"}), target, order, LEASE)
    assert not (target / "var/cache/ironwake-sources").exists()


def test_a_link_of_the_system_leads_nowhere_else(target: Path, tmp_path: Path) -> None:
    """An absolute link among the sources is read below the new system's root."""
    (target / "etc/apt/sources.list.d/host.list").symlink_to("/etc/hostname")
    order = replace(ORDER, packages=("tree",), mirrors=(MIRROR,), cache=CACHE)
    seen: dict[str, str] = {}
    packages.install(_parts(seen, target), target, order, LEASE)
    assert "host.list" not in seen
