"""Hostile archives at the agent: the real zstd and tar, and a folder beside the target."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings

from ironwake.errors import IronwakeError
from ironwake.order import Archive
from ironwake.rootfs.member import RootError
from ironwake_agent.unpack import unpack
from ironwake_testing.archives import SYSTEM, Entry, entries, tar

MIB = 1 << 20


def packed(plain: bytes) -> bytes:
    return subprocess.run(["zstd", "-q", "-c"], input=plain, stdout=-1, check=True).stdout


def install(plain: bytes, target: Path, unpacked: int = 0) -> None:
    data = packed(plain)
    archive = Archive("http://unused", hashlib.sha256(data).hexdigest(), len(data), unpacked)
    pieces = (data[at : at + 50_000] for at in range(0, len(data), 50_000))
    unpack(archive, pieces, target, lambda _: None)


def owned(*members: Entry) -> bytes:
    return tar(members, owner=os.getuid())


@pytest.mark.parametrize(
    "members",
    [
        (Entry("../out/f"),),
        (Entry("/tmp/iw-never/f"),),
        (Entry("a/../../out/f"),),
        (Entry("l", "sym", "/tmp"), Entry("l/f", data=b"x")),
        (Entry("l", "sym", "../out"), Entry("l/f")),
        (Entry("d", "dir"), Entry("l", "sym", "d"), Entry("l/f")),
        (Entry("h", "hard", "../out/kept"),),
        (Entry("h", "hard", "/etc/passwd"),),
        (Entry("l", "sym", "../out/kept"), Entry("l", data=b"x")),
        (Entry("disk", "block"),),
        (Entry("a", data=b"1"), Entry("a", data=b"2")),
    ],
    ids=lambda members: " ".join(f"{one.kind}:{one.name}" for one in members),
)
def test_a_hostile_member_ends_it_by_its_name(members: tuple[Entry, ...], tmp_path: Path) -> None:
    """Whatever leads out is refused, and the error names the member; nothing is outside."""
    target, out = tmp_path / "target", tmp_path / "out"
    target.mkdir()
    out.mkdir()
    (out / "kept").write_text("as it was")
    with pytest.raises(RootError) as error:
        install(owned(*members), target)
    assert any(f"'{one.name}'" in str(error.value) for one in members)
    assert [path.name for path in out.iterdir()] == ["kept"]
    assert (out / "kept").read_text() == "as it was"


@settings(max_examples=60)
@given(entries())
def test_nothing_lands_outside(members: list[Entry]) -> None:
    """Whatever an archive says, beside the target all stays as it was."""
    with tempfile.TemporaryDirectory() as folder:
        target, out = Path(folder, "target"), Path(folder, "out")
        target.mkdir()
        out.mkdir()
        (out / "a").write_text("as it was")
        with suppress(IronwakeError):
            install(owned(*members), target)
        assert sorted(path.name for path in Path(folder).iterdir()) == ["out", "target"]
        assert [path.name for path in out.iterdir()] == ["a"]
        assert (out / "a").read_text() == "as it was"
        assert (out / "a").stat().st_nlink == 1


def test_a_bomb_ends_at_what_the_order_says(tmp_path: Path) -> None:
    """Of zeroes without end in a small archive, no more is written than was announced."""
    bomb = owned(*(Entry(f"f{n}", data=bytes(32 * MIB)) for n in range(6)))
    with pytest.raises(RootError, match="'f2' makes it more than"):
        install(bomb, tmp_path, unpacked=MIB)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 96 * MIB


def test_an_order_that_says_nothing_of_its_size_is_carried_out(tmp_path: Path) -> None:
    """Media of old have no such fact."""
    install(owned(*SYSTEM), tmp_path)
    assert (tmp_path / "etc/os-release").resolve().read_text().startswith("ID=debian")


@pytest.mark.parametrize("cut", [1, 511, 512, 1024, 10_000])
def test_an_archive_without_its_end_is_a_failure(cut: int, tmp_path: Path) -> None:
    """Whole by its hash, but half a tar: somebody packed half of one."""
    plain = owned(*SYSTEM, Entry("big", data=os.urandom(20_000))).rstrip(b"\0")
    with pytest.raises(RootError, match="cut off"):
        install(plain[:-cut], tmp_path)
