"""Profiles: YAML files that people keep in git, read anew whenever they change.

The file's stem is the profile's name, the SHA-256 of its bytes its revision. A wrong file is shown
with file and line, and hides no other.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ironwake import release as releases
from ironwake.errors import InputError, UnknownError
from ironwake.profile import Profile
from ironwake.release import Release
from ironwake_runtime import folders, templates, yamlfile

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}", re.ASCII)
_LARGEST = 64 << 10  # bytes


@dataclass(frozen=True)
class Found:
    """A profile's file. `profile` is None where `error` says what is wrong with it."""

    name: str
    revision: str
    profile: Profile | None
    error: InputError | None = None


class Profiles:
    """The files of one folder.

    :param release: the catalogue's row of that name; InputError where there is none
    """

    def __init__(self, folder: Path, release: Callable[[str], Release] = releases.find) -> None:
        self._folder = folder
        self._release = release
        self._lock = threading.Lock()
        self._read: dict[Path, tuple[tuple[int, int, int], Found]] = {}

    def every(self) -> tuple[Found, ...]:
        """All of them by name, the wrong ones too."""
        with self._lock:
            paths = sorted((*self._folder.glob("*.yaml"), *self._folder.glob("*.yml")))
            self._read = {path: self._look(path) for path in paths if path.is_file()}
            return tuple(found for _, found in self._read.values())

    def get(self, name: str) -> tuple[Profile, str]:
        """A profile and its revision.

        :raises UnknownError: there is none; it names those that there are
        :raises InputError: the file has a mistake
        """
        every = self.every()
        for found in every:
            if found.name == name:
                if found.error is None and found.profile is not None:
                    return found.profile, found.revision
                raise found.error or InputError("this profile cannot be read")
        known = ", ".join(found.name for found in every)
        step = f"known are: {known}" if known else f"put {name[:63]}.yaml into {self._folder}"
        raise UnknownError(f"there is no profile {name!r:.80}", step, "profile")

    def _look(self, path: Path) -> tuple[tuple[int, int, int], Found]:
        stat = path.stat()
        stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        known = self._read.get(path)
        return known if known and known[0] == stamp else (stamp, self._find(path))

    def release(self, profile: Profile) -> Release | None:
        """What it is made of; None for what is made of an image, or installs nothing."""
        return self._release(profile.release) if profile.release else None

    def template(self, name: str) -> str:
        """The text of a template, beside the profiles; InputError where it cannot be read."""
        return templates.read(self._folder, name)

    def _find(self, path: Path) -> Found:
        return _read(path, self.release)


def check_name(path: Path) -> None:
    """InputError where it is not called as a profile's file is."""
    if path.suffix != ".yaml":
        raise InputError("a profile's file ends in .yaml", f"name it {path.stem}.yaml")
    if not _NAME.fullmatch(path.stem):
        raise InputError(
            f"{path.stem!r:.80} is not a profile's name",
            "name the file with lower-case letters, digits, dots, hyphens and underscores",
        )


def _read(path: Path, check: Callable[[Profile], object]) -> Found:
    raw = b""
    try:
        found = folders.own(path, path.parent)
        if found.stat().st_size > _LARGEST:
            raise InputError(f"a profile has at most {_LARGEST} bytes", "make it shorter")
        raw = found.read_bytes()
        revision = hashlib.sha256(raw).hexdigest()
        check_name(path)
        profile = yamlfile.parse(Profile, raw, "release: debian-12", check)
        return Found(path.stem, revision, profile)
    except OSError as error:
        wrong = InputError(f"it cannot be read: {error.strerror}", "", path.name)
    except InputError as error:
        wrong = yamlfile.placed(error, path.name)
    return Found(path.stem, hashlib.sha256(raw).hexdigest(), None, wrong)
