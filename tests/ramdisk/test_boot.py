"""The built ramdisk boots: in a virtual machine, with an agent of the test's own."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import zipfile
from pathlib import Path

import pytest
import zstandard

from ironwake.artifact import Manifest
from ironwake.firmware import Architecture
from ironwake_ramdisk import modules, ramdisk
from ironwake_runtime.artifacts import ArtifactStore
from ironwake_runtime.builds import Workshop

pytestmark = [pytest.mark.root, pytest.mark.qemu]

# What the ramdisk promises to the agent: programs, modules of Python, devices, a lease script; and
# what its second part adds, which the test puts on the machine's disk, unpacked by zstd.
AGENT = """
import ctypes, hashlib, http.client, json, os, shutil, subprocess, sys, tarfile, urllib.request
first = ("sfdisk", "mkfs.ext4", "mkfs.vfat", "tar", "wipefs", "blockdev", "blkdiscard",
    "efibootmgr", "udhcpc", "modprobe", "mount", "umount", "ip", "mkswap", "chroot")
second = ("blkid", "btrfs", "btrfstune", "cryptsetup", "dropbear", "dropbearkey", "e2fsck",
    "fatlabel", "fsck.ext4", "lsblk", "lvcreate", "lvm", "mdadm", "mkfs.btrfs", "mkfs.xfs", "nvme",
    "partx", "pvcreate", "resize2fs", "swaplabel", "tune2fs", "vgchange", "vgcreate", "xfs_db",
    "xfs_growfs", "xfs_repair", "zstd")
LIBRARY = "error while loading shared libraries"
def said(*words):
    done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout + done.stderr
def lacking(tools):
    return [tool for tool in tools if not shutil.which(tool)]
def broken(tools):
    told = {tool: said(tool, "--version")[1] for tool in tools}
    return [tool for tool, text in told.items() if "Busy" in text or LIBRARY in text]
missing = lacking(first)
faulty = broken(("tar", "sfdisk", "wipefs", "mkswap", "efibootmgr"))
before = [tool for tool in second if shutil.which(tool)]
tools = said("tar", "-xf", "/dev/vda", "-C", "/")
missing += lacking(second)
faulty += broken([tool for tool in second if tool not in ("dropbearkey", "fsck.ext4")])
modules = [name for name in ("xfs", "btrfs", "dm-crypt", "raid1") if said("modprobe", name)[0]]
lease = subprocess.run(["/ironwake/udhcpc.script", "bound"], env={"PATH": os.environ["PATH"],
    "interface": "eth0", "ip": "192.0.2.9", "mask": "24", "router": "192.0.2.1",
    "dns": "192.0.2.1 192.0.2.2", "domain": "rack.test", "lease": "600"}).returncode
told = {
    "missing": missing, "broken": faulty, "lease": lease,
    "before": before, "tools": tools, "modules": modules,
    "values": open("/run/ironwake-lease-eth0").read().split("\\n"),
    "resolv": open("/etc/resolv.conf").read().split("\\n"),
    "route": subprocess.run(["ip", "route"], capture_output=True, text=True).stdout,
    "disks": os.listdir("/sys/block"), "python": sys.version_info[:2],
    "zstd": bool(ctypes.CDLL("libzstd.so.1").ZSTD_versionNumber()),
    "openssl": hashlib.sha256.__name__,
    "hash": hashlib.sha256(b"").hexdigest()[:8],
}
print("\\nTOLD " + json.dumps(told), flush=True)
sys.exit(7)
"""


# QEMU, its processor and machine, as in the virtual rack, and the kernel's name of a serial line.
MACHINES = {
    Architecture.AMD64: ("qemu-system-x86_64", "max", "q35", "ttyS0"),
    Architecture.ARM64: ("qemu-system-aarch64", "cortex-a72", "virt", "ttyAMA0"),
}
AMD64 = Architecture.AMD64


def build(
    shop: Workshop,
    folder: Path,
    flavour: str,
    architecture: Architecture = AMD64,
    agent: str = AGENT,
) -> Manifest:
    zipapp = folder / "agent.pyz"
    with zipfile.ZipFile(zipapp, "w") as archive:
        archive.writestr(zipfile.ZipInfo("__main__.py"), agent)
    return ramdisk.build(flavour, architecture, zipapp, shop)


def boot(
    store: ArtifactStore, manifest: Manifest, architecture: Architecture, disk: Path, until: str
) -> str:
    """Boot by -kernel and -initrd, and give the console up to the line that holds `until`. On the
    disk stand the tools."""
    tools = store.path(manifest.artifact("tools").sha256).read_bytes()
    disk.write_bytes(zstandard.ZstdDecompressor().decompressobj().decompress(tools))
    os.truncate(disk, 64 << 20)
    qemu, processor, machine_type, serial = MACHINES[architecture]
    command = [
        *(qemu, "-accel", "tcg,thread=multi", "-m", "768", "-cpu", processor),
        *(
            "-machine",
            machine_type,
            "-nodefaults",
            "-display",
            "none",
            "-serial",
            "stdio",
            "-no-reboot",
        ),
        *("-kernel", str(store.path(manifest.artifact("kernel").sha256))),
        *("-initrd", str(store.path(manifest.artifact("initrd").sha256))),
        *("-append", f"console={serial},115200 quiet panic=-1"),
        *("-netdev", "user,id=n0,restrict=on", "-device", "virtio-net-pci,netdev=n0,romfile="),
        *("-drive", f"if=none,id=d0,format=raw,file={disk}", "-device", "virtio-blk-pci,drive=d0"),
    ]
    lines: list[str] = []
    with subprocess.Popen(
        ["timeout", "400", *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as machine:
        assert machine.stdout is not None
        try:
            for line in machine.stdout:
                lines.append(line)
                if until in line:
                    break
        finally:
            machine.terminate()
    return "".join(lines)


# ARM64's come from the same lists of packages, and tests/e2e/test_arm64.py boots one every day.
RAMDISKS = [
    pytest.param(*pair, marks=pytest.mark.deep if pair[1] is Architecture.ARM64 else ())
    for pair in itertools.product(sorted(modules.FLAVOURS), Architecture)
]


@pytest.mark.parametrize(("flavour", "architecture"), RAMDISKS)
def test_the_agent_finds_what_it_was_promised(
    shop: Workshop, tmp_path: Path, flavour: str, architecture: Architecture
) -> None:
    """Each flavour boots to the agent with tools, devices and leases; a failure stays readable."""
    manifest = build(shop, tmp_path, flavour, architecture)
    console = boot(shop.store, manifest, architecture, tmp_path / "disk", "the agent failed")
    (line,) = [line for line in console.splitlines() if line.startswith("TOLD ")]
    told = json.loads(line.removeprefix("TOLD "))
    assert told["missing"] == []
    assert told["broken"] == []
    assert told["before"] == []
    assert told["tools"] == [0, ""]
    assert told["modules"] == []
    assert "vda" in told["disks"]
    assert told["python"] == [3, 13]
    assert told["hash"] == "e3b0c442"
    assert told["zstd"] is True
    assert told["openssl"] == "openssl_sha256"
    assert told["lease"] == 0
    assert "dns=192.0.2.1 192.0.2.2" in told["values"]
    assert "lease=600" in told["values"]
    assert told["resolv"][:3] == [
        "search rack.test",
        "nameserver 192.0.2.1",
        "nameserver 192.0.2.2",
    ]
    assert "default via 192.0.2.1 dev eth0" in told["route"]
    assert "ironwake: disks: vda; network: eth0" in console
    assert "the agent failed with code 7" in console


def test_the_cloud_flavour_is_small_and_a_new_agent_costs_no_new_base(
    shop: Workshop, tmp_path: Path
) -> None:
    """Only the last archive of the initrd changes with the agent; every boot loads all of it."""
    first = build(shop, tmp_path, "cloud")
    assert first.artifact("initrd").size < 15 << 20
    second = build(shop, tmp_path, "cloud", agent=AGENT + "\n# changed\n")
    assert first.artifact("kernel") == second.artifact("kernel")
    assert first.artifact("tools") == second.artifact("tools")
    assert first.artifact("initrd") != second.artifact("initrd")
    one, two = (shop.store.path(m.artifact("initrd").sha256).read_bytes() for m in (first, second))
    agent_size = 200_000
    common = min(len(one), len(two)) - agent_size
    assert one[:common] == two[:common]
