"""Method `rescue`: the deploy ramdisk, with SSH and a shell; nothing is written."""

from __future__ import annotations

from ironwake.deployment import Deployment
from ironwake.methods.ramdisk import TaskMethod
from ironwake.order import Rescue
from ironwake.site import Policy


def _task(deployment: Deployment, policy: Policy) -> Rescue:
    own = [key for user in deployment.parameters.users for key in user.ssh_keys]
    return Rescue(tuple(dict.fromkeys((*own, *policy.site.ssh_keys))))


METHOD = TaskMethod("{} is to be rescued", _task)
