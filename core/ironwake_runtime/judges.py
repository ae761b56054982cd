"""The formats' own judges: what each format's tool says of an answer file, where it is installed.

Whoever wrote the file need not be whoever looks at it. Tools run as processes of their own, within
limits and with nothing of our environment, and are shown nothing that would have them read more
than the file. What is not installed is said, not passed over: a file that nobody judged was not
found right.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import yaml

from ironwake import xmltree
from ironwake.errors import InputError
from ironwake.families.base import Format
from ironwake.release import Release
from ironwake_runtime import confined, yamlfile

_LINES, _WIDTH = 20, 300  # of what a tool says
_PAIRS = 100_000  # of YAML's mappings, merged into others
_HEADER = b"#cloud-config"
_NAMESPACES = {
    Format.AUTOYAST: "http://www.suse.com/1.0/yast2ns",
    Format.UNATTEND: "urn:schemas-microsoft-com:unattend",
}


@dataclass(frozen=True)
class Verdict:
    """What one judge says of a file; `there` is False where it is not installed."""

    judge: str
    complaints: tuple[str, ...] = ()
    there: bool = True


def judge(
    form: Format,
    content: bytes,
    release: Release | None = None,
    limits: confined.Limits | None = None,
) -> tuple[Verdict, ...]:
    """What all judges of this format say."""
    verdicts = []
    for name, look in _OWN.get(form, {}).items():
        verdicts.append(Verdict(name, tuple(_shortened(look(content)))))
    # Some files are there only so that nobody asks for them again; their tools expect something.
    for tool in _TOOLS.get(form, ()) if content.strip() else ():
        verdicts.append(_asked(tool, content, release, limits or confined.Limits()))
    return tuple(verdicts)


def _as_it_is(content: bytes) -> bytes:
    return content


def _alone(content: bytes) -> bytes:
    """A kickstart that brings in no other file: ksvalidator would read it, of this host's or by
    HTTP, and quote what it finds wrong there. (It does not follow %include unless it is told to.)
    """
    return content.replace(b"%ksappend", b"#ksappend")


def _cloud_config_only(content: bytes) -> bytes | None:
    """By its first line cloud-init may take a file for a jinja2 template, and run what it says."""
    return content if content.partition(b"\n")[0].strip() == _HEADER else None


@dataclass(frozen=True)
class _Tool:
    """A program; `words` are its arguments, with {file} and {version}.

    It finds fault by its status, or, where `said` is given, by lines that this fits. `shown`: what
    it is given of a file; None for nothing at all.
    """

    program: str
    words: tuple[str, ...]
    name: str = "answer"
    said: re.Pattern[str] | None = None
    shown: Callable[[bytes], bytes | None] = _as_it_is


_CLOUD_INIT = _Tool("cloud-init", ("schema", "--config-file", "{file}"), shown=_cloud_config_only)
_TOOLS: Mapping[Format, tuple[_Tool, ...]] = {
    Format.PRESEED: (_Tool("debconf-set-selections", ("--checkonly", "{file}")),),
    Format.KICKSTART: (_Tool("ksvalidator", ("--version", "{version}", "{file}"), shown=_alone),),
    Format.CLOUD_CONFIG: (_CLOUD_INIT,),
    Format.AUTOINSTALL: (_CLOUD_INIT,),
    # It ends well in spite of a key that it does not know, and only warns.
    Format.IGNITION: (
        _Tool("ignition-validate", ("{file}",), said=re.compile(r"^(?:warning|error)\b")),
    ),
    Format.SHELL: (_Tool("sh", ("-n", "{file}")),),
    Format.XML: (_Tool("xmllint", ("--noout", "--nonet", "{file}")),),
    Format.AUTOYAST: (_Tool("xmllint", ("--noout", "--nonet", "{file}")),),
    Format.UNATTEND: (_Tool("xmllint", ("--noout", "--nonet", "{file}")),),
}


def _asked(
    tool: _Tool, content: bytes, release: Release | None, limits: confined.Limits
) -> Verdict:
    # Beside our own interpreter, too: pykickstart is a Python package.
    beside = Path(sys.executable).parent / tool.program
    program = shutil.which(tool.program) or (str(beside) if beside.exists() else "")
    if not program:
        return Verdict(tool.program, there=False)
    version = release.options.get("kickstart", "") if release else ""
    if "{version}" in tool.words and not version:
        return Verdict(tool.program, there=False)
    shown = tool.shown(content)
    if shown is None:
        return Verdict(tool.program, ("it was not asked: it takes this for something else",))
    with tempfile.TemporaryDirectory(prefix="ironwake-judge-") as folder:
        file = Path(folder) / tool.name
        file.write_bytes(shown)
        words = [word.format(file=file, version=version) for word in tool.words]
        status, text = confined.run([program, *words], Path(folder), limits)
        lines = [line.strip().replace(str(file), "the file") for line in text.splitlines()]
    if status < 0:
        why = "it took more time, memory or room than a judge is given, or broke"
        return Verdict(tool.program, (f"it did not come to an end: {why}",))
    found = [line for line in lines if line and (tool.said is None or tool.said.search(line))]
    if status == 0 and (tool.said is None or not found):
        return Verdict(tool.program)
    return Verdict(tool.program, tuple(_shortened(found or [f"status {status}"])))


def _shortened(lines: Iterable[str]) -> Iterator[str]:
    """A few, each on one line, without what a terminal would obey."""
    for number, line in enumerate(lines):
        if number == _LINES:
            return
        plain = "".join(mark if mark.isprintable() else " " for mark in line[:_WIDTH])
        yield " ".join(plain.split())


def _json(content: bytes) -> Iterator[str]:
    try:
        json.loads(content)
    except (ValueError, RecursionError) as error:
        yield _words(error)


def _words(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "its parts stand too deep in each other"
    return str(error) or type(error).__name__


class _Loader(yaml.SafeLoader):
    """Merges (`<<`) copy what they name: of merges of merges, 400 bytes fill any memory."""

    merged = 0

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """As ever, but not more pairs than a person writes."""
        for key, value in node.value:
            if key.tag != "tag:yaml.org,2002:merge":
                continue
            for one in value.value if isinstance(value, yaml.SequenceNode) else (value,):
                if isinstance(one, yaml.MappingNode):
                    self.flatten_mapping(one)
                    self.merged += len(one.value)
                if self.merged > _PAIRS:
                    raise yaml.YAMLError(f"it merges more than {_PAIRS} pairs")
        super().flatten_mapping(node)


def _documents(content: bytes) -> list[Any]:
    return list(yaml.load_all(content, _Loader))


def _yaml(content: bytes) -> Iterator[str]:
    try:
        _documents(content)
    except yamlfile.FAULTS as error:
        yield _words(error)


def _cloud_config(content: bytes) -> Iterator[str]:
    """An empty one is fine: it says nothing (cloud-init's own tool will not look at it)."""
    if content.strip() and _cloud_config_only(content) is None:
        yield "its first line is not #cloud-config"
    yield from _yaml(content)


def _autoinstall(content: bytes) -> Iterator[str]:
    yield from _cloud_config(content)
    try:
        (found,) = _documents(content)
        version = found["autoinstall"]["version"]
    except yamlfile.FAULTS:
        version = None
    if version != 1:
        yield "it has no autoinstall of version 1"


def _xml(content: bytes) -> Iterator[str]:
    try:
        xmltree.parse(content)
    except InputError as error:
        yield str(error)


def _of_namespace(wanted: str) -> Callable[[bytes], Iterator[str]]:
    def look(content: bytes) -> Iterator[str]:
        complaints = list(_xml(content))
        if complaints:
            yield from complaints
            return
        root = ElementTree.fromstring(content).tag  # noqa: S314 (without a document type: looked)
        if not root.startswith(f"{{{wanted}}}"):
            yield f"its root is not of the namespace {wanted}"

    return look


def _tar(content: bytes) -> Iterator[str]:
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            archive.getmembers()
    except (tarfile.TarError, OSError, EOFError) as error:
        yield str(error)


_OWN: Mapping[Format, Mapping[str, Callable[[bytes], Iterable[str]]]] = {
    Format.CLOUD_CONFIG: {"first line, YAML": _cloud_config},
    Format.AUTOINSTALL: {"first line, YAML, version": _autoinstall},
    Format.META_DATA: {"YAML": _yaml},
    Format.NETWORK_CONFIG: {"YAML": _yaml},
    Format.YAML: {"YAML": _yaml},
    Format.JSON: {"JSON": _json},
    Format.IGNITION: {"JSON": _json},
    Format.XML: {"XML": _xml},
    **{form: {"XML, namespace": _of_namespace(name)} for form, name in _NAMESPACES.items()},
    Format.TAR: {"tar": _tar},
}
