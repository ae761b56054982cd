"""Packs the agent: one zip that Python runs, the same bytes from the same sources.

`zipapp` would put the files' times into it, and then every checkout would be another agent.
"""

from __future__ import annotations

import importlib.util
import io
import shutil
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

from ironwake.errors import BrokenError
from ironwake_ramdisk.userland import compile_python

_MAIN = b"import ironwake_agent.__main__\nironwake_agent.__main__.main()\n"
_PACKAGES = ("ironwake", "ironwake_agent")  # pure core and the agent: standard library only
_TEXT_SUFFIXES = (".py", ".json", ".txt", ".j2", ".cfg")


def build_zipapp(target: Path) -> Path:
    """Write the agent of this distribution, as sources, to `target`."""
    members = {"__main__.py": _MAIN}
    for package in _PACKAGES:
        for path in _files(package):
            members[path.relative_to(_home(package).parent).as_posix()] = path.read_bytes()
    target.write_bytes(_zip(sorted(members.items())))
    return target


def precompile(zipapp: Path, bench: Path) -> bytes:
    """Add to a zipapp what the bench's Python makes of its sources, so that no boot compiles them.

    :param bench: a tree with a Python of the version that will run it
    """
    with tempfile.TemporaryDirectory(dir=bench) as folder:
        with zipfile.ZipFile(zipapp) as archive:
            archive.extractall(folder)
        compile_python(bench, f"/{Path(folder).name}", "/ironwake/agent.pyz", optimize=0)
        for cache in Path(folder).rglob("__pycache__"):
            shutil.rmtree(cache)
        files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        return _zip((path.relative_to(folder).as_posix(), path.read_bytes()) for path in files)


def _home(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise BrokenError(f"the package {package} is not installed", "install Ironwake whole")
    return Path(spec.origin).parent


def _files(package: str) -> list[Path]:
    return sorted(p for p in _home(package).rglob("*") if p.suffix in _TEXT_SUFFIXES)


def _zip(members: Iterable[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    # Stored, not deflated: the initramfs round it costs more than the bytes, and loading is faster.
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)
    return buffer.getvalue()
