"""A Docker engine of our own for tests: it shares nothing with one that runs already.

Images are built while it stands in the host's namespace (the package index must be reachable);
containers run while it stands in a rack's namespace, which has no uplink: so no DHCP packet of an
unmodified compose.yaml with `network_mode: host` can get out. Nothing is pulled: the base image is
made with mmdebstrap under the tag that the Dockerfile names.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ironwake_testing import packages

BASE = "python:3.13-slim-trixie"
_BASE_RECIPE = (
    "mmdebstrap",
    "--quiet",
    "--variant=minbase",
    "--include=ca-certificates,python3-minimal,libpython3-stdlib,python3-venv",
    # Whatever certificates this host trusts to reach its package index.
    "--customize-hook=copy-in /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "trixie",
)
_START_SECONDS = 120.0
_BETWEEN_LOOKS = 0.2


class Engine:
    """`cache` keeps images and the compose plugin between runs; `runtime` is this run's own."""

    def __init__(self, cache: Path, runtime: Path) -> None:
        self._cache = cache
        self._runtime = runtime
        # A unix socket's path is at most 107 bytes long, and pytest's folders are deep.
        self._socket = Path("/run") / f"iw-docker-{secrets.token_hex(4)}.sock"

    @property
    def environment(self) -> dict[str, str]:
        outside = {
            k: v for k, v in os.environ.items() if not k.startswith(("DOCKER_", "IRONWAKE_"))
        }
        return {
            **outside,
            "DOCKER_HOST": f"unix://{self._socket}",
            "DOCKER_CONFIG": str(self._cache / "config"),
            "DOCKER_BUILDKIT": "1",
        }

    def docker(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run Debian's `docker …`; raises with its output when it fails, unless `check=False`."""
        check = options.pop("check", True)
        environment = {**self.environment, **options.pop("env", {})}
        done = subprocess.run(
            ["/usr/bin/docker", *words],
            env=environment,
            text=True,
            capture_output=True,
            check=False,
            **options,
        )
        if check and done.returncode:
            told = f"{done.stdout[-8000:]}{done.stderr[-8000:]}"
            raise AssertionError(f"docker {' '.join(words)} failed:\n{told}")
        return done

    @contextlib.contextmanager
    def running(self, namespace: str = "") -> Iterator[None]:
        """The engine, in the host's namespace or the one named; it ends with the block."""
        self._runtime.mkdir(parents=True, exist_ok=True)
        log = self._runtime / "dockerd.log"
        with _bridge(namespace) as network, log.open("ab") as out:
            # nsenter, not `ip netns exec`: that remounts /sys, and dockerd loses its cgroups.
            enter = ["nsenter", f"--net=/run/netns/{namespace}"] if namespace else []
            daemon = subprocess.Popen(
                [*enter, "dockerd", *self._flags(), *network], stdout=out, stderr=out
            )
            try:
                self._wait_ready(daemon, log)
                yield
            finally:
                daemon.terminate()
                try:
                    daemon.wait(60)
                except subprocess.TimeoutExpired:
                    daemon.kill()
                    daemon.wait()
                self._socket.unlink(missing_ok=True)
                # dockerd leaves its handles on namespaces mounted, and nobody could remove them.
                for handle in (self._runtime / "exec" / "netns").glob("*"):
                    subprocess.run(["umount", handle], check=False)

    def _flags(self) -> list[str]:
        return [
            f"--data-root={self._cache / 'data'}",
            f"--exec-root={self._runtime / 'exec'}",
            f"--pidfile={self._runtime / 'dockerd.pid'}",
            f"--host=unix://{self._socket}",
            "--iptables=false",
            "--ip6tables=false",
            "--ip-forward=false",
        ]

    def _wait_ready(self, daemon: subprocess.Popen[bytes], log: Path) -> None:
        end = time.monotonic() + _START_SECONDS
        while self.docker("info", check=False).returncode:
            if daemon.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"dockerd did not start:\n{log.read_text()[-4000:]}")
            time.sleep(_BETWEEN_LOOKS)

    def build(self, project: Path) -> None:
        """The project's images, by its own compose.yaml; layers are kept in the cache."""
        self._install_compose()
        # A run that was killed leaves containers behind, which would start with the engine.
        shutil.rmtree(self._cache / "data" / "containers", ignore_errors=True)
        with self.running():
            self._import_base()
            every = ("--profile", "tools", "--profile", "packages")
            self.docker("compose", *every, "build", cwd=project)
            # What these images replaced, and layers beyond what the next build will want.
            self.docker("image", "prune", "--force")
            self.docker("builder", "prune", "--force", "--keep-storage", "3GB")

    def _import_base(self) -> None:
        recipe = hashlib.sha256("\0".join(_BASE_RECIPE).encode()).hexdigest()[:16]
        tag = f"ironwake-test-base:{recipe}"
        if self.docker("image", "inspect", tag, check=False).returncode:
            tree = self._runtime / "base.tar"
            subprocess.run([*_BASE_RECIPE, tree], check=True)
            self.docker("import", str(tree), tag)
            tree.unlink()
        self.docker("tag", tag, BASE)

    def _install_compose(self) -> None:
        """Debian 13's compose (2.26): Debian 12 has only the dead first line of it."""
        plugin = self._cache / "config" / "cli-plugins" / "docker-compose"
        if plugin.exists():
            return
        member = "usr/libexec/docker/cli-plugins/docker-compose"
        found = packages.take(member, "docker-compose", "trixie", self._runtime / "compose")
        plugin.parent.mkdir(parents=True, exist_ok=True)
        aside = plugin.with_suffix(".new")
        shutil.copy2(found, aside)
        aside.rename(plugin)


@contextlib.contextmanager
def _bridge(namespace: str) -> Iterator[list[str]]:
    """dockerd's network flags. In the host's namespace it gets a bridge of its own.

    Never `--bridge=none` there: that deletes the docker0 of an engine that runs already.
    """
    if namespace:
        yield ["--bridge=none"]
        return
    name = f"iwd{secrets.token_hex(4)}"
    third = secrets.randbelow(254) + 1
    commands: tuple[list[str], ...] = (
        ["ip", "link", "add", name, "type", "bridge"],
        ["ip", "address", "add", f"169.254.{third}.1/24", "dev", name],
        ["ip", "link", "set", name, "up"],
    )
    try:
        for command in commands:
            subprocess.run(command, check=True)
        yield [f"--bridge={name}"]
    finally:
        subprocess.run(["ip", "link", "delete", name], check=False)
