"""A whole disk image on a larger disk: loop devices, Debian's tools, a system of a few files.

Kernels of test machines may have no vfat: mtools copy an ESP's files out and in again.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from ironwake import partitions
from ironwake.disk import AUTO, Disk
from ironwake.errors import BrokenError, GoneError, IronwakeError, RefusedError
from ironwake.names import KernelWord
from ironwake.order import DiskImage
from ironwake.parameters.model import RootPolicy, Scripts, Security
from ironwake.parameters.network import Device, Network
from ironwake.profile import Ids, Seed
from ironwake.sizes import MIB
from ironwake_agent import commands, scripts
from ironwake_agent.image.deploy import Task, deploy
from ironwake_agent.network import Lease
from ironwake_agent.steps import Step
from tests.agent.image.packs import Pack, Server, served, ways
from tests.agent.rig import KEY, order

pytestmark = pytest.mark.root

ROOT_GUID = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"
FILES = {
    "etc/os-release": "PRETTY_NAME=Test\n",
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\n",
    "etc/shadow": "root:*:19000:0:99999:7:::\n",
    "etc/group": "root:x:0:\nsudo:x:27:\n",
    "etc/gshadow": "root:*::\nsudo:*::\n",
    "etc/hostname": "golden\n",
    "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
    "etc/ssh/ssh_host_ed25519_key": "the golden machine's\n",
    "etc/default/grub": 'GRUB_CMDLINE_LINUX=""\n',
    "usr/lib/systemd/systemd": "",
    "usr/lib/systemd/systemd-networkd": "",
    "usr/bin/ssh-keygen": "",
    "usr/bin/cloud-init": "",
    "var/lib/data": "precious\n" * 1000,
}


def _run(*words: str, text: str = "") -> str:
    done = subprocess.run(words, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


@contextmanager
def looped(path: Path) -> Iterator[str]:
    """A loop device with partitions."""
    device = _run("losetup", "--find", "--show", "--partscan", str(path)).strip()
    try:
        subprocess.run(["partx", "--add", device], check=False, capture_output=True)
        yield device
    finally:
        subprocess.run(["partx", "--delete", device], check=False, capture_output=True)
        subprocess.run(["losetup", "--detach", device], check=False)


@contextmanager
def mounted(device: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as place:
        _run("mount", device, place)
        try:
            yield Path(place)
        finally:
            _run("umount", place)


@contextmanager
def esp_files(device: str) -> Iterator[Path]:
    """An ESP's files, written back in the end."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        _out(device, place)
        yield place
        _back(device, place)


def _out(device: str, place: Path) -> None:
    subprocess.run(["mcopy", "-s", "-n", "-i", device, "::*", place], check=False, timeout=60)


def _back(device: str, place: Path) -> None:
    inside = [str(path) for path in place.iterdir()]
    if inside:
        _run("mcopy", "-s", "-o", "-i", device, *inside, "::")


def _part_uuid(device: str, number: int) -> str:
    """As the kernel says it: for an MSDOS table, the disk's number and the partition's."""
    disk_id = _run("sfdisk", "--disk-id", device).strip().lower()
    if disk_id.startswith("0x"):
        return f"{disk_id[2:]}-{number:02x}"
    return _run("sfdisk", "--part-uuid", device, str(number)).strip().lower()


def _id(device: str, what: str) -> str:
    return _run("blkid", "-p", "-o", "value", "-s", what, device).strip()


def golden(folder: Path, kind: str, label: str = "gpt") -> Pack:
    """A disk with an ESP and a root of that kind, which takes the rest of it."""
    path = folder / f"golden-{kind}-{label}"
    with path.open("wb") as stream:
        stream.truncate((420 if kind == "xfs" else 180) * MIB)
    esp = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B" if label == "gpt" else "ef"
    root = ROOT_GUID if label == "gpt" else "83"
    table = f"label: {label}\nstart=2048, size=69632, type={esp}\nstart=71680, type={root}\n"
    _run("sfdisk", "-q", str(path), text=table)
    with looped(path) as device:
        _run("mkfs.vfat", "-F", "32", f"{device}p1")
        force = "-F" if kind == "ext4" else "-f"
        _run(f"mkfs.{kind}", "-q", force, f"{device}p2")
        esp_id, root_id = _id(f"{device}p1", "UUID"), _id(f"{device}p2", "UUID")
        part = _part_uuid(device, 2)
        with mounted(f"{device}p2") as place:
            for name, text in FILES.items():
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                (place / name).write_text(text)
            (place / "etc/fstab").write_text(
                f"UUID={root_id} / {kind} defaults 0 1\nUUID={esp_id} /boot/efi vfat umask=77 0 2\n"
            )
            (place / "boot/grub").mkdir(parents=True)
            (place / "boot/efi").mkdir()
            (place / "boot/grub/grub.cfg").write_text(
                f"\tsearch --fs-uuid --set=root {root_id.upper()}\n"
                f"\tlinux /boot/vmlinuz root=PARTUUID={part} ro\n"
            )
        with esp_files(f"{device}p1") as place:
            for name in ("debian/shimx64.efi", "debian/grubx64.efi"):
                (place / "EFI" / name).parent.mkdir(parents=True, exist_ok=True)
                (place / "EFI" / name).write_text("a program")
            (place / "EFI/debian/grub.cfg").write_text(f"search.fs_uuid {root_id} root\n")
    pack = Pack(path.read_bytes())
    path.unlink()
    return pack


@pytest.fixture(scope="module")
def ext4(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    return golden(tmp_path_factory.mktemp("golden"), "ext4")


class Machine:
    """A disk on a loop device, and what an agent does with it."""

    def __init__(self, folder: Path, device: str, size: int) -> None:
        self.device = device
        self.disk = Disk(device, size, serial="LOOP")
        self.target = folder / "system"
        self.said: list[str] = []
        self.calls: list[tuple[str, ...]] = []
        self.esps: dict[str, str] = {}

    def run(self, *words: str, stdin: str = "", timeout: float = 300.0) -> str:
        """Everything but the firmware's variables, which are this host's own."""
        self.calls.append(words)
        if words[0] == "efibootmgr":
            return ""
        if words[:3] == ("mount", "-t", "vfat"):
            self.esps[words[-1]] = words[-2]
            commands.run("mount", "-t", "tmpfs", "none", words[-1])
            _out(words[-2], Path(words[-1]))
            return ""
        if words[0] == "umount" and words[1] in self.esps:
            _back(self.esps.pop(words[1]), Path(words[1]))
        return commands.run(*words, stdin=stdin, timeout=timeout)

    def deploy(
        self,
        pack: Pack,
        uefi: bool = True,
        step: object = None,
        disk: Disk | None = None,
        server: Server | None = None,
        **changes: object,
    ) -> None:
        with served(pack) as (own, place, index):
            if server:
                own.files = {**own.files, **server.files}
            image = DiskImage(
                *("web@1", place.url, place.size, index.url, pack.sha256, index.size),
                *(pack.index.size, AUTO),
            )
            of_image = {
                k: changes.pop(k) for k in ("ids", "seed", "verify", "boot_modes") if k in changes
            }
            image = replace(image, **of_image)  # type: ignore[arg-type]
            wanted = order(archive=None, image=image, least_disk=0, **changes)
            task = Task(
                run=self.run,
                say=self.said.append,
                step=step or (lambda *_: None),  # type: ignore[arg-type]
                disks=lambda: (disk or self.disk,),
                ear=scripts.Ear(self.said.append, lambda _: None),
                order=wanted,
                image=image,
                lease=Lease("eth0", "192.0.2.77"),
                target=self.target,
                uefi=uefi,
            )
            deploy(task, ways())


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    path = tmp_path / "disk"
    size = 700 * MIB
    with path.open("wb") as stream:
        for place in (0, 100 * MIB, size - MIB):
            stream.seek(place)
            stream.write(b"OLD!" * (MIB // 4))
    with looped(path) as device:
        yield Machine(tmp_path, device, size)


def _parts(device: str) -> None:
    """Let the kernel know what the table on the disk says, and nothing else."""
    _run("partx", "--delete", device)
    _run("partx", "--add", device)


def _head(device: str, count: int) -> bytes:
    with Path(device).open("rb") as stream:
        return stream.read(count)


def test_it_grows_and_is_this_machines_own(machine: Machine, ext4: Pack) -> None:
    """Table and file system fill the disk; name, network, user and keys are the order's."""
    machine.deploy(ext4, kernel_arguments=(KernelWord("quiet"),))
    _parts(machine.device)
    assert "No errors" in _run("sfdisk", "--verify", machine.device)
    assert int(_run("blockdev", "--getsize64", f"{machine.device}p2")) > 600 * MIB
    _run("e2fsck", "-f", "-n", f"{machine.device}p2")
    with mounted(f"{machine.device}p2") as place:
        assert (place / "etc/hostname").read_text() == "node1\n"
        assert (place / "etc/machine-id").read_text() == ""
        assert not list((place / "etc/ssh").glob("ssh_host_*"))
        assert KEY in (place / "home/admin/.ssh/authorized_keys").read_text()
        assert "sudo:x:27:admin" in (place / "etc/group").read_text()
        assert "52:54:00:77:00:10" in next((place / "etc/systemd/network").iterdir()).read_text()
        assert (place / "etc/ironwake/health-url").exists()
        assert (place / "var/lib/data").read_text() == FILES["var/lib/data"]
        assert "ro quiet\n" in (place / "boot/grub/grub.cfg").read_text()
        free = _run("df", "--output=size", "-B1", str(place)).split()[-1]
        assert int(free) > 550 * MIB
    with esp_files(f"{machine.device}p1") as place:
        assert (place / "EFI/BOOT/BOOTX64.EFI").read_text() == "a program"
    entry = next(call for call in machine.calls if call[:3] == ("efibootmgr", "-q", "-C"))
    assert entry[-1] == "\\EFI\\debian\\shimx64.efi"


@pytest.mark.parametrize("kind", ["xfs", "btrfs", "ext4-dos"])
def test_other_file_systems_and_tables_grow(machine: Machine, tmp_path: Path, kind: str) -> None:
    """XFS and btrfs while they are mounted; an MSDOS table's last partition, too."""
    name, _, label = kind.partition("-")
    pack = golden(tmp_path, name, label or "gpt")
    machine.deploy(pack, uefi=False, ids=Ids.NEW)
    _parts(machine.device)
    with mounted(f"{machine.device}p2") as place:
        assert int(_run("df", "--output=size", "-B1", str(place)).split()[-1]) > 500 * MIB
        uuid = _id(f"{machine.device}p2", "UUID")
        assert f"UUID={uuid} / " in (place / "etc/fstab").read_text()
        assert uuid in (place / "boot/grub/grub.cfg").read_text()


def test_two_clones_have_no_id_in_common(machine: Machine, ext4: Pack) -> None:
    """Disk, partitions and file systems; and every file that names one of them is right."""

    def ids() -> set[str]:
        _parts(machine.device)
        devices = (f"{machine.device}p1", f"{machine.device}p2")
        found = {_id(device, "UUID") for device in devices}
        found |= {_part_uuid(machine.device, number) for number in (1, 2)}
        found.add(_run("sfdisk", "--disk-id", machine.device).strip())
        with mounted(devices[1]) as place, esp_files(devices[0]) as esp:
            fstab = (place / "etc/fstab").read_text()
            assert all(f"UUID={_id(device, 'UUID')} " in fstab for device in devices)
            grub = (place / "boot/grub/grub.cfg").read_text()
            assert f"PARTUUID={_part_uuid(machine.device, 2)} " in grub
            assert _id(devices[1], "UUID") in (esp / "EFI/debian/grub.cfg").read_text()
        return found

    machine.deploy(ext4, ids=Ids.NEW, deployment="d-1")
    first = ids()
    again = replace(machine.disk, found=("ext4",))
    machine.deploy(ext4, ids=Ids.NEW, deployment="d-2", erase=("LOOP",), disk=again)
    assert len(first) == 5
    assert not first & ids()


def test_a_seed_tells_cloud_init(machine: Machine, ext4: Pack) -> None:
    """All of it stands in the seed, and cloud-init looks nowhere else."""
    machine.deploy(ext4, seed=Seed.NOCLOUD)
    _parts(machine.device)
    with mounted(f"{machine.device}p2") as place:
        seed = place / "var/lib/cloud/seed/nocloud"
        assert '"local-hostname": "node1"' in (seed / "meta-data").read_text()
        data = (seed / "user-data").read_text()
        assert data.startswith("#cloud-config\n")
        assert KEY in data
        assert "52:54:00:77:00:10" in (seed / "network-config").read_text()
        assert (place / "etc/hostname").read_text() == "golden\n"
        assert (place / "etc/ironwake/health-url").exists()


def test_without_a_seed_the_system_stays_as_it_is(machine: Machine, ext4: Pack) -> None:
    """But for the unit that reports its health."""
    machine.deploy(ext4, seed=Seed.NONE)
    _parts(machine.device)
    with mounted(f"{machine.device}p2") as place:
        for name in ("etc/hostname", "etc/machine-id", "etc/passwd"):
            assert (place / name).read_text() == FILES[name]
        assert (place / "etc/ironwake/health-url").exists()


@pytest.mark.parametrize(
    ("disk", "match"),
    [
        ({"size": 100 * MIB}, "too small"),
        ({"found": ("ext4",)}, "not blank"),
        ({"read_only": True}, "write-protected"),
    ],
)
def test_refusals_leave_the_disk_untouched(
    machine: Machine, ext4: Pack, disk: dict[str, object], match: str
) -> None:
    """Smaller, not blank, protected: nothing is written."""
    chosen = replace(machine.disk, **disk)  # type: ignore[arg-type]
    with pytest.raises(RefusedError, match=match):
        machine.deploy(ext4, disk=chosen)
    assert _head(machine.device, 4) == b"OLD!"


def test_a_script_before_the_first_write_may_end_it(machine: Machine, ext4: Pack) -> None:
    """Once the disk was chosen and guarded: what it refuses stays untouched."""
    before = _head(machine.device, machine.disk.size)
    with pytest.raises(BrokenError, match="the script pre ended with 3: not this one"):
        machine.deploy(ext4, scripts=Scripts(pre="echo not this one; exit 3"))
    assert _head(machine.device, machine.disk.size) == before


def test_what_was_stated_is_in_the_system_before_its_first_boot(
    machine: Machine, ext4: Pack
) -> None:
    """Network and root by the agent; a system that cannot be told something ends it by name."""
    network = Network((Device("lan", addresses=("192.0.2.9/24",)),), ("192.0.2.53",))
    machine.deploy(
        ext4, network=network, root=RootPolicy.KEYS, root_keys=(KEY,), security=Security.DISABLED
    )
    _parts(machine.device)
    with mounted(f"{machine.device}p2") as place:
        (card,) = (place / "etc/systemd/network").iterdir()
        assert "Address=192.0.2.9/24\n" in card.read_text()
        assert (place / "root/.ssh/authorized_keys").read_text() == f"{KEY}\n"
        assert " apparmor=0\n" in (place / "boot/grub/grub.cfg").read_text()
        assert "nameserver 192.0.2.53\n" in (place / "etc/resolv.conf").read_text()
    with pytest.raises(BrokenError, match=r"no time service .* parameters\.ntp"):
        machine.deploy(ext4, ntp=("192.0.2.7",))


def test_an_image_that_cannot_boot_here_is_refused(machine: Machine, ext4: Pack) -> None:
    """One that boots by UEFI only, on a machine with a BIOS: before the first write."""
    with pytest.raises(RefusedError, match="BIOS"):
        machine.deploy(ext4, uefi=False, boot_modes=("uefi",))
    assert _head(machine.device, 4) == b"OLD!"


def test_until_the_very_end_there_is_no_table(machine: Machine, ext4: Pack) -> None:
    """Whoever ends it at whichever step leaves a disk without a partition table."""
    for last in (Step.UNPACKING, Step.CONFIGURING, Step.BOOT_LOADER):

        def stop(step: Step, _: float, last: Step = last) -> None:
            if step is last:
                raise GoneError("cancelled")

        with pytest.raises(GoneError):
            machine.deploy(ext4, step=stop)
        head = _head(machine.device, MIB)
        assert head in (bytes(MIB), b"OLD!" * (MIB // 4))
        assert last is Step.UNPACKING or head == bytes(MIB)
    machine.deploy(ext4)
    raw = Path(machine.device).read_bytes()
    assert partitions.find(lambda start, count: raw[start : start + count], len(raw)).kind == "gpt"


def test_a_hostile_table_gets_onto_no_disk(machine: Machine, ext4: Pack) -> None:
    """A table whose copies differ is refused before the first write."""
    plain = bytearray(ext4.plain)
    plain[1024 + 40] ^= 1
    with pytest.raises(IronwakeError, match="checksum"):
        machine.deploy(Pack(bytes(plain)))
    assert _head(machine.device, 4) == b"OLD!"


def test_an_image_without_cloud_init_takes_no_seed(machine: Machine, ext4: Pack) -> None:
    """Said as such; and the disk does not boot."""
    plain = Pack(ext4.plain.replace(b"cloud-init", b"cloud-inix"))
    with pytest.raises(BrokenError, match="no cloud-init"):
        machine.deploy(plain, seed=Seed.NOCLOUD)
    assert not any(_head(machine.device, MIB))
