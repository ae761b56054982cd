"""Method `wipe`: the agent empties the disks that are named, and nothing is installed."""

from __future__ import annotations

from ironwake.deployment import Deployment
from ironwake.methods.ramdisk import TaskMethod
from ironwake.order import Wipe
from ironwake.site import Policy


def _task(deployment: Deployment, _: Policy) -> Wipe:
    return Wipe(deployment.erase)


METHOD = TaskMethod("disks of {} are wiped", _task)
