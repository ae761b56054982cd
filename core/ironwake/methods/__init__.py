"""Methods: how an operating system gets on a disk."""

from __future__ import annotations

from ironwake.methods import archive, capture, disk_image, live, rescue, script, wipe
from ironwake.methods.base import InstallMethod
from ironwake.profile import Method

METHODS: dict[Method, InstallMethod] = {
    Method.ARCHIVE: archive.METHOD,
    Method.DISK_IMAGE: disk_image.METHOD,
    Method.SCRIPT: script.METHOD,
    Method.WIPE: wipe.METHOD,
    Method.RESCUE: rescue.METHOD,
    Method.LIVE: live.METHOD,
    Method.CAPTURE: capture.METHOD,
}
