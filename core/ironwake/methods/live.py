"""Method `live`: a system that runs from memory, set up by cloud-init; nothing is written.

live-boot, in the initrd, fetches the root file system as squashfs; cloud-init then asks for its
seed (NoCloud) under the deployment's token: meta-data, user-data, vendor-data, each once. That is
the claim; so a later boot, which would be another system under the same name, gets nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ironwake import firstboot, routes
from ironwake import release as releases
from ironwake.boot import KernelBoot
from ironwake.deployment import Deployment
from ironwake.mac import Mac
from ironwake.machine import Machine
from ironwake.methods.base import NO_KEYS
from ironwake.profile import User
from ironwake.report import Grant
from ironwake.site import Policy

ROLES: Final = ("kernel", "initrd", "squashfs")
USER_DATA, META_DATA = "user-data", "meta-data"
# cloud-init asks ten times more, a second apart, for vendor-data that is not there (22.4).
VENDOR_DATA = "vendor-data"
FILES: Final = (META_DATA, USER_DATA, VENDOR_DATA)


@dataclass(frozen=True)
class LiveMethod:
    def missing(self, deployment: Deployment, machine: Machine, policy: Policy) -> tuple[str, ...]:
        return policy.shelf.lacking({_medium(deployment, machine): ROLES})

    def boot(
        self, deployment: Deployment, machine: Machine, mac: Mac, policy: Policy
    ) -> KernelBoot:
        medium = _medium(deployment, machine)
        squashfs = policy.shelf.need(medium, "squashfs")
        seed = routes.answers(policy.site.url, deployment.token, "")
        return KernelBoot(
            f"Ironwake: {machine.name} runs {releases.find(deployment.profile.release).title} live",
            policy.shelf.need(medium, "kernel"),
            policy.shelf.need(medium, "initrd"),
            (
                "boot=live",
                f"fetch={policy.site.url}/{routes.artifact(squashfs)}",
                # Else live-boot gives the system a second lease, beside its own.
                "ip=frommedia",
                f"BOOTIF={mac.bootif}",
                # "nocloud" alone takes no HTTP before 24.1; this works before and after.
                f"ds=nocloud-net;s={seed}",
                *machine.architecture.consoles,
                "quiet",
                *deployment.profile.parameters.kernel_arguments,
            ),
        )

    def payload(
        self,
        deployment: Deployment,
        machine: Machine,
        mac: Mac,  # noqa: ARG002 (an `InstallMethod`: the kernel has brought the network up)
        policy: Policy,
        keys: Mapping[str, str] = NO_KEYS,  # noqa: ARG002 (nothing is encrypted)
    ) -> Grant:
        user_data = "#cloud-config\n" + _json(_user_data(deployment, machine, policy))
        meta_data = _json({"instance-id": deployment.id, "local-hostname": str(machine.name)})
        files = {USER_DATA: user_data, META_DATA: meta_data, VENDOR_DATA: ""}
        return Grant("text/plain; charset=utf-8", user_data, files)


def _medium(deployment: Deployment, machine: Machine) -> str:
    return releases.find(deployment.profile.release).live(machine.architecture)


def _json(data: Any) -> str:
    return json.dumps(data, indent=1) + "\n"  # JSON is YAML, and needs no quoting of ours


def _user_data(deployment: Deployment, machine: Machine, policy: Policy) -> dict[str, Any]:
    profile, url = deployment.profile, policy.site.url
    parameters = profile.parameters
    report = f"{routes.callbacks(url, deployment.token)}?stage=working&step=live&id=live"
    health = routes.health(url, deployment.health_token)
    data: dict[str, Any] = {
        "fqdn": f"{machine.name}.{policy.site.domain}",
        "manage_etc_hosts": True,
        "users": [_user(profile.user)] if profile.user else [],
        "disable_root": True,
        "ssh_pwauth": False,
        "timezone": parameters.timezone,
        "write_files": [
            {"path": f"/{file.path}", "permissions": f"{file.mode:04o}", "content": file.text}
            for file in firstboot.files(health)
            if not file.path.endswith("/boot-entry")  # it is for a disk
        ],
        "runcmd": [
            ["curl", "-fsS", "--retry", "9", "--retry-connrefused", "-X", "POST", report],
            ["systemctl", "daemon-reload"],
            ["systemctl", "start", "--no-block", firstboot.UNIT],
        ],
    }
    if parameters.packages:
        data |= {"package_update": True, "packages": list(parameters.packages)}
    return data


def _user(user: User) -> dict[str, Any]:
    words: dict[str, Any] = {
        "name": str(user.name),
        "shell": "/bin/bash",
        "sudo": "ALL=(ALL:ALL) NOPASSWD: ALL",
        "lock_passwd": not user.password_hash,
    }
    if user.ssh_keys:  # cloud-init calls an empty list invalid
        words["ssh_authorized_keys"] = list(user.ssh_keys)
    return words | ({"passwd": user.password_hash} if user.password_hash else {})


METHOD = LiveMethod()
