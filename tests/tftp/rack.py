"""A small site as the TFTP service sees it: three machines, a few loaders, one armed deployment."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from ironwake.deployment import Deployment
from ironwake.lifecycle import State
from ironwake.mac import Mac
from ironwake.machine import Machine
from ironwake.names import HostName
from ironwake.profile import Profile
from ironwake.release import find
from ironwake.site import Shelf, Site, Stored
from ironwake.view import Entry, Index, View

ARMED, UNARMED, UNKNOWN = (Mac(f"52:54:00:77:00:{n}") for n in (10, 11, 12))
TOKEN = "a" * 64

SHIM = hashlib.shake_256(b"shim").digest(1_036_152)
GRUB = hashlib.shake_256(b"grub").digest(100_000)
CONTENT = {
    "sb/shimx64.efi": SHIM,
    "sb/grubx64.efi": GRUB,
    "ipxe/undionly.kpxe": b"line\r\n" * 100,
    "ipxe/ipxe.efi": bytes(512 * 20),
}
_BY_HASH = {hashlib.sha256(content).hexdigest(): content for content in CONTENT.values()}


def fetch(item: Stored) -> bytes:
    """The artifact store, in memory."""
    return _BY_HASH[item.sha256]


def index(address: str = "", state: State = State.ARMED) -> Index:
    """The view: `address` is the armed machine's last known address."""
    items = [
        Stored("loaders", role, hashlib.sha256(content).hexdigest(), len(content), role)
        for role, content in CONTENT.items()
    ]
    for manifest, role in (
        ("ramdisk-generic", "kernel"),
        ("ramdisk-generic", "initrd"),
        ("ramdisk-generic", "tools"),
        ("debian-12", "archive"),
    ):
        items.append(Stored(manifest, role, "0" * 64, 1, role))
    deployment = Deployment(
        id="d1",
        machine="node1",
        profile_name="web",
        revision="0" * 64,
        profile=Profile("debian-12"),
        state=state,
        token=TOKEN,
        health_token="b" * 64,
        release=find("debian-12"),
    )
    node1 = Machine(HostName("node1"), (ARMED,))
    node2 = replace(node1, name=HostName("node2"), macs=(UNARMED,))
    entries = (Entry(node1, deployment, address), Entry(node2))
    return Index(View(1, Site("192.0.2.1", 24), Shelf(tuple(items)), entries))
