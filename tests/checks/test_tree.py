"""Habits that every file keeps."""

from __future__ import annotations

import ipaddress
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from ironwake_testing.tree import ROOT, python, read

PROJECT: dict[str, Any] = tomllib.loads(read("pyproject.toml"))
# Top-level domains of RFC 2606 and RFC 6761, and the one set aside for private use.
_OURS = {"example", "test", "invalid", "localhost", "internal"}
_NOTATION = {"yaml.org", "toml.io"}  # where a person reads how a notation is written
# Of XML: names that nobody ever asks for.
_NAMESPACES = {"www.suse.com", "schemas.microsoft.com"}
_SETUP = (
    "Makefile",
    "Dockerfile",
    "compose.yaml",
    "pyproject.toml",
    ".env.example",
    "tools/setup",
    "tools/install",
)
FILES = (
    *python(),
    *python("tests"),
    *(ROOT / name for name in _SETUP),
    *sorted((ROOT / "ansible").rglob("*.yml")),
    *sorted((ROOT / "docs").glob("*.md")),
)


def _is_ours(host: str) -> bool:
    labels = host.split(".")
    if len(labels) == 1 or labels[-1] in _OURS or host in _NOTATION | _NAMESPACES:
        return True  # a word of the text around it, or a name that leads nowhere
    try:
        address = ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return not address.is_global


def _foreign(text: str) -> list[str]:
    """Hosts of URLs that lead out into the world; a host that is put in later is none."""
    hosts = re.findall(r"https?://(?:[^/\s@]*@)?([A-Za-z0-9.-]*[A-Za-z0-9])(?=[^\w.{-]|$)", text)
    return [host for host in hosts if not _is_ours(host.lower())]


def test_no_file_names_a_host_of_the_world() -> None:
    """Mirrors and registries are settings: none of them is built in."""
    wrong = {str(path): _foreign(path.read_text(encoding="utf-8")) for path in FILES}
    assert {path: hosts for path, hosts in wrong.items() if hosts} == {}


def test_the_check_finds_a_host_of_the_world() -> None:
    """It would see one, and leaves addresses and names of examples alone."""
    scheme = "http:" + "//"
    assert _foreign(f"{scheme}some.mirror.org/debian") == ["some.mirror.org"]
    assert _foreign(f"{scheme}8.8.8.8:80/") == ["8.8.8.8"]
    for fine in ("mirror.example/x", "127.0.0.1:8080", "10.77.0.2/", "{host}/x", "unused"):
        assert _foreign(scheme + fine) == []


def _sleeps(text: str) -> list[str]:
    """Lines that sleep; `sleep(0)` only lets others run."""
    lines = [line for line in text.splitlines() if re.search(r"\b(time|asyncio)\.sleep\(", line)]
    return [line for line in lines if "sleep(0)" not in line]


def test_no_test_sleeps() -> None:
    """A test waits for what it wants to see, never for time. Slowness as input says so."""
    kept = [
        path for path in python("tests") if "support" not in path.parts and path != Path(__file__)
    ]
    found = {str(path): _sleeps(path.read_text(encoding="utf-8")) for path in kept}
    wordless = {path: [one for one in lines if "  # " not in one] for path, lines in found.items()}
    assert {path: lines for path, lines in wordless.items() if lines} == {}


def test_the_wheel_has_every_package() -> None:
    """A folder with an `__init__.py` that is no part of another package is in the wheel."""
    packages = {
        str(path.parent.relative_to(ROOT))
        for path in python()
        if path.name == "__init__.py" and not (path.parents[1] / "__init__.py").exists()
    }
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert set(wheel["only-include"]) == packages
    names = {Path(package).name for package in packages}
    assert set(PROJECT["tool"]["importlinter"]["root_packages"]) == names
    # Benchmarks are run from a checkout, and never shipped.
    folders = {str(Path(package).parent) for package in packages} | {"bench"}
    assert set(PROJECT["tool"]["hatch"]["build"]["dev-mode-dirs"]) == folders


def test_every_constraint_has_hashes_and_none_a_url() -> None:
    """Whatever is installed is what was resolved, wherever it comes from."""
    text = read("constraints.txt")
    assert "://" not in text
    wanted = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(wanted) > 50
    for entry in wanted:
        assert re.match(r"[A-Za-z0-9._-]+==\S+", entry), entry[:60]
        assert "--hash=sha256:" in entry, entry[:60]


@pytest.mark.parametrize("extra", ["", *PROJECT["project"]["optional-dependencies"]])
def test_every_dependency_is_constrained(extra: str) -> None:
    """No version is left to chance."""
    project = PROJECT["project"]
    lines = project["optional-dependencies"][extra] if extra else project["dependencies"]
    names = {re.split(r"[^A-Za-z0-9._-]", line)[0].lower().replace("_", "-") for line in lines}
    pinned = set(re.findall(r"^([A-Za-z0-9._-]+)==", read("constraints.txt"), re.MULTILINE))
    assert names - {"ironwake"} <= pinned


def test_packages_of_the_distribution_are_named_once() -> None:
    """tools/packages is one package a line, each as apt names it, and the reason above it."""
    lines = read("tools", "packages").splitlines()
    names = [line for line in lines if not line.startswith("#")]
    assert lines[0].startswith("# ")
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", name) for name in names)
    assert len(set(names)) == len(names)


def test_no_module_has_a_name_that_means_nothing() -> None:
    """What fits no name is a missing noun."""
    vague = {"utils", "util", "helpers", "common", "models", "misc"}
    assert [path for path in python() if path.stem in vague or vague & set(path.parts)] == []
