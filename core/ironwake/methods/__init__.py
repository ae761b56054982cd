"""Methods: how an operating system gets on a disk."""

from __future__ import annotations

from ironwake.methods import archive, script
from ironwake.methods.base import InstallMethod
from ironwake.profile import Method

METHODS: dict[Method, InstallMethod] = {
    Method.ARCHIVE: archive.METHOD,
    Method.SCRIPT: script.METHOD,
}
