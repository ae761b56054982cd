"""Deployment as it is done by hand: dnsmasq (DHCP and TFTP), nginx, and a ramdisk of busybox.

The best that such a set-up is without checks: the appliance's own kernel, modules, loaders and
archive, a ramdisk with the few programs that a script needs, nothing looked at twice, the boot menu
written beforehand. What it makes is a system like the appliance's, whose first boot reports by the
same unit.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import zstandard

from ironwake import firstboot
from ironwake.artifact import Manifest
from ironwake.errors import BrokenError
from ironwake_bench import peers
from ironwake_lab import Rack, RouterSpec
from ironwake_ramdisk import userland
from ironwake_ramdisk.cpio import CpioWriter, padding
from ironwake_runtime.artifacts import ArtifactStore

FAILED = "by hand: failed"  # what the machine writes then
_ROOT = "4f1c7a1e-9f0b-4f8e-8f2c-6f1f3a2b5c01"  # the file system's id, in the menu and in fstab
_ESP = "1A2B-3C4D"
# The ESP as the appliance's usual layout has it.
_TABLE = "label: gpt\nsize=256MiB, type=uefi\ntype=linux\n"
_FIRST, _SECOND = 1 << 20, 257 << 20  # where sfdisk puts the two partitions, in bytes
_MEDIA = {"loaders": ("sb/shimx64.efi", "sb/grubx64.efi"), "ramdisk-cloud": ("kernel",)}

_PROGRAMS = (
    *("usr/bin/busybox", "usr/bin/zstd", "usr/bin/tar", "usr/bin/efibootmgr"),
    *("usr/sbin/sfdisk", "usr/sbin/mke2fs", "usr/sbin/mkfs.fat", "usr/sbin/blkdiscard"),
)
_NAMES = {"usr/sbin/mkfs.ext4": "mke2fs", "usr/bin/mount": "busybox", "usr/bin/umount": "busybox"}

_NGINX = """\
worker_processes 2;
daemon off;
user root;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 768; }}
http {{
  sendfile on;
  tcp_nopush on;
  default_type application/octet-stream;
  access_log off;
  log_format when '$msec';
  server {{
    listen {address}:80;
    root {folder}/files;
    location = /health {{ access_log {folder}/health.log when; return 204; }}
  }}
}}
"""

_GRUB = """\
set timeout=0
linux (http,{address})/vmlinuz server={address} way={way} console=tty0 console=ttyS0,115200 quiet
initrd (http,{address})/initrd.img
boot
"""

_LEASE = """\
#!/usr/bin/busybox sh
[ "$1" = bound ] || exit 0
ip addr add "$ip/$mask" dev "$interface"
"""

# The two ways to a system on the disk. By their paths, for busybox's shell takes its own programs
# before all others of their names.
_INIT = """\
#!/usr/bin/busybox sh
export PATH=/usr/sbin:/usr/bin
set -eo pipefail
trap 'echo "@FAILED@"; sleep 3600' EXIT
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
modprobe -a virtio_pci virtio_net virtio_blk ext4 vfat nls_cp437 nls_ascii efivarfs || true
mount -t efivarfs efivarfs /sys/firmware/efi/efivars
until [ -b /dev/vda ] && [ -e /sys/class/net/eth0 ]; do sleep 0.1; done
ip link set eth0 up
udhcpc -q -n -i eth0 -s /lease >/dev/null
for word in $(cat /proc/cmdline); do
    case $word in server=*|way=*) eval "$word" ;; esac
done
get() { wget -q -O - "http://$server/$1"; }
archive() {
    /usr/sbin/sfdisk -q /dev/vda <<TABLE
@TABLE@TABLE
    /usr/sbin/mkfs.fat -F 32 -i @ESP_NUMBER@ /dev/vda1 >/dev/null
    /usr/sbin/mkfs.ext4 -F -q -U @ROOT@ /dev/vda2
    mount -t ext4 -o noatime /dev/vda2 /mnt
    get archive.tar.zst | /usr/bin/zstd -dcq |
        /usr/bin/tar -x -p --numeric-owner --xattrs --xattrs-include='*' --acls -C /mnt
    get own.tar | /usr/bin/tar -x -p --numeric-owner -C /mnt
    mkdir -p /mnt/boot/efi
    mount -t vfat /dev/vda1 /mnt/boot/efi
    root=/mnt
@LOADER@
    umount /mnt/boot/efi
    umount /mnt
}
image() {
    /usr/sbin/blkdiscard -f /dev/vda
    get disk.raw.zst | /usr/bin/zstd -dcq |
        /usr/bin/dd of=/dev/vda bs=1M iflag=fullblock oflag=direct conv=sparse status=none
}
$way
sync
/usr/bin/efibootmgr -q -c -d /dev/vda -p 1 -L debian -l '\\EFI\\BOOT\\BOOTX64.EFI'
reboot -f
"""

# Of the system at $root, whose ESP is mounted there.
_LOADER = """\
for folder in BOOT debian; do
    mkdir -p "$root/boot/efi/EFI/$folder"
    cp "$root/boot/grub/stub.cfg" "$root/boot/efi/EFI/$folder/grub.cfg"
done
cp "$root/usr/lib/shim/shimx64.efi.signed" "$root/boot/efi/EFI/BOOT/BOOTX64.EFI"
cp "$root/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed" "$root/boot/efi/EFI/BOOT/grubx64.efi"
"""

_MENU = """\
set default=0
set timeout=1
insmod all_video
terminal_input console
terminal_output console
menuentry 'Debian' {{
    insmod part_gpt
    insmod ext2
    search --no-floppy --fs-uuid --set=root {root}
    linux /boot/vmlinuz-{kernel} root=UUID={root} ro console=tty0 console=ttyS0,115200 quiet
    initrd /boot/initrd.img-{kernel}
}}
"""


@dataclass(frozen=True)
class ByHand:
    """All files of it, below `folder`."""

    folder: Path

    @property
    def router(self) -> RouterSpec:
        """dnsmasq, for the rack: it gives addresses and the loader."""
        lines = ("enable-tftp", f"tftp-root={self.folder / 'tftp'}")
        return RouterSpec(extra_lines=lines, boot_file="shimx64.efi")

    @contextlib.contextmanager
    def serving(self, rack: Rack) -> Iterator[None]:
        """nginx, in the appliance's place."""
        program, address = peers.need("nginx", "nginx-light"), _address(rack)
        config, log = self.folder / "nginx.conf", self.folder / "nginx.log"
        config.write_text(_NGINX.format(folder=self.folder, address=address))
        with peers.running(rack, [program, "-c", config], log):
            peers.wait_tcp(rack, address, 80, log)
            yield

    def arm(self, rack: Rack, way: str) -> None:
        """The next machine that boots from the network is installed that way."""
        config = self.folder / "tftp/grub/grub.cfg"
        config.write_text(_GRUB.format(address=_address(rack), way=way))
        self._reports.unlink(missing_ok=True)
        nginx = (self.folder / "nginx.pid").read_text().strip()
        subprocess.run(["kill", "-USR1", nginx], check=True)  # to open its log anew

    @property
    def reported(self) -> float | None:
        """When an installed system said that it is well, in seconds since 1970."""
        with contextlib.suppress(FileNotFoundError):
            if lines := self._reports.read_text().splitlines():
                return float(lines[0])
        return None

    @property
    def _reports(self) -> Path:
        return self.folder / "health.log"


def make(folder: Path, store: ArtifactStore, address: str, golden: Path) -> ByHand:
    """Everything that is served, from the media in the store.

    :param address: of nginx
    :param golden: the disk that `golden` has made
    """
    here = ByHand(folder)
    files, tftp = folder / "files", folder / "tftp"
    for place in (files, tftp / "grub"):
        place.mkdir(parents=True)
    loaders, ramdisk = (store.manifest(name) for name in _MEDIA)
    for role in _MEDIA["loaders"]:
        shutil.copyfile(_path(store, loaders, role), tftp / role.rpartition("/")[2])
    shutil.copyfile(_path(store, ramdisk, "kernel"), files / "vmlinuz")
    whole = folder / "ramdisk/whole"
    modules = _unpacked(store, ramdisk, whole)
    _ramdisk(folder / "ramdisk/tree", whole, modules, files / "initrd.img")
    medium = store.manifest("debian-12-cloud")
    (files / "archive.tar.zst").symlink_to(_path(store, medium, "archive"))
    health = f"http://{address}/health"
    own = _own(folder / "own", str(medium.facts["kernel_version"]), health)
    _call("tar", "-cf", files / "own.tar", "--owner=0", "--group=0", "-C", own, ".")
    disk = folder / "disk.raw"
    _call("cp", "--sparse=always", golden, disk)
    with _mounted(disk, folder / "root") as root:
        _copy_own(own, root)
    _call(peers.need("zstd", "zstd"), "-q", "-T0", disk, "-o", files / "disk.raw.zst")
    disk.unlink()
    return here


def golden(folder: Path, store: ArtifactStore, size: int) -> Path:
    """The disk of a machine that was installed by hand, with nothing about reports on it."""
    medium = store.manifest("debian-12-cloud")
    disk = folder / "golden.raw"
    with disk.open("wb") as stream:
        stream.truncate(size)
    _call("sfdisk", "-q", disk, stdin=_TABLE)
    with _loop(disk, _FIRST, _SECOND - _FIRST) as device:
        _call("mkfs.vfat", "-F", "32", "-i", _ESP.replace("-", ""), device)
    with _loop(disk, _SECOND, size - _SECOND - _FIRST) as device:
        _call("mkfs.ext4", "-F", "-q", "-U", _ROOT, device)
    own = _own(folder / "own-golden", str(medium.facts["kernel_version"]), None)
    with _mounted(disk, folder / "root") as root:
        words = ("--numeric-owner", "--xattrs", "--xattrs-include=*", "--acls")
        _call("tar", "-x", "-p", *words, "-C", root, "-f", _path(store, medium, "archive"))
        _copy_own(own, root)
        _call("sh", "-ec", f"root={root}\n{_LOADER}")
        # not every host's kernel knows FAT
        with _loop(disk, _FIRST, _SECOND - _FIRST) as device:
            _call(peers.need("mcopy", "mtools"), "-s", "-i", device, root / "boot/efi/EFI", "::")
        shutil.rmtree(root / "boot/efi/EFI")
    return disk


def _own(folder: Path, kernel: str, health: str | None) -> Path:
    """What makes the archive this machine's system, as a tree."""
    uuid = f"UUID={_ROOT}"
    texts = {
        "etc/hostname": "node1\n",
        "etc/hosts": "127.0.0.1 localhost\n127.0.1.1 node1\n",
        "etc/fstab": f"{uuid} / ext4 noatime 0 1\nUUID={_ESP} /boot/efi vfat umask=0077 0 1\n",
        "etc/systemd/network/10-wired.network": "[Match]\nName=en* eth*\n\n[Network]\nDHCP=yes\n",
        "boot/grub/grub.cfg": _MENU.format(root=_ROOT, kernel=kernel),
        "boot/grub/stub.cfg": f"search.fs_uuid {_ROOT} root\nset prefix=($root)/boot/grub\n"
        "configfile $prefix/grub.cfg\n",
    }
    for name, text in texts.items():
        _write(folder / name, text, 0o644)
    if health:
        for file in firstboot.files(health):
            _write(folder / file.path, file.text, file.mode)
        unit = f"etc/systemd/system/{firstboot.UNIT}"
        link = folder / "etc/systemd/system/multi-user.target.wants" / firstboot.UNIT
        link.parent.mkdir(parents=True)
        link.symlink_to(f"/{unit}")
    return folder


def _copy_own(own: Path, root: Path) -> None:
    _call("cp", "-r", "-P", "--preserve=mode", f"{own}/.", root)


def _write(path: Path, text: str, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def _unpacked(store: ArtifactStore, ramdisk: Manifest, whole: Path) -> bytes:
    """All programs of the appliance's ramdisk, both of its parts, in a folder; the first part's
    modules as they are."""
    programs, modules = _parts(_path(store, ramdisk, "initrd"))
    whole.mkdir(parents=True)
    unpack = [peers.need("cpio", "cpio"), "-idm", "--quiet", "--no-absolute-filenames"]
    subprocess.run(unpack, input=programs, cwd=whole, check=True)
    with zstandard.open(_path(store, ramdisk, "tools"), "rb") as plain:
        subprocess.run(["tar", "-x"], input=plain.read(), cwd=whole, check=True)
    return modules


def _ramdisk(tree: Path, whole: Path, modules: bytes, target: Path) -> None:
    """busybox and a handful of programs, and the modules that the appliance's loader brings."""
    userland.make_skeleton(tree)
    for name in ("dev", "mnt", "proc", "run", "sys", "tmp"):
        (tree / name).mkdir()
    for name in (*_PROGRAMS, *userland.libraries(whole, _PROGRAMS)):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(whole / name, tree / name)
    # busybox has a dd without holes; the host's needs the C library and nothing else
    shutil.copy(peers.need("dd", "coreutils"), tree / "usr/bin/dd")
    for name in ("bin", "sbin"):
        for path in (whole / "usr" / name).iterdir():
            if path.is_symlink() and path.readlink().name == "busybox":
                link = tree / "usr" / name / path.name
                if not link.exists():
                    link.symlink_to(path.readlink())
    for name, to in _NAMES.items():
        (tree / name).unlink(missing_ok=True)
        (tree / name).symlink_to(to)
    _write(tree / "init", _init(), 0o755)
    _write(tree / "lease", _LEASE, 0o755)
    plain = tree.with_name("tree.cpio")
    with plain.open("wb") as stream:
        archive = CpioWriter(stream)
        archive.tree(tree)
        archive.character_device("dev/console", 5, 1)
        archive.close()
    packed = zstandard.ZstdCompressor(level=19).compress(plain.read_bytes())
    target.write_bytes(packed + padding(len(packed)) + modules)


def _init() -> str:
    filled = {"LOADER": _LOADER, "TABLE": _TABLE, "ROOT": _ROOT, "FAILED": FAILED}
    text = _INIT.replace("@ESP_NUMBER@", _ESP.replace("-", ""))
    for name, value in filled.items():
        text = text.replace(f"@{name}@", value)
    return text


def _parts(initrd: Path) -> tuple[bytes, bytes]:
    """The userland, unpacked, and the modules, as they are: the first two of its archives."""
    data = initrd.read_bytes()
    reader = zstandard.ZstdDecompressor().decompressobj()
    programs = reader.decompress(data)
    rest = reader.unused_data.lstrip(b"\0")
    reader = zstandard.ZstdDecompressor().decompressobj()
    reader.decompress(rest)
    return programs, rest[: len(rest) - len(reader.unused_data)]


@contextlib.contextmanager
def _mounted(disk: Path, at: Path) -> Iterator[Path]:
    """The second partition."""
    at.mkdir(exist_ok=True)
    with _loop(disk, _SECOND, disk.stat().st_size - _SECOND - _FIRST) as device:
        _call("mount", "-t", "ext4", device, at)
        try:
            yield at
        finally:
            _call("umount", at)


@contextlib.contextmanager
def _loop(disk: Path, start: int, size: int) -> Iterator[str]:
    words = ("losetup", "--find", "--show", "-o", str(start), "--sizelimit", str(size))
    device = _call(*words, disk).strip()
    try:
        yield device
    finally:
        _call("losetup", "--detach", device)


def _address(rack: Rack) -> str:
    return rack.spec.appliance.partition("/")[0]


def _path(store: ArtifactStore, manifest: Manifest, role: str) -> Path:
    return store.path(manifest.artifact(role).sha256).absolute()


def _call(*words: str | Path, stdin: str | None = None) -> str:
    argv = [str(word) for word in words]
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BrokenError(f"{' '.join(argv)[:200]} failed: {done.stderr.strip()[-1000:]}")
    return done.stdout
