"""The ramdisk's second part: who needs it, and that nothing else is ever laid over the ramdisk."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest

from ironwake import deadlines
from ironwake.disk import DiskMatch
from ironwake.errors import BrokenError
from ironwake.layout.model import Format
from ironwake.lifecycle import State
from ironwake.order import Archive, Capture, DiskImage, Order, Rescue, Wipe
from ironwake.parameters.model import Scripts
from ironwake_agent import client, tools
from ironwake_agent.unpack import DamagedError
from ironwake_ramdisk.userland import FIRST
from ironwake_testing.archives import Entry, tar
from tests.agent.rig import DISK, ORDER, Clock, appliance, order, reply, work_on
from tests.layout.rig import layout

BUSYBOX = {"dd"}
PROGRAM = b"\x7fELF and so on"
PLAIN = """
disks:
  - {name: disk, partitions: [
      {name: esp, role: esp, size: 256MiB},
      {name: swap, format: swap, size: 1GiB},
      {name: root, format: ext4, mount: /}]}
"""


@pytest.fixture(scope="module")
def packed() -> bytes:
    whole = tar(
        (Entry("usr", "dir"), Entry("usr/sbin", "dir"), Entry("usr/sbin/lvm", data=PROGRAM)),
        owner=os.getuid(),
    )
    return subprocess.run(["zstd", "-q", "-c"], input=whole, stdout=-1, check=True).stdout


def named(url: str, data: bytes) -> Archive:
    return Archive(f"{url}/tools.tar.zst", hashlib.sha256(data).hexdigest(), len(data), 0)


def test_they_are_laid_over_the_ramdisk(packed: bytes, tmp_path: Path) -> None:
    """Below a root that has its own folders already, a program is there afterwards."""
    (tmp_path / "usr/sbin").mkdir(parents=True)
    (tmp_path / "usr/sbin/sfdisk").write_text("as it was")
    (tmp_path / "sbin").symlink_to("usr/sbin")
    said: list[str] = []
    with appliance(lambda request, _: reply(request, 200, packed)) as url:
        tools.bring(named(url, packed), said.append, tmp_path, Clock().patience(5))
    assert (tmp_path / "sbin/lvm").read_bytes() == PROGRAM
    assert (tmp_path / "sbin/sfdisk").read_text() == "as it was"
    assert len(said) == 1
    assert said[0].startswith("fetching more programs")


def test_other_bytes_are_never_unpacked(packed: bytes, tmp_path: Path) -> None:
    """Of the right length, but not what the boot script named: the ramdisk stays as it is."""
    wished = Archive("http://unused", "0" * 64, len(packed), 0)
    with appliance(lambda request, _: reply(request, 200, packed)) as url:
        item = Archive(f"{url}/tools.tar.zst", wished.sha256, wished.size, 0)
        with pytest.raises(DamagedError, match=r"^the ramdisk's second part .*0000") as error:
            tools.bring(item, lambda _: None, tmp_path, Clock().patience(5))
    assert "deploy again" in error.value.next_step
    assert list(tmp_path.iterdir()) == []


def refusal(status: int, detail: str) -> tuple[int, bytes]:
    return status, json.dumps({"title": "no", "status": status, "detail": detail}).encode()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (refusal(404, "there is nothing here"), "there is nothing here (HTTP 404)"),
        (refusal(503, "the bytes are damaged or gone"), "the bytes are damaged or gone (HTTP 503)"),
    ],
    ids=["gone", "damaged in the store"],
)
def test_what_the_appliance_does_not_give_is_told_by_its_words(
    packed: bytes, tmp_path: Path, answer: tuple[int, bytes], words: str
) -> None:
    """What it was that did not come, why not, and what to do; nothing is unpacked."""
    with (
        appliance(lambda request, _: reply(request, *answer)) as url,
        pytest.raises(BrokenError) as error,
    ):
        tools.bring(named(url, packed), lambda _: None, tmp_path, Clock().patience(5))
    assert str(error.value).startswith("the ramdisk's second part ")
    assert words in error.value.what
    assert error.value.next_step
    assert list(tmp_path.iterdir()) == []


def test_what_does_not_fit_says_what_it_was(packed: bytes, tmp_path: Path) -> None:
    """A machine with too little memory for them, say: tar's words, and what it was for."""
    with (
        appliance(lambda request, _: reply(request, 200, packed)) as url,
        pytest.raises(BrokenError, match=r"^the ramdisk's second part .*tar could not"),
    ):
        tools.bring(named(url, packed), lambda _: None, tmp_path / "none", Clock().patience(5))


def test_the_machine_speaks_before_the_appliance_gives_it_up() -> None:
    """Nothing is reported while they are fetched, so the wait must end within the deadline of a
    machine that has its order and says nothing; its last try takes a while, too."""
    deadline = deadlines.DEADLINES[State.ANSWERS].seconds
    assert tools.PATIENCE.seconds + client.TIMEOUT < deadline


def test_a_script_that_names_none_is_told_plainly(tmp_path: Path) -> None:
    """A boot script of another version: said before anything is written."""
    with pytest.raises(BrokenError, match="second part"):
        tools.bring(None, lambda _: None, tmp_path)


@pytest.mark.parametrize(
    ("wanted", "one"),
    [
        (False, ORDER),
        (False, order(layout=layout(PLAIN))),
        (True, order(layout=layout(PLAIN.replace("ext4", "xfs")))),
        (True, order(layout=layout(PLAIN.replace("ext4", "btrfs")))),
        (False, order(scripts=Scripts(post="true"))),
        (True, order(scripts=Scripts(pre="lsblk"))),
        (True, order(archive=None, wipe=Wipe(("S1",)))),
        (True, order(archive=None, rescue=Rescue(()))),
        (True, order(archive=None, capture=Capture("http://x", DiskMatch("auto")))),
        (True, order(archive=None, image=DiskImage("n", "u", 1, "i", "h", 1, 1, DiskMatch("a")))),
    ],
    ids=["usual", "plain", "xfs", "btrfs", "post", "pre", "wipe", "rescue", "capture", "image"],
)
def test_only_an_archive_on_plain_partitions_does_without(wanted: bool, one: Order) -> None:
    """All others have programs to call that the first part of the ramdisk has not."""
    assert tools.are_needed(one) is wanted


@pytest.mark.parametrize("kind", Format)
@pytest.mark.parametrize("role", ["esp, role: esp", "grub, role: bios-boot"])
def test_who_does_without_calls_no_program_of_theirs(kind: Format, role: str) -> None:
    """Whatever a layout can be made of: it has them fetched, or the first part has all it calls."""
    text = f"""
disks:
  - {{name: disk, partitions: [
      {{name: {role}, size: 256MiB}},
      {{name: root, format: ext4, size: 2GiB, mount: /}},
      {{name: more, format: {kind}{"" if kind is Format.SWAP else ", mount: /srv"}}}]}}
"""
    one = layout(text)
    todo = work_on(DISK, uefi="esp" in role, layout=one)
    called = {command.words[0] for command in todo.commands}
    first = {name.rpartition("/")[2] for name in (*FIRST.programs, *FIRST.links)}
    assert called
    assert tools.are_needed(order(layout=one)) or called <= first | BUSYBOX
