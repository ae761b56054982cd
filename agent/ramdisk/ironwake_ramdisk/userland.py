"""The deploy ramdisk's programs, picked out of Debian 13's packages with the libraries they need.

Nothing is installed: packages are unpacked into a *toolbox*, and what the agent needs is copied out
of it. The few programs that must run at build time (the linker's `--list`, Python's compiler,
depmod, zstd) are the toolbox's own, by chroot, so the host needs dpkg-deb and apt only.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from ironwake.errors import BrokenError

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
)

TOOLS = (
    *("usr/bin/busybox", f"usr/bin/{PYTHON}", "usr/bin/efibootmgr", "usr/bin/findmnt"),
    *("usr/bin/lsblk", "usr/bin/mount", "usr/bin/partx", "usr/bin/tar", "usr/bin/umount"),
    *("usr/bin/zstd", "usr/sbin/blkdiscard", "usr/sbin/blkid", "usr/sbin/blockdev"),
    *("usr/sbin/e2fsck", "usr/sbin/mke2fs", "usr/sbin/mkfs.fat", "usr/sbin/mkswap"),
    *("usr/sbin/resize2fs", "usr/sbin/sfdisk", "usr/sbin/tune2fs", "usr/sbin/wipefs"),
)

LINKS = {
    "usr/bin/python3": PYTHON,
    "usr/sbin/mkfs.ext4": "mke2fs",
    "usr/sbin/mkfs.vfat": "mkfs.fat",
    "usr/sbin/fsck.ext4": "e2fsck",
}

# Merged /usr, as in Debian: shebangs and the kernel's own calls (/sbin/modprobe) work either way.
_MERGED = ("bin", "sbin", "lib", "lib64")
_MOUNT_POINTS = ("dev", "mnt", "proc", "run", "sys", "tmp", "root", "var")

# Of the standard library, what neither an HTTP, JSON, subprocess and hashing program needs, nor the
# compiler. hashlib falls back from OpenSSL to Python's own code, so libcrypto (5 MB) stays out.
_PYTHON_OUT = (
    *("__phello__", "_pydecimal", "_pyrepl", "ctypes/macholib", "ctypes/test", "curses", "dbm"),
    *("decimal", "doctest", "ensurepip", "idlelib", "lib2to3", "multiprocessing", "pdb", "pydoc"),
    *("pydoc_data", "sqlite3", "sysconfig", "test", "tkinter", "turtle", "turtledemo"),
    *("unittest", "venv", "wsgiref", "xmlrpc", "_ios_support", "_android_support", "_osx_support"),
)
_SHARED_OUT = (
    *("_bz2", "_codecs_", "_curses", "_dbm", "_decimal", "_hashlib", "_lsprof", "_lzma"),
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


def assemble(toolbox: Path, target: Path) -> None:
    """Copy tools, libraries and Python from the toolbox into a new root at `target`."""
    make_skeleton(target)
    for name in _MOUNT_POINTS:
        (target / name).mkdir()
    for tool in TOOLS:
        _copy(toolbox, target, tool)
    for name, to in LINKS.items():
        (target / name).symlink_to(to)
    _copy_python(toolbox, target)
    extensions = sorted((target / "usr/lib" / PYTHON / "lib-dynload").glob("*.so"))
    programs = [*TOOLS, *(path.relative_to(target).as_posix() for path in extensions)]
    for library in sorted({lib for program in programs for lib in _libraries(toolbox, program)}):
        _copy(toolbox, target, library)
    _link_busybox(toolbox, target)
    compile_python(target, f"/usr/lib/{PYTHON}", optimize=2)
    for source in sorted((target / "usr/lib" / PYTHON).rglob("*.py")):
        source.unlink()


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


def compile_python(root: Path, folder: str, optimize: int) -> None:
    """Compile a folder inside a root, by that root's Python, to .pyc beside the sources.

    Unchecked: nobody compares times at boot, and the bytes do not depend on when it was built.
    """
    script = (
        "import compileall, py_compile, sys;"
        f"sys.exit(not compileall.compile_dir({folder!r}, quiet=1, legacy=True, force=True,"
        f" optimize={optimize}, maxlevels=20,"
        " invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH))"
    )
    in_root(root, f"/usr/bin/{PYTHON}", "-I", "-S", "-B", "-c", script)


def _libraries(toolbox: Path, program: str) -> list[str]:
    """Ask the toolbox's own dynamic linker what a program loads."""
    if program == "usr/bin/busybox":
        return []  # static
    listed = in_root(toolbox, "/lib64/ld-linux-x86-64.so.2", "--list", f"/{program}")
    if "not found" in listed:
        missing = [line.split()[0] for line in listed.splitlines() if "not found" in line]
        raise BrokenError(f"{program} needs {', '.join(missing)}", "add its package to PACKAGES")
    words = [word for line in listed.splitlines() for word in line.split()]
    return [f"usr{word}" for word in words if word.startswith(("/lib/", "/lib64/"))]


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


def _link_busybox(toolbox: Path, target: Path) -> None:
    """Give each applet a name, except where the real program is there."""
    taken = {path.name for folder in ("bin", "sbin") for path in (target / folder).iterdir()}
    for applet in in_root(toolbox, "/usr/bin/busybox", "--list").split():
        if applet not in taken:
            folder = "sbin" if applet in ("modprobe", "udhcpc") else "bin"
            link = target / "usr" / folder / applet
            link.symlink_to("busybox" if folder == "bin" else "../bin/busybox")
