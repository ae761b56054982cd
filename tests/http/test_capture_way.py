"""The whole way of a capture but for the machine: the agent reads, the service keeps, an image."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

from ironwake.disk import AUTO, Disk
from ironwake.image import Image
from ironwake.order import Capture
from ironwake.partitions import find
from ironwake.progress import silent
from ironwake.report import Callback, Stage
from ironwake.wire import decode
from ironwake_agent.capture import front
from ironwake_agent.client import Answer
from ironwake_agent.install import Hands
from ironwake_agent.report import Reporter
from ironwake_imager.library import captured, keeping
from ironwake_imager.library.bring import Wish
from tests.agent.rig import Recorder
from tests.http.rig import Rig, run
from tests.http.test_captures import PLACE, capturing
from tests.imager.library import disks
from tests.imager.library.conftest import importer


def described(path: Path) -> Disk:
    """As the agent finds it."""
    with path.open("rb") as stream:

        def read(place: int, length: int) -> bytes:
            stream.seek(place)
            return stream.read(length)

        parts = find(read, disks.SIZE).parts
    return Disk(str(path), disks.SIZE, serial="S1", parts=tuple(parts))


def test_a_disk_becomes_an_image_without_what_was_deleted_on_it(tmp_path: Path) -> None:
    """Boot modes, kernel and packages are known, the file systems are whole, the disk is as it was.

    What its ext4 calls free was noise, and is not in the image.
    """
    path = disks.raw(tmp_path / "disk.raw")
    noise = hashlib.shake_128(b"deleted").digest(1 << 20)
    with path.open("r+b") as stream:  # the end of its ext4: free, and no empty block
        stream.seek(80 << 20)
        stream.write(noise)
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    heard: list[Callback] = []

    def post(body: bytes) -> Answer:
        heard.append(decode(Callback, body))
        return Answer(204, b"")

    async def test(rig: Rig) -> None:
        capturing(rig)
        reporter = Reporter(post, (0.0,))
        hands = Hands(Recorder(), reporter, lambda _: None, ())
        task = Capture(f"http://127.0.0.1:{rig.port}{PLACE}", AUTO)
        told = await asyncio.to_thread(front.one, hands, task, described(path))
        reporter.flush(10)
        assert "are free by its file systems" in told
        waiting = captured.find(rig.service.captures.folder, "armed")
        importing = importer(tmp_path)
        manifest = await asyncio.to_thread(captured.take, importing, waiting, Wish("", ""))
        image = Image.of(manifest)
        assert (image.name, image.boot_modes) == ("web@1", ("bios", "uefi"))
        assert image.kernel == "6.1.0-50-amd64"
        out = tmp_path / "out.raw"
        keeping.export(importing.library, "web", out, silent)
        content = out.read_bytes()
        assert noise[:4096] not in content
        assert hashlib.sha256(path.read_bytes()).hexdigest() == before
        disks.run("e2fsck", "-f", "-n", f"{out}?offset={40 << 20}")

    run(test)
    assert {one.stage for one in heard} == {Stage.WORKING}
