"""The deploy ramdisk's programs, picked out of Debian 13's packages with the libraries they need.

There are two parts: what the loader brings, and what the agent fetches when its order needs more.
Loaders fetch slowly (GRUB a few MB/s on some firmware), and every machine waits for them.

Nothing is installed: packages are unpacked into a *toolbox*, and what the agent needs is copied out
of it. The few programs that must run at build time (Python's compiler, depmod, zstd, busybox to
list its applets) stand on a *bench*: packages of this host's architecture, of the same release, run
by chroot. So the host needs dpkg-deb and apt only, and the ramdisk may be of another architecture:
none of its own programs runs. The toolbox and all work stand inside the bench.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ironwake.errors import BrokenError
from ironwake_ramdisk import elf

PYTHON = "python3.13"

# Programs in the ramdisk, and the packages that hold them and their libraries. A missing library
# stops the build by name, so this list cannot silently fall behind.
PACKAGES = (
    *("busybox-static", "dosfstools", "e2fsprogs", "efibootmgr", "fdisk", "kmod", "mount", "tar"),
    *("util-linux", "zstd", f"{PYTHON}-minimal", f"lib{PYTHON}-minimal", f"lib{PYTHON}-stdlib"),
    *("libc6", "libacl1", "libblkid1", "libcap2", "libcom-err2", "libefiboot1t64", "libefivar1t64"),
    *("libexpat1", "libext2fs2t64", "libfdisk1", "libffi8", "libgcc-s1", "liblz4-1", "liblzma5"),
    *("libmount1", "libpcre2-8-0", "libpopt0", "libreadline8t64", "libselinux1", "libsmartcols1"),
    *("libssl3t64", "libtinfo6", "libudev1", "libuuid1", "libxxhash0", "libzstd1", "zlib1g"),
    # for layouts
    *("btrfs-progs", "cryptsetup-bin", "lvm2", "mdadm", "xfsprogs"),
    *("libaio1t64", "libcryptsetup12", "libsystemd0", "libdevmapper1.02.1", "libedit2", "libbsd0"),
    *("libdevmapper-event1.02.1", "libinih1", "libjson-c5", "liblzo2-2", "libmd0", "liburcu8t64"),
    # to wipe, and to let a person in
    *("nvme-cli", "libnvme1t64", "libkeyutils1"),
    *("dropbear-bin", "libcrypt1", "libgmp10", "libtomcrypt1", "libtommath1"),
)

# What the bench is made of; of the same names as above, so that one download does for both.
BENCH = (
    *("busybox-static", "kmod", "zstd", f"{PYTHON}-minimal", f"lib{PYTHON}-minimal"),
    *(f"lib{PYTHON}-stdlib", "libc6", "libexpat1", "libffi8", "libgcc-s1", "liblz4-1", "liblzma5"),
    *("libssl3t64", "libxxhash0", "libzstd1", "zlib1g"),
)


@dataclass(frozen=True)
class Part:
    """Programs, libraries that Python loads by name, and links to programs."""

    programs: tuple[str, ...]
    libraries: tuple[str, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)


# What the loader brings, and so every machine waits for: what an archive needs on the usual layout.
FIRST = Part(
    (
        *("usr/bin/busybox", f"usr/bin/{PYTHON}", "usr/bin/efibootmgr", "usr/bin/mount"),
        *("usr/bin/tar", "usr/bin/umount", "usr/sbin/blkdiscard", "usr/sbin/blockdev"),
        *("usr/sbin/mke2fs", "usr/sbin/mkfs.fat", "usr/sbin/mkswap", "usr/sbin/sfdisk"),
        "usr/sbin/wipefs",
    ),
    ("libzstd.so.1",),  # the agent unpacks by it
    {
        "usr/bin/python3": PYTHON,
        "usr/sbin/mkfs.ext4": "mke2fs",
        "usr/sbin/mkfs.vfat": "mkfs.fat",
    },
)

# What the agent fetches when its order needs more.
TOOLS = Part(
    (
        # for people, in scripts and in the rescue system
        *("usr/bin/findmnt", "usr/bin/lsblk", "usr/bin/partx"),
        # for layouts
        *("usr/bin/btrfs", "usr/sbin/cryptsetup", "usr/sbin/lvm", "usr/sbin/mdadm"),
        *("usr/sbin/mkfs.btrfs", "usr/sbin/mkfs.xfs", "usr/sbin/xfs_repair"),
        # for images
        *("usr/bin/btrfstune", "usr/bin/zstd", "usr/sbin/blkid", "usr/sbin/e2fsck"),
        *("usr/sbin/fatlabel", "usr/sbin/resize2fs", "usr/sbin/swaplabel", "usr/sbin/tune2fs"),
        *("usr/sbin/xfs_db", "usr/sbin/xfs_growfs"),
        # to wipe, and to let a person in
        *("usr/bin/dropbearkey", "usr/sbin/dropbear", "usr/sbin/nvme"),
    ),
    links={
        "usr/sbin/fsck.ext4": "e2fsck",
        **{f"usr/sbin/{name}": "lvm" for name in ("pvcreate", "vgcreate", "lvcreate", "vgchange")},
    },
)

# Merged /usr, as in Debian: shebangs and the kernel's own calls (/sbin/modprobe) work either way.
_MERGED = ("bin", "sbin", "lib", "lib64")
_MOUNT_POINTS = ("dev", "mnt", "proc", "run", "sys", "tmp", "root", "var")

# Of the standard library, what neither an HTTP, JSON, subprocess and hashing program needs, nor the
# compiler. hashlib has OpenSSL's code: whatever is installed is hashed, and six times faster by it
# than by Python's own.
_PYTHON_OUT = (
    *("__phello__", "_pydecimal", "_pyio", "_pyrepl", "asyncio", "bdb", "cProfile"),
    *("ctypes/macholib", "ctypes/test", "curses", "dbm", "decimal", "doctest", "ensurepip"),
    *("ftplib", "html", "idlelib", "imaplib", "lib2to3", "mailbox", "multiprocessing", "optparse"),
    *("pdb", "pickletools", "plistlib", "poplib", "profile", "pstats", "pydoc", "pydoc_data"),
    *("smtplib", "sqlite3", "statistics", "sysconfig", "test", "tkinter", "trace", "turtle"),
    *("turtledemo", "xml"),
    *("unittest", "venv", "wsgiref", "xmlrpc", "_ios_support", "_android_support", "_osx_support"),
)
_SHARED_OUT = (
    *("_bz2", "_codecs_", "_curses", "_dbm", "_decimal", "_lsprof", "_lzma"),
    *("_multibytecodec", "_sqlite3", "_ssl", "_test", "_uuid", "_xxtestfuzz", "readline", "xx"),
    *("_multiprocessing", "_posixshmem", "_interp"),
)
_ENCODINGS = {
    *("__init__", "aliases", "ascii", "base64_codec", "cp437", "hex_codec", "idna", "latin_1"),
    *("punycode", "raw_unicode_escape", "unicode_escape", "utf_16", "utf_16_le", "utf_32"),
    *("utf_8", "utf_8_sig"),
}


def unpack(debs: Iterable[Path], toolbox: Path) -> None:
    """Unpack packages into one tree with a merged /usr."""
    make_skeleton(toolbox)
    for deb in debs:
        subprocess.run(["dpkg-deb", "-x", deb, toolbox], check=True)


def make_skeleton(root: Path) -> None:
    """Make the folders of an empty root, with a merged /usr."""
    for name in _MERGED:
        (root / "usr" / name).mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(f"usr/{name}")


def assemble(bench: Path, toolbox: Path, target: Path) -> None:
    """Copy the first part and Python from the toolbox into a new root at `target`.

    :param bench: both stand inside it
    """
    make_skeleton(target)
    for name in _MOUNT_POINTS:
        (target / name).mkdir()
    _copy_python(toolbox, target)
    extensions = sorted((target / "usr/lib" / PYTHON / "lib-dynload").glob("*.so"))
    copy_part(toolbox, FIRST, target, [path.relative_to(target).as_posix() for path in extensions])
    _link_busybox(bench, target)
    library = f"usr/lib/{PYTHON}"
    inside = f"/{(target / library).relative_to(bench).as_posix()}"
    compile_python(bench, inside, f"/{library}", optimize=2)
    for source in sorted((target / "usr/lib" / PYTHON).rglob("*.py")):
        source.unlink()


def copy_part(
    toolbox: Path, part: Part, target: Path, more: Iterable[str] = (), there: Path | None = None
) -> None:
    """Copy a part's programs, with the libraries that they need, into a folder.

    :param more: what stands in the toolbox, too, and needs libraries
    :param there: a root that has some of them already, and is below this one
    """
    own = [*part.programs, *(_need(toolbox, name) for name in part.libraries)]
    for name in sorted({*own, *libraries(toolbox, [*own, *more])}):
        if there is None or not (there / name).exists():
            _copy(toolbox, target, name)
    for name, to in part.links.items():
        (target / name).symlink_to(to)


def in_root(root: Path, *command: str) -> str:
    """Run a program of an unpacked tree in it, and give what it printed."""
    done = subprocess.run(
        ["chroot", root, *command],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/sbin:/usr/bin", "LC_ALL": "C.UTF-8"},
    )
    if done.returncode != 0:
        raise BrokenError(
            f"{' '.join(command)[:200]} ended with {done.returncode}: {done.stderr.strip()[-300:]}",
            "building needs root (chroot)" if done.returncode == 125 else "",
        )
    return done.stdout


def compile_python(bench: Path, folder: str, name: str, optimize: int) -> None:
    """Compile a folder inside the bench, by its Python, to .pyc beside the sources.

    Those are the same for every architecture. Unchecked: nobody compares times at boot, and the
    bytes do not depend on when it was built.

    :param name: the folder's name when it is run, for tracebacks
    """
    script = (
        "import compileall, py_compile, sys;"
        f"sys.exit(not compileall.compile_dir({folder!r}, ddir={name!r}, quiet=1, legacy=True,"
        " force=True,"
        f" optimize={optimize}, maxlevels=20,"
        " invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH))"
    )
    in_root(bench, f"/usr/bin/{PYTHON}", "-I", "-S", "-B", "-c", script)


def libraries(toolbox: Path, programs: Iterable[str]) -> set[str]:
    """All libraries that these programs load, and the dynamic linker, relative to the toolbox.

    :raises BrokenError: naming a library that no unpacked package has
    """
    found: set[str] = set()
    todo = list(programs)
    while todo:
        program = todo.pop()
        for name in elf.needed(toolbox / program):
            library = _find(toolbox, name)
            if library is None:
                raise BrokenError(f"{program} needs {name}", "add its package to PACKAGES")
            if library not in found:
                found.add(library)
                todo.append(library)
    return found


def _need(toolbox: Path, name: str) -> str:
    library = _find(toolbox, name)
    if library is None:
        raise BrokenError(f"no unpacked package has {name}", "add its package to PACKAGES")
    return library


def _find(toolbox: Path, name: str) -> str | None:
    """Where a library stands: the linker has its name in full, the others the last part only."""
    if name.startswith("/"):
        return f"usr{name}" if (toolbox / f"usr{name}").exists() else None
    folders = ("usr/lib64", "usr/lib", *_triplets(toolbox))
    return next((f"{at}/{name}" for at in folders if (toolbox / at / name).exists()), None)


def _triplets(toolbox: Path) -> tuple[str, ...]:
    """Debian's folder of libraries, such as usr/lib/aarch64-linux-gnu: the one with the libc."""
    found = (toolbox / "usr/lib").glob("*/libc.so.6")
    return tuple(path.parent.relative_to(toolbox).as_posix() for path in found)


def _copy(toolbox: Path, target: Path, name: str) -> None:
    """Copy one file; a link is followed, its name stays (libraries are looked up by soname)."""
    destination = target / name
    destination.parent.mkdir(parents=True, exist_ok=True)
    source = toolbox / name
    if not source.exists():
        raise BrokenError(f"no unpacked package has {name}", "add its package to PACKAGES")
    shutil.copyfile(source, destination)
    destination.chmod(0o755)


def _copy_python(toolbox: Path, target: Path) -> None:
    library = f"usr/lib/{PYTHON}"

    def unwanted(folder: str, names: list[str]) -> set[str]:
        inside = Path(folder).relative_to(toolbox / library).as_posix()
        return {name for name in names if not _python_wanted(inside, name)}

    shutil.copytree(toolbox / library, target / library, symlinks=False, ignore=unwanted)


def _python_wanted(folder: str, name: str) -> bool:
    stem = name.split(".")[0]
    # sitecustomize is a link into /etc, which is not there
    if name in ("__pycache__", "sitecustomize.py") or name.startswith("config-"):
        return False
    if folder == "lib-dynload":
        return name.endswith(".so") and not name.startswith(_SHARED_OUT)
    if folder == "encodings":
        return stem in _ENCODINGS
    inside = stem if folder == "." else f"{folder}/{stem}"
    suffix = name.partition(".")[2]
    return inside not in _PYTHON_OUT and suffix in ("", "py")


def _link_busybox(bench: Path, target: Path) -> None:
    """Give each applet a name, except where the real program is there, or may come.

    Debian builds it with the same applets for every architecture, so the bench's own may list them.
    """
    taken = {path.name for folder in ("bin", "sbin") for path in (target / folder).iterdir()}
    taken |= {name.rpartition("/")[2] for name in (*TOOLS.programs, *TOOLS.links)}
    for applet in in_root(bench, "/usr/bin/busybox", "--list").split():
        if applet not in taken:
            folder = "sbin" if applet in ("modprobe", "udhcpc") else "bin"
            link = target / "usr" / folder / applet
            link.symlink_to("busybox" if folder == "bin" else "../bin/busybox")
