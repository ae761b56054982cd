"""`ironwake serve` and `ironwake cache`: the package cache as people run it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ironwake.errors import InputError
from ironwake.nginx import SLICE
from ironwake_runtime import packagecache
from ironwake_runtime.settings import read
from ironwake_testing.mirror import Mirror, mirror
from ironwake_testing.packagecache import folder, until
from ironwake_testing.serve import Serve, on_loopback

DEB = "/debian/pool/tree.deb"
_PATIENCE = 120.0


@pytest.fixture
def there() -> Iterator[Mirror]:
    with mirror(files={DEB: os.urandom(100_000)}) as found:
        yield found


@pytest.fixture
def environ(tmp_path: Path, there: Mirror) -> Iterator[dict[str, str]]:
    """Settings of an appliance on loopback, with a package cache."""
    with folder() as place:
        yield {
            **on_loopback(tmp_path / "state"),
            "IRONWAKE_PACKAGES": "on",
            "IRONWAKE_PACKAGES_DIR": str(place / "packages"),
            "IRONWAKE_MIRROR": f"{there.url}/debian",
        }


def curl(environ: dict[str, str], path: str) -> bytes:
    """What a machine gets; nothing while it is away."""
    url = f"http://127.0.0.1:{environ['IRONWAKE_PACKAGES_PORT']}/packages{path}"
    words = ["curl", "-fsS", "--max-time", "30", url]
    return subprocess.run(words, capture_output=True, check=False).stdout


def cli(environ: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    outside = {key: value for key, value in os.environ.items() if not key.startswith("IRONWAKE_")}
    return subprocess.run(
        [sys.executable, "-m", "ironwake_cli", *words],
        env={**outside, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_lives_on(environ: dict[str, str], there: Mirror, tmp_path: Path) -> None:
    """Killed, with the mirror away: it is back with what it had; its counts and files are told,
    and the API tells machines of it."""
    serve = Serve(tmp_path / "state", environ)
    try:
        serve.wait_line(r"listening .*mirrors=\['debian', 'debian-security'\].*service=packages")
        until(lambda: curl(environ, DEB) == there.files[DEB])
        there.stop()
        place = Path(environ["IRONWAKE_PACKAGES_DIR"])
        os.kill(int((place / "nginx.pid").read_text()), signal.SIGKILL)
        serve.wait_line(r"died +child=packages how='exit status 5'")
        until(lambda: curl(environ, DEB) == there.files[DEB])

        token = (tmp_path / "state/secrets/admin.token").read_text().strip()
        words = ["curl", "-fsS", "-H", f"Authorization: Bearer {token}"]
        site = subprocess.run(
            [*words, f"{environ['IRONWAKE_CONTROLLER_URL']}/v1/site"], capture_output=True
        )
        port = environ["IRONWAKE_PACKAGES_PORT"]
        assert json.loads(site.stdout)["package_cache"] == f"http://127.0.0.1:{port}"

        def row() -> dict[str, int]:
            done = cli(environ, "cache", "status", "--json")
            found: dict[str, int] = json.loads(done.stdout)["sources"]["debian"]
            return found

        until(lambda: row()["hits"] >= 1)
        assert (row()["misses"], row()["files"]) == (1, 1)
        assert "debian " in cli(environ, "cache", "status").stdout
        assert json.loads(cli(environ, "cache", "clean", "--json").stdout)["freed"] > 100_000
        assert row()["files"] == 0
        assert curl(environ, DEB) == b""
        there.start()
        until(lambda: curl(environ, DEB) == there.files[DEB])
        _one_path_goes(environ, there)
        serve.process.send_signal(signal.SIGTERM)
        assert serve.process.wait(_PATIENCE) == 0
    finally:
        serve.process.kill()
        serve.process.communicate(timeout=_PATIENCE)


def _one_path_goes(environ: dict[str, str], there: Mirror) -> None:
    """`--path` takes away that one, and no sibling whose name begins so; again is no error."""
    large = "/debian/dists/x/by-hash/SHA256/" + "0" * 64
    there.files |= {"/debian/dists/x/InRelease": b"x", "/debian/dists/x-y/InRelease": b"y"}
    there.files[large] = os.urandom(SLICE + 1)
    for path in (large, "/debian/dists/x/InRelease", "/debian/dists/x-y/InRelease"):
        assert curl(environ, path) == there.files[path]

    def clean(path: str) -> tuple[int, bool]:
        done = cli(environ, "cache", "clean", "--path", path, "--json")
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        return told["files"], told["freed"] > 0

    assert clean("debian/dists/x") == (3, True)  # two of them are slices of one
    assert clean("debian/dists/x") == (0, False)
    assert "nothing of that is there" in cli(environ, "cache", "clean", "--path", "debian/y").stdout
    url = f"http://127.0.0.1:{environ['IRONWAKE_PACKAGES_PORT']}/packages/debian/dists/x-y/"
    assert clean(url) == (1, True)
    assert clean("debian") == (1, True)
    for words, said in (
        (("--path", "debain/dists"), "there is no mirror 'debain'; there are: debian"),
        (("--path", "debian/x", "--imported"), "--path names its mirror itself"),
        (("--path", "http://a"), "names no mirror"),
    ):
        done = cli(environ, "cache", "clean", *words)
        assert done.returncode in (2, 3)
        assert said in done.stderr


def test_nginx_is_not_there() -> None:
    """Demanded, it is missed in words; left to us, machines ask the mirrors themselves."""
    with pytest.raises(InputError, match="nginx is not installed") as told:
        packagecache.is_ours(read({"IRONWAKE_PACKAGES": "on"}), lambda: None)
    assert "install nginx from the distribution" in str(told.value)
    assert not packagecache.is_ours(read({}), lambda: None)
    assert packagecache.is_ours(read({}), lambda: "/usr/sbin/nginx")
    assert not packagecache.is_ours(read({"IRONWAKE_PACKAGES": "off"}), lambda: "/usr/sbin/nginx")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("MIRRORS", "rocky", "no NAME=URL"),
        ("MIRRORS", "rocky=ftp://mirror.example/x", "is no mirror"),
        ("MIRRORS", "a;b=http://mirror.example/x", "is no name for a mirror"),
        ("SIZE", "much", "is no number of bytes"),
        ("HOSTS", "a b", "is no host"),
        ("HOSTS", "a..b", "is no host"),
        ("HOSTS", "a" * 64, "is no host"),
        ("MIRRORS", "rocky=http://a..example/x", "is no mirror"),
    ],
)
def test_a_wrong_setting_is_named(
    environ: dict[str, str], name: str, value: str, said: str
) -> None:
    """Before anything is started, with what it should be."""
    done = cli({**environ, f"IRONWAKE_PACKAGES_{name}": value}, "serve")
    assert done.returncode == 2
    assert said in done.stderr
    assert f"IRONWAKE_PACKAGES_{name}" in done.stderr


def test_an_unknown_mirror_is_not_cleaned(environ: dict[str, str]) -> None:
    """A mistyped name empties nothing, and those that there are are told."""
    done = cli(environ, "cache", "clean", "--source", "debain")
    assert done.returncode == 3
    assert "there are: debian" in done.stderr
