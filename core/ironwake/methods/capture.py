"""Method `capture`: the agent reads a disk, or a root, for a new image; nothing is written."""

from __future__ import annotations

from ironwake import routes
from ironwake.deployment import Deployment
from ironwake.methods.ramdisk import TaskMethod
from ironwake.order import Capture
from ironwake.site import Policy


def _task(deployment: Deployment, policy: Policy) -> Capture:
    asked = deployment.profile.capture
    assert asked is not None  # noqa: S101 - a profile of this method has it
    return Capture(routes.capture(policy.site.url, deployment.token), asked.disk, asked.root)


METHOD = TaskMethod("an image is made of {}", _task)
