"""The package cache as a container, and a bundle that is brought in before it was ever started."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ironwake_testing.packagecache import until
from ironwake_testing.stack import Stack
from tests.packages.bundles import bundle_of

pytestmark = [pytest.mark.root, pytest.mark.docker, pytest.mark.deep]

BR0, PORT = "10.77.0.2", 8099  # in the rack's own namespace: nobody else is there
MIRROR = f"http://{BR0}:{PORT}/debian"
CACHE = f"http://{BR0}:3142"
IMPORTED, FETCHED = "/packages/debian/dists/x/InRelease", "/packages/debian/pool/tree.deb"


@dataclass
class Site:
    """`mirror`: a web server in the rack's namespace. `parameters`: a folder of the host's."""

    stack: Stack
    mirror: subprocess.Popen[bytes]
    parameters: Path
    imported: dict[str, list[str]]

    def get(self, path: str) -> bytes:
        """As a machine on the network asks; nothing where it is refused."""
        words = ["curl", "-fsS", "--max-time", "60", f"{CACHE}{path}"]
        inside = self.stack.rack.inside(words)
        return subprocess.run(inside, capture_output=True, check=False).stdout


@pytest.fixture(scope="module")
def site(bare: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A bundle is imported by the documented command, then everything is started."""
    folder = tmp_path_factory.mktemp("site")
    parameters = folder / "parameters"
    parameters.mkdir()
    (folder / "debian/pool").mkdir(parents=True)
    (folder / "debian/pool/tree.deb").write_bytes(b"a package" * 1000)
    files = {
        "parameters/groups/database.yaml": b"match: {role: database}\n",
        IMPORTED.removeprefix("/"): b"as of the bundle",
    }
    bundle_of(files, folder / "bundle", debian=(MIRROR,))
    given = {
        **bare.settings,
        "COMPOSE_PROFILES": "packages",
        "IRONWAKE_PACKAGES": "on",
        "IRONWAKE_MIRROR": MIRROR,
        "IRONWAKE_PARAMETERS_DIR": str(parameters),
    }
    stack = Stack(bare.rack, bare.engine, bare.name, given)
    server = [
        sys.executable,
        "-m",
        "http.server",
        "--bind",
        BR0,
        "--directory",
        str(folder),
        str(PORT),
    ]
    mirror = bare.rack.popen(server, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        media = ("run", "--rm", "-T", "-v", f"{folder}/bundle:/bundle", "--entrypoint", "ironwake")
        said = stack.compose(*media, "media", "bundle", "import", "/bundle/site.iwb", "--json")
        stack.up()
        yield Site(stack, mirror, parameters, json.loads(said.stdout))
    finally:
        mirror.kill()
        mirror.wait()


def test_what_a_bundle_brought_is_served(site: Site) -> None:
    """The importer was the first to have the volume, as root: the cache works in it all the same,
    and the site's parameters are in the person's own folder."""
    assert (site.imported["mirrors"], site.imported["parameters"]) == (
        ["debian"],
        ["groups/database.yaml"],
    )
    assert site.get(IMPORTED) == b"as of the bundle"
    there = site.parameters / "groups/database.yaml"
    assert there.read_text() == "match: {role: database}\n"


def test_machines_are_told_of_it(site: Site) -> None:
    """The controller, in its own container, knows where it is."""
    assert site.stack.api("GET", "/v1/site")["package_cache"] == CACHE


def test_it_is_a_small_container(site: Site) -> None:
    """Uid 10001 for good, nginx and its workers too, and no capability."""
    pid = site.stack.inspect("packages")["State"]["Pid"]
    master = _child(pid, "nginx")
    for one in (pid, master, _child(master, "nginx")):
        status = Path(f"/proc/{one}/status").read_text(encoding="ascii")
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert set(fields["Uid"].split()) | set(fields["Gid"].split()) == {"10001"}
        assert int(fields["CapEff"], 16) == int(fields["CapPrm"], 16) == 0


def _child(pid: int, name: str) -> int:
    there = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return next(int(one) for one in there if Path(f"/proc/{one}/comm").read_text().strip() == name)


def test_what_cannot_be_built_there_comes_in_a_bundle(site: Site) -> None:
    """FAI wants mounts, and the container for media may not: said before anything is fetched."""
    run = ("run", "--rm", "-T", "media", "add", "fai-debian-12")
    said = site.stack.compose(*run, check=False)
    assert (said.returncode, said.stdout) == (4, "")
    assert "the container for media may not; run on a host, as root: ironwake" in said.stderr
    assert "loaders" not in said.stderr


def test_it_outlives_the_mirror_and_its_own_restart(site: Site) -> None:
    """What was fetched once is there without the mirror, and in a new container."""
    whole = b"a package" * 1000
    until(lambda: site.get(FETCHED) == whole)
    site.mirror.kill()
    site.mirror.wait()
    assert site.get(FETCHED) == whole
    site.stack.compose("up", "-d", "--wait", "--no-build", "--force-recreate", "packages")
    assert site.get(FETCHED) == whole
    status = ("exec", "-T", "packages", "ironwake", "cache", "status", "--json")
    said = site.stack.compose(*status).stdout
    row = json.loads(said)["sources"]["debian"]
    assert (row["files"], row["fetched"]) == (1, len(whole))
