"""What a program loads, read from its file instead of asked of a linker."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.errors import BrokenError
from ironwake_ramdisk import elf

PROGRAM = Path(sys.executable).resolve()


@pytest.mark.parametrize("program", [PROGRAM, Path("/bin/sh").resolve()], ids=lambda at: at.name)
def test_the_linker_finds_all_that_the_file_names(program: Path) -> None:
    """Every name that we read is one that the dynamic linker itself loads for that program."""
    environment = {**os.environ, "LC_ALL": "C"}
    listed = subprocess.run(
        ["ldd", program], capture_output=True, text=True, check=True, env=environment
    )
    loaded = set(re.findall(r"^\s+(\S+)", listed.stdout, re.MULTILINE))
    names = {Path(name).name for name in elf.needed(program)}
    assert names
    assert names <= {Path(name).name for name in loaded}


def test_a_library_that_no_package_has_is_named(tmp_path: Path) -> None:
    """The build stops with the name of what lacks, instead of a ramdisk that cannot start."""
    from ironwake_ramdisk import userland

    (tmp_path / "usr/bin").mkdir(parents=True)
    shutil.copyfile(PROGRAM, tmp_path / "usr/bin/tool")
    with pytest.raises(BrokenError, match=r"usr/bin/tool needs .*(ld-|\.so)"):
        userland.libraries(tmp_path, ["usr/bin/tool"])


@given(st.binary(max_size=200), st.integers(0, 200))
def test_damaged_files_are_told_plainly(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, cut: int
) -> None:
    """A file that is no program, or ends too early, gives one plain error."""
    path = tmp_path_factory.mktemp("elf") / "tool"
    path.write_bytes(PROGRAM.read_bytes()[:cut] + noise)
    with pytest.raises(BrokenError, match="no 64-bit ELF file"):
        elf.needed(path)
