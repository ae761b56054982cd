"""A machine, a deployment and a policy, easily varied."""

from __future__ import annotations

import dataclasses

from ironwake.deployment import Deployment
from ironwake.firmware import FIRMWARE, Architecture
from ironwake.lifecycle import State
from ironwake.mac import Mac
from ironwake.machine import Machine
from ironwake.names import HostName, UserName
from ironwake.parameters import Parameters, User
from ironwake.profile import Capture, Method, Profile
from ironwake.release import find
from ironwake.site import Policy, Shelf, Site, Stored
from ironwake.view import Entry, Index, View

# What a machine of the bench may have: it is enrolled as amd64.
OWN_FIRMWARE = tuple(row for row in FIRMWARE if row.architecture is Architecture.AMD64)
MAC = Mac("52:54:00:77:00:10")
_FILES = [
    ("loaders", "ipxe/undionly.kpxe", "undionly.kpxe"),
    ("loaders", "ipxe/snponly.efi", "snponly.efi"),
    ("loaders", "pxelinux/lpxelinux.0", "lpxelinux.0"),
    ("loaders", "sb/shimaa64.efi", "shimaa64.efi"),
    ("loaders", "sb/shimx64.efi", "shimx64.efi"),
    ("ramdisk-generic", "kernel", "vmlinuz"),
    ("ramdisk-generic", "initrd", "initrd"),
    ("debian-12", "archive", "debian-12.tar.zst"),
    ("debian-12-live", "kernel", "vmlinuz"),
    ("debian-12-live", "initrd", "initrd"),
    ("debian-12-live", "squashfs", "debian-12-live.squashfs"),
    ("debian-12", "installer-kernel", "linux"),
    ("debian-12", "installer-initrd", "initrd.gz"),
    ("web@1", "pack", "disk.pack"),
    ("web@1", "index", "disk.index"),
    ("ramdisk-generic", "tools", "tools.tar.zst"),
]
SHELF = Shelf(
    tuple(
        Stored(name, role, f"{i:064x}", 1000 + i, file)
        for i, (name, role, file) in enumerate(_FILES)
    ),
    {
        "debian-12": {"unpacked_bytes": "900000000"},
        "web@1": {"architecture": "amd64", "logical_bytes": "4000000000", "image_kind": "disk"},
    },
)


@dataclasses.dataclass(frozen=True)
class Bench:
    """One machine with one armed deployment."""

    machine: Machine
    deployment: Deployment
    policy: Policy

    def with_state(self, state: State) -> Bench:
        return dataclasses.replace(
            self, deployment=dataclasses.replace(self.deployment, state=state)
        )

    def with_method(self, method: Method) -> Bench:
        release, image = ("", "web@1") if method is Method.DISK_IMAGE else ("debian-12", "")
        if not method.brings_up:
            release = ""
        profile = dataclasses.replace(
            self.deployment.profile,
            method=method,
            release=release,
            image=image,
            capture=Capture("web") if method is Method.CAPTURE else None,
        )
        made_of = find(release) if release else None
        return dataclasses.replace(
            self,
            deployment=dataclasses.replace(self.deployment, profile=profile, release=made_of),
        )

    def index(self) -> Index:
        entry = Entry(self.machine, self.deployment, "10.77.0.100")
        return Index(View(1, self.policy.site, self.policy.shelf, (entry,)))


def make_bench() -> Bench:
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFakeFakeFakeFakeFakeFake me@laptop"
    deployment = Deployment(
        "d1",
        "node1",
        "web",
        "f" * 64,
        Profile("debian-12", Method.ARCHIVE),
        State.ARMED,
        "ab" * 32,
        "cd" * 32,
        release=find("debian-12"),
        parameters=Parameters(users=(User(UserName("admin"), (key,)),)),
    )
    site = Site("10.77.0.2", 24, mirror="http://mirror.example/debian")
    return Bench(Machine(HostName("node1"), (MAC,)), deployment, Policy(site, SHELF))
