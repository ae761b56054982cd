"""The initrd's pieces: the cpio format, the choice of modules, the agent's zip."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.firmware import Architecture
from ironwake_ramdisk import agentzip, modules
from ironwake_ramdisk.cpio import CpioWriter

FILES = Path(agentzip.__file__).parent / "files"


def entries(data: bytes) -> dict[str, tuple[int, bytes]]:
    """Read a newc archive: name → (mode, bytes), as the kernel would."""
    found: dict[str, tuple[int, bytes]] = {}
    at = 0
    while True:
        assert data[at : at + 6] == b"070701"
        field = [int(data[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        mode, size, name_size = field[1], field[6], field[11]
        name = data[at + 110 : at + 110 + name_size - 1].decode()
        at = -(-(at + 110 + name_size) // 4) * 4
        if name == "TRAILER!!!":
            return found
        found[name] = (mode, data[at : at + size])
        at = -(-(at + size) // 4) * 4


NAMES = st.text("abcdefgh-._é", min_size=1, max_size=20).filter(lambda name: name != "TRAILER!!!")


@given(st.dictionaries(NAMES, st.binary(max_size=50)))
def test_any_files_come_out_as_they_went_in(files: dict[str, bytes]) -> None:
    """Names and contents of every length survive, and the archive ends aligned."""
    stream = io.BytesIO()
    archive = CpioWriter(stream)
    for name, data in files.items():
        archive.file(name, data)
    archive.close()
    assert len(stream.getvalue()) % 4 == 0
    assert {name: data for name, (_, data) in entries(stream.getvalue()).items()} == files


def test_a_tree_is_written_without_owners_and_times(tmp_path: Path) -> None:
    """The same tree gives the same bytes, whoever built it and when."""
    written = []
    for number in (1, 2):
        root = tmp_path / str(number)
        (root / "usr/bin").mkdir(parents=True)
        (root / "usr/bin/tool").write_text("x")
        (root / "usr/bin/tool").chmod(0o700)
        (root / "bin").symlink_to("usr/bin")
        stream = io.BytesIO()
        CpioWriter(stream).tree(root)
        written.append(stream.getvalue())
    assert written[0] == written[1]


def test_cpio_reads_what_we_write(tmp_path: Path) -> None:
    """Another reader of the format agrees, devices and links included."""
    stream = io.BytesIO()
    archive = CpioWriter(stream)
    archive.directory("dev")
    archive.character_device("dev/console", 5, 1)
    archive.symlink("sh", "busybox")
    archive.close()
    done = subprocess.run(
        ["cpio", "-itv", "--quiet"], input=stream.getvalue(), capture_output=True, check=True
    )
    listed = done.stdout.decode()
    assert "sh -> busybox" in listed
    assert any(line.startswith("crw-------") and "5,   1" in line for line in listed.splitlines())


def test_dependencies_come_along() -> None:
    """A module brings what it needs, even from folders that no pattern names."""
    table = modules.read_dependencies(
        "kernel/drivers/net/virtio_net.ko: kernel/net/core/failover.ko kernel/lib/dim.ko\n"
        "kernel/net/core/failover.ko:\nkernel/lib/dim.ko:\nkernel/sound/snd.ko:\n"
    )
    assert modules.select(table, (r"drivers/net/virtio_net",)) == [
        "kernel/drivers/net/virtio_net.ko",
        "kernel/lib/dim.ko",
        "kernel/net/core/failover.ko",
    ]


def test_what_comes_later_is_not_in_the_first_part() -> None:
    """Of modules that both parts want, the first has what it needs; the second only the rest."""
    table = modules.read_dependencies(
        "kernel/fs/ext4/ext4.ko: kernel/lib/crc16.ko\nkernel/lib/crc16.ko:\n"
        "kernel/fs/xfs/xfs.ko: kernel/lib/crc16.ko kernel/lib/xor.ko\nkernel/lib/xor.ko:\n"
    )
    first, later = modules.FLAVOURS["cloud"].wanted(Architecture.AMD64)
    own = set(modules.select(table, first))
    assert own == {"kernel/fs/ext4/ext4.ko", "kernel/lib/crc16.ko"}
    assert set(modules.select(table, later)) - own == {"kernel/fs/xfs/xfs.ko", "kernel/lib/xor.ko"}


def test_the_agent_starts_without_what_few_orders_need() -> None:
    """Each module that it imports is a part of every machine's start."""
    script = "import sys, ironwake_agent.__main__; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    found = set(done.stdout.split())
    assert "ironwake_agent.install" in found
    late = ("image.deploy", "capture", "rescue", "wipe")
    assert not found & {f"ironwake_agent.{name}" for name in late}
    assert not found & {"ironwake.site", "ironwake.view", "ironwake.plan"}


def test_the_agent_is_the_same_bytes_from_the_same_sources(tmp_path: Path) -> None:
    """Building the agent twice gives one hash: no times of files in it."""
    first = agentzip.build_zipapp(tmp_path / "one.pyz")
    second = agentzip.build_zipapp(tmp_path / "two.pyz")
    assert first.read_bytes() == second.read_bytes()


def test_the_agent_carries_itself_and_the_core_only(tmp_path: Path) -> None:
    """No service and no runtime code goes into the ramdisk."""
    names = zipfile.ZipFile(agentzip.build_zipapp(tmp_path / "agent.pyz")).namelist()
    packages = {name.split("/")[0] for name in names}
    assert packages == {"__main__.py", "ironwake", "ironwake_agent"}


@pytest.mark.parametrize("script", ["init", "udhcpc.script"])
def test_the_scripts_are_shell(script: str) -> None:
    """A syntax error in the ramdisk's scripts is found before a machine finds it."""
    subprocess.run(["sh", "-n", FILES / script], check=True)
