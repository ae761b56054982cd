"""A private apt: resolves and downloads packages of any Debian release, beside the host's own.

It has its own sources, lists, cache and list of installed packages, so it neither reads nor changes
what the host has installed. The distribution's signatures are checked by apt itself
(`signed-by` the Debian archive keyring; Debian 12's verifies Debian 13 too). Of the host's apt
configuration only `Acquire::` is taken over: that is where people set proxies.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Sequence
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import unquote

from ironwake.errors import BrokenError
from ironwake_runtime.aptsources import Mirror, MirrorError

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_QUOTED = '\\|{}[]<>"^~_=!@#$%&*'
_DOWNLOAD_TIMEOUT = 1800.0  # seconds; a kernel over a slow line


class AptError(BrokenError):
    """apt refused: unknown package, bad signature, conflict."""


def host_architecture() -> str:
    """Debian's name for what this host's own packages are made for, such as "amd64"."""
    command = ["dpkg", "--print-architecture"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        raise AptError("dpkg is not on this host", "build on a Debian") from error
    return done.stdout.strip()


class AptRoot:
    """One release and architecture as apt sees it.

    :param directory: where its state lives; may be kept between runs, then updates are short
    :param suite: release codename, e.g. "trixie"
    :param architecture: Debian's name, e.g. "amd64"; need not be the host's, for nothing of it runs
    :param installed: what the system has that packages are for, as dpkg's list says it
    """

    def __init__(
        self,
        directory: Path,
        suite: str,
        mirror: Mirror,
        architecture: str = "amd64",
        keyring: Path = KEYRING,
        installed: str = "",
    ) -> None:
        self.directory = directory
        self.suite = suite
        self.mirror = mirror
        self.architecture = architecture
        self.keyring = keyring
        self._installed = installed

    def source_lines(self) -> tuple[str, ...]:
        """Give the `sources.list` lines of this release."""
        options = f"[arch={self.architecture} signed-by={self.keyring}]"
        lines = [f"deb {options} {self.mirror.main} {self.suite} main"]
        if self.mirror.security:
            lines.append(f"deb {options} {self.mirror.security} {self.suite}-security main")
        return tuple(lines)

    def update(self) -> None:
        """Fetch and verify the package lists.

        :raises MirrorError: when the mirror does not answer or a signature is wrong
        """
        self._write_configuration()
        # apt-get says "W:" and exits 0 when it falls back to old lists; we want to know.
        command = ["apt-get", "update", "-q", "--error-on=any"]
        done = self._run(command)
        if done.returncode != 0:
            raise MirrorError(
                f"cannot read the package lists of {self.suite}: {_complaint(done)}",
                "check the network, the proxy and IRONWAKE_MIRROR",
                self.mirror.main,
            )

    def resolve(self, packages: Iterable[str], *, dependencies: bool = True) -> dict[str, str]:
        """Give {package: version} that would be installed, no recommends; by default, on nothing.

        :param dependencies: False gives exactly the named packages, each at its newest version
        :raises AptError: for a package that does not exist or a set that cannot go together
        """
        names = sorted(set(packages))
        if not dependencies:
            return self._candidates(names)
        done = self._run(["apt-get", "install", "-s", "-q", "--no-install-recommends", *names])
        if done.returncode != 0:
            raise AptError(
                f"apt cannot resolve {' '.join(names)} in {self.suite}: {_complaint(done)}"
            )
        return dict(re.findall(r"^Inst (\S+) (?:\[\S+\] )?\((\S+) ", done.stdout, re.MULTILINE))

    def places(self, packages: Iterable[str]) -> dict[str, str]:
        """Give {package's file as `download` names it: its URL} of what `resolve` gives.

        :raises AptError: as of `resolve`
        """
        names = sorted(set(packages))
        command = ["apt-get", "install", "-y", "-qq", "--print-uris", "--no-install-recommends"]
        done = self._run([*command, *names])
        if done.returncode != 0:
            raise AptError(
                f"apt cannot tell where {' '.join(names)} is in {self.suite}: {_complaint(done)}"
            )
        rows = re.findall(r"^'(\S+)' (\S+) \d+", done.stdout, re.MULTILINE)
        return {name: unquote(url) for url, name in rows}

    def signed(self) -> dict[str, bytes]:
        """Give {URL: the InRelease there}, as they were fetched and verified by `update`."""
        found = {}
        for line in self.source_lines():
            base, suite = line.rpartition("] ")[2].split()[:2]
            url = f"{base}/dists/{suite}/InRelease"
            path = self.directory / "lists" / _list_name(url)
            if not path.is_file():
                raise AptError(f"there is no {url} among apt's lists", "", str(path))
            found[url] = path.read_bytes()
        return found

    def _candidates(self, names: Sequence[str]) -> dict[str, str]:
        done = self._run(["apt-cache", "show", "--no-all-versions", *names])
        found = {}
        for stanza in done.stdout.split("\n\n"):
            fields = dict(re.findall(r"^(Package|Version): (\S+)$", stanza, re.MULTILINE))
            if fields:
                found[fields["Package"]] = fields["Version"]
        missing = [name for name in names if name not in found]
        if missing:
            raise AptError(
                f"{self.suite} on {self.mirror.main} has no package {', '.join(missing)}"
            )
        return {name: found[name] for name in names}

    def dependency(self, package: str, pattern: str) -> str:
        """Give the one direct dependency of a package whose name matches the pattern.

        For meta packages: linux-image-amd64 depends on the kernel of the day.
        """
        done = self._run(["apt-cache", "show", "--no-all-versions", package])
        depends = re.search(r"^Depends: (.*)$", done.stdout, re.MULTILINE)
        names = re.findall(r"(?:^|[,|])\s*([a-z0-9][a-z0-9.+-]*)", depends[1] if depends else "")
        matching = [name for name in names if re.fullmatch(pattern, name)]
        if len(matching) != 1:
            raise AptError(f"{package} in {self.suite} depends on no single {pattern!r}: {names}")
        return str(matching[0])

    def download(self, versions: dict[str, str], directory: Path) -> tuple[Path, ...]:
        """Download these versions into a directory; files already there are verified and kept.

        :returns: paths of the .deb files, in the order of the names given
        :raises AptError: when a file cannot be had or its hash is wrong
        """
        directory.mkdir(parents=True, exist_ok=True)
        wanted = [f"{name}={version}" for name, version in versions.items()]
        done = self._run(["apt-get", "download", "-q", *wanted], cwd=directory)
        if done.returncode != 0:
            raise AptError(f"apt cannot download from {self.mirror.main}: {_complaint(done)}")
        return tuple(self._deb(directory, name, version) for name, version in versions.items())

    def _deb(self, directory: Path, name: str, version: str) -> Path:
        # apt writes the epoch's colon as %3a
        stem = f"{name}_{version.replace(':', '%3a')}_"
        for architecture in (self.architecture, "all"):
            path = directory / f"{stem}{architecture}.deb"
            if path.is_file():
                return path
        raise AptError(f"apt downloaded {name} {version}, but {directory}/{stem}*.deb is not there")

    def release_time(self) -> int:
        """Give when the release's own lists were made, in seconds since 1970.

        The date for reproducible builds: it moves with point releases only.
        """
        for path in sorted((self.directory / "lists").glob(f"*_dists_{self.suite}_*Release")):
            found = re.search(r"^Date: (.*)$", path.read_text(errors="replace"), re.MULTILINE)
            if found:
                return int(parsedate_to_datetime(found[1]).timestamp())
        raise AptError(f"the lists of {self.suite} have no date", "run the update first")

    def acquire_options(self) -> tuple[str, ...]:
        """Give the host's own `Acquire::` configuration as lines of apt.conf(5)."""
        done = subprocess.run(
            ["apt-config", "dump", "Acquire"],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
        return tuple(line for line in done.stdout.splitlines() if line.startswith("Acquire::"))

    def _write_configuration(self) -> None:
        root = self.directory
        for folder in ("lists/partial", "cache/archives/partial"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        (root / "status").write_text(self._installed)
        (root / "sources.list").write_text("".join(f"{line}\n" for line in self.source_lines()))
        own = {
            "APT::Architecture": self.architecture,
            "APT::Sandbox::User": "root",  # _apt cannot read folders of ours
            "APT::Install-Recommends": "false",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
            "Dir::Etc::Main": "/dev/null",
            "Dir::Etc::Parts": "/dev/null",
            "Dir::Etc::SourceList": f"{root}/sources.list",
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::Etc::Preferences": "/dev/null",
            "Dir::Etc::PreferencesParts": "/dev/null",
            "Dir::State": f"{root}",
            "Dir::State::Lists": f"{root}/lists",
            "Dir::State::status": f"{root}/status",
            "Dir::Cache": f"{root}/cache",
            "Dir::Cache::archives": f"{root}/cache/archives",
        }
        lines = [
            *self.acquire_options(),
            f'APT::Architectures {{ "{self.architecture}"; }};',
            *(f'{key} "{value}";' for key, value in own.items()),
        ]
        (root / "apt.conf").write_text("".join(f"{line}\n" for line in lines))

    def _run(
        self, command: Sequence[str], cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "LC_ALL": "C",
            "DEBIAN_FRONTEND": "noninteractive",
            "APT_CONFIG": f"{self.directory}/apt.conf",
        }
        try:
            return subprocess.run(
                command,
                capture_output=True,
                text=True,
                check=False,
                env=environment,
                cwd=cwd or self.directory,
                timeout=_DOWNLOAD_TIMEOUT,
            )
        except FileNotFoundError as error:
            raise AptError(f"{command[0]} is not on this host", "build on a Debian") from error


def _list_name(url: str) -> str:
    """As apt calls a list (URItoFileName in its strutl.cc)."""
    name = "".join(
        f"%{ord(char):02x}" if char in _QUOTED else char for char in url.partition("://")[2]
    )
    return name.replace("/", "_")


def _complaint(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in done.stderr.splitlines() if line.startswith(("E:", "Err:"))]
    return "; ".join(line.removeprefix("E: ") for line in lines[:3]) or done.stderr.strip()[-300:]
