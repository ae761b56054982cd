"""The formats' own judges: what each format's tool says of an answer file, where it is installed.

Tools run as processes of their own, with a bound on their time and nothing of our environment. What
is not installed is said, not passed over: a file that nobody judged was not found right.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import yaml

from ironwake import xmltree
from ironwake.errors import InputError
from ironwake.families.base import Format
from ironwake.release import Release

_SECONDS = 120.0
_LINES, _WIDTH = 20, 300  # of what a tool says
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


def judge(form: Format, content: bytes, release: Release | None = None) -> tuple[Verdict, ...]:
    """What all judges of this format say."""
    verdicts = []
    for name, look in _OWN.get(form, {}).items():
        verdicts.append(Verdict(name, tuple(_shortened(look(content)))))
    # Some files are there only so that nobody asks for them again; their tools expect something.
    for tool in _TOOLS.get(form, ()) if content.strip() else ():
        verdicts.append(_asked(tool, content, release))
    return tuple(verdicts)


@dataclass(frozen=True)
class _Tool:
    """A program; `words` are its arguments, with {file} and {version}.

    It finds fault by its status, or, where `said` is given, by lines that this fits.
    """

    program: str
    words: tuple[str, ...]
    name: str = "answer"
    said: re.Pattern[str] | None = None


_CLOUD_INIT = _Tool("cloud-init", ("schema", "--config-file", "{file}"))
_TOOLS: Mapping[Format, tuple[_Tool, ...]] = {
    Format.PRESEED: (_Tool("debconf-set-selections", ("--checkonly", "{file}")),),
    Format.KICKSTART: (_Tool("ksvalidator", ("--version", "{version}", "{file}")),),
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


def _asked(tool: _Tool, content: bytes, release: Release | None) -> Verdict:
    # Beside our own interpreter, too: pykickstart is a Python package.
    beside = Path(sys.executable).parent / tool.program
    program = shutil.which(tool.program) or (str(beside) if beside.exists() else "")
    if not program:
        return Verdict(tool.program, there=False)
    version = release.options.get("kickstart", "") if release else ""
    if "{version}" in tool.words and not version:
        return Verdict(tool.program, there=False)
    with tempfile.TemporaryDirectory(prefix="ironwake-judge-") as folder:
        file = Path(folder) / tool.name
        file.write_bytes(content)
        words = [word.format(file=file, version=version) for word in tool.words]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": folder}
        try:
            done = subprocess.run(
                [program, *words],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=_SECONDS,
                env=environment,
                cwd=folder,
            )
        except subprocess.TimeoutExpired:
            return Verdict(tool.program, (f"it took more than {_SECONDS:g} seconds",))
        text = (done.stdout + b"\n" + done.stderr).decode("utf-8", "replace")
        lines = [line.strip().replace(str(file), "the file") for line in text.splitlines()]
    found = [line for line in lines if line and (tool.said is None or tool.said.search(line))]
    if done.returncode == 0 and (tool.said is None or not found):
        return Verdict(tool.program)
    return Verdict(tool.program, tuple(_shortened(found or [f"status {done.returncode}"])))


def _shortened(lines: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        if number == _LINES:
            return
        yield line[:_WIDTH]


def _json(content: bytes) -> Iterator[str]:
    try:
        json.loads(content)
    except ValueError as error:
        yield str(error)


def _yaml(content: bytes) -> Iterator[str]:
    try:
        for _ in yaml.safe_load_all(content):
            pass
    except (yaml.YAMLError, UnicodeError) as error:
        yield str(error).replace("\n", " ")


def _cloud_config(content: bytes) -> Iterator[str]:
    """An empty one is fine: it says nothing (cloud-init's own tool will not look at it)."""
    if content.strip() and content.partition(b"\n")[0].strip() != b"#cloud-config":
        yield "its first line is not #cloud-config"
    yield from _yaml(content)


def _autoinstall(content: bytes) -> Iterator[str]:
    yield from _cloud_config(content)
    try:
        found = yaml.safe_load(content)
    except (yaml.YAMLError, UnicodeError):
        return
    inner = found.get("autoinstall") if isinstance(found, dict) else None
    if not isinstance(inner, dict) or inner.get("version") != 1:
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
