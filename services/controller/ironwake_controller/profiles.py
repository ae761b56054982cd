"""Profiles: YAML files that people keep in git, read anew whenever they change.

The file's stem is the profile's name, the SHA-256 of its bytes its revision. A wrong file is shown
with file and line, and hides no other.
"""

from __future__ import annotations

import hashlib
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ironwake import wire
from ironwake.errors import InputError, IronwakeError, UnknownError
from ironwake.profile import Profile

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
    """The files of one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
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
        return known if known and known[0] == stamp else (stamp, _read(path))


def _read(path: Path) -> Found:
    raw = b""
    try:
        if path.stat().st_size > _LARGEST:
            raise InputError(f"a profile has at most {_LARGEST} bytes", "make it shorter")
        raw = path.read_bytes()
        revision = hashlib.sha256(raw).hexdigest()
        if path.suffix != ".yaml":
            raise InputError("a profile's file ends in .yaml", f"name it {path.stem}.yaml")
        if not _NAME.fullmatch(path.stem):
            raise InputError(
                f"{path.stem!r:.80} is not a profile's name",
                "name the file with lower-case letters, digits, dots, hyphens and underscores",
            )
        return Found(path.stem, revision, parse(raw))
    except OSError as error:
        wrong = InputError(f"it cannot be read: {error.strerror}", "", path.name)
    except InputError as error:
        line, _, field = error.where.partition(" ")
        place = f"{path.name}:{line}" if line.isdigit() else path.name
        what = f"{field}: {error.what}" if field else error.what
        wrong = InputError(what, error.next_step, place)
    return Found(path.stem, hashlib.sha256(raw).hexdigest(), None, wrong)


def parse(raw: bytes) -> Profile:
    """A profile's text. InputError with `where` = "<line> <field>", or "<line>"."""
    try:
        lines, data = _load(raw)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = error.problem or error.context or "this is not YAML"
        place = str(mark.line + 1) if mark else ""
        raise InputError(said, "see https://yaml.org for the notation", place) from None
    except (yaml.YAMLError, UnicodeError, RecursionError, ValueError) as error:
        first = str(error).partition("\n")[0] or type(error).__name__
        raise InputError(f"this is not YAML: {first}") from None
    if data is None:
        raise InputError("the file is empty", "give at least: release: debian-12", "1")
    try:
        return wire.load(Profile, data)
    except IronwakeError as error:
        place = f"{_line(lines, error.where)} {error.where}".strip()
        raise InputError(error.what, error.next_step, place) from None


class _Loader(yaml.SafeLoader):
    """Without aliases (they can make a huge thing of a small file) and without repeated keys."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]  # PyYAML's own
            raise yaml.MarkedYAMLError(
                None, None, "aliases are not taken: write it out", event.start_mark
            )
        return super().compose_node(parent, index)


def _load(raw: bytes) -> tuple[dict[str, int], Any]:
    loader = _Loader(raw)
    try:
        node = loader.get_single_node()
        if node is None:
            return {}, None
        lines: dict[str, int] = {}
        _walk(node, "", lines)
        return lines, loader.construct_document(node)
    finally:
        loader.dispose()


def _walk(node: yaml.Node, path: str, lines: dict[str, int]) -> None:
    """Note the line of every field, by the path that `wire` calls it."""
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _walk(item, f"{path}[{index}]", lines)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            place = f"{path}.{getattr(key, 'value', '')}".lstrip(".")
            if place in lines:
                raise yaml.MarkedYAMLError(None, None, f"{place} is given twice", key.start_mark)
            lines[place] = key.start_mark.line + 1
            _walk(value, place, lines)


def _line(lines: dict[str, int], where: str) -> int:
    """The line of a field; of what holds it, where the field itself is not there."""
    while where and where not in lines:
        where = where[: max(where.rfind("."), where.rfind("["), 0)]
    return lines.get(where, 1)
