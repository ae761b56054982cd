"""Builds the deploy ramdisk: a signed kernel, and an initrd of three archives one after the other.

    userland (zstd) · modules (zstd) · agent (zstd)

And `tools`, a tar.zst of what few orders need: the agent lays it over the others when one does.

Userland and modules change with Debian and are built once per package set; the agent changes with
us and is only put at the end, so a new agent costs a second.

Any architecture is built on any host: what runs meanwhile is on the bench (`userland`).
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from ironwake.artifact import Fact, Manifest, ramdisk_name
from ironwake.firmware import Architecture
from ironwake_ramdisk import agentzip, modules, userland
from ironwake_ramdisk.cpio import CpioWriter, padding
from ironwake_runtime.apt import host_architecture
from ironwake_runtime.builds import Product, Recipe, Versions, Workshop

SUITE = "trixie"
_HERE = Path(__file__).parent
_ON_BENCH = "bench "  # before a package's name; no package has a blank in its own
_SOURCES = ("ramdisk.py", "cpio.py", "elf.py", "modules.py", "userland.py")
_FILES = {"init": "init", "ironwake/udhcpc.script": "udhcpc.script"}
_SETTINGS = {"etc/lvm/lvm.conf": "lvm.conf"}


def build(flavour: str, architecture: Architecture, agent_zipapp: Path, shop: Workshop) -> Manifest:
    """Publish `ramdisk-<flavour>`, for ARM64 with `-arm64` behind it; roles: `methods.ramdisk`.

    :param flavour: a key of modules.FLAVOURS
    :param agent_zipapp: run by the ramdisk's init as `python3 agent.pyz`
    """
    base = _base(modules.FLAVOURS[flavour], architecture, shop)
    name = ramdisk_name(flavour, architecture)
    sources = (agent_zipapp, _HERE / "ramdisk.py", _HERE / "agentzip.py", _HERE / "cpio.py")
    recipe = Recipe(name, "ramdisk", sources, {"base": base.inputs})

    def make(work: Path, _: Versions) -> Product:
        shop.progress(name, None, "putting the agent into the initrd")
        parts = {role: shop.built.path(base.artifact(role).sha256) for role in base.artifacts}
        bench = work / "bench"
        bench.mkdir()
        subprocess.run(["tar", "-xf", parts["bench"], "-C", bench], check=True)
        kernel, initrd = work / "vmlinuz", work / "initrd.img"
        shutil.copyfile(parts["kernel"], kernel)
        with initrd.open("wb") as stream:
            for role in ("userland", "modules"):
                data = parts[role].read_bytes()
                stream.write(data + padding(len(data)))
            stream.write(_agent(agent_zipapp, bench))
        tools = work / "tools.tar.zst"
        shutil.copyfile(parts["tools"], tools)
        facts = {key: value for key, value in base.facts.items() if key != "recipe"}
        return Product({"kernel": kernel, "initrd": initrd, "tools": tools}, facts)

    return shop.build(recipe, dict, make)


def _agent(zipapp: Path, bench: Path) -> bytes:
    plain = bench / "agent.cpio"
    with plain.open("wb") as stream:
        archive = CpioWriter(stream)
        archive.file("ironwake/agent.pyz", agentzip.precompile(zipapp, bench))
        archive.close()
    return _compress(bench, plain).read_bytes()


def _base(flavour: modules.Flavour, architecture: Architecture, shop: Workshop) -> Manifest:
    """Give kernel, userland, modules and tools, compressed, and the bench, in the cache."""
    own, host = shop.apt(SUITE, architecture), shop.apt(SUITE, host_architecture())
    name = ramdisk_name(f"base-{flavour.name}", architecture)
    sources = tuple(_HERE / file for file in _SOURCES)
    options = {"architecture": architecture, "host": host.architecture}
    recipe = Recipe(name, "ramdisk", (*sources, *sorted((_HERE / "files").iterdir())), options)

    def resolve() -> Versions:
        own.update()
        kernel = own.dependency(f"{flavour.kernel}-{architecture}", r"linux-image-\d.*")
        versions = own.resolve((*userland.PACKAGES, kernel), dependencies=False)
        if host.architecture != architecture:
            host.update()
        bench = host.resolve(userland.BENCH, dependencies=False)
        return versions | {f"{_ON_BENCH}{key}": text for key, text in bench.items()}

    def make(work: Path, versions: Versions) -> Product:
        shop.progress(name, 0.0, f"downloading {len(versions)} packages")
        bench, toolbox, tree, module_tree, later = _places(work)
        userland.unpack(host.download(_of(versions, _ON_BENCH), shop.debs), bench)
        files = {"bench": work / "bench.tar"}
        subprocess.run(["tar", "-cf", files["bench"], "-C", bench, "."], check=True)
        for folder in (toolbox, tree, module_tree, later):
            folder.mkdir()
        debs = own.download(_of(versions, ""), shop.debs)
        shop.progress(name, 0.2, "unpacking")
        userland.unpack(debs, toolbox)
        release = _kernel_release(toolbox)
        userland.assemble(bench, toolbox, tree)
        userland.copy_part(toolbox, userland.TOOLS, later, there=tree)
        shop.progress(name, 0.4, f"choosing modules of {release}")
        wanted = flavour.wanted(architecture)
        count = modules.assemble(bench, toolbox, release, wanted, (module_tree, later))
        plain = {role: bench / f"{role}.cpio" for role in ("userland", "modules")}
        plain["tools"] = bench / "tools.tar"
        _pack_userland(tree, plain["userland"])
        _pack(module_tree, plain["modules"])
        _pack_tools(later, plain["tools"])
        shop.progress(name, 0.5, "compressing")
        files |= {role: _compress(bench, path) for role, path in plain.items()}
        files["kernel"] = toolbox / f"boot/vmlinuz-{release}"
        size = sum(plain[role].stat().st_size for role in ("userland", "modules"))
        facts: dict[str, Fact] = {
            "kernel_version": release,
            "architecture": architecture,
            "modules": count,
            "unpacked_bytes": size,
        }
        return Product(files, facts)

    return shop.cached(recipe, resolve, make)


def _places(work: Path) -> tuple[Path, Path, Path, Path, Path]:
    """Bench, toolbox; roots of userland, modules, tools: all inside the bench, for its chroot."""
    bench = work / "bench"
    bench.mkdir()
    return bench, bench / "toolbox", bench / "tree", bench / "modules", bench / "later"


def _of(versions: Versions, prefix: str) -> Versions:
    """Those of the bench, or with an empty prefix, the others."""
    return {
        key.removeprefix(prefix): version
        for key, version in versions.items()
        if key.startswith(_ON_BENCH) == bool(prefix)
    }


def _kernel_release(toolbox: Path) -> str:
    (kernel,) = (toolbox / "boot").glob("vmlinuz-*")
    return re.sub(r"^vmlinuz-", "", kernel.name)


def _pack_userland(tree: Path, target: Path) -> None:
    with target.open("wb") as stream:
        archive = CpioWriter(stream)
        archive.tree(tree)
        # The kernel opens it for init before init can mount anything.
        archive.character_device("dev/console", 5, 1)
        archive.directory("etc")
        for folder in ("etc/lvm", "ironwake"):
            archive.directory(folder)
        for name, file in _FILES.items():
            archive.file(name, (_HERE / "files" / file).read_bytes(), 0o755)
        for name, file in _SETTINGS.items():
            archive.file(name, (_HERE / "files" / file).read_bytes())
        archive.close()


def _pack(tree: Path, target: Path) -> None:
    with target.open("wb") as stream:
        archive = CpioWriter(stream)
        archive.tree(tree)
        archive.close()


def _pack_tools(tree: Path, target: Path) -> None:
    same = (
        "--sort=name",
        "--mtime=@0",
        "--owner=0",
        "--group=0",
        "--numeric-owner",
        "--mode=go=rX",
    )
    subprocess.run(["tar", *same, "-cf", target, "-C", tree, "usr"], check=True)


def _compress(bench: Path, path: Path) -> Path:
    """Compress with the bench's zstd; at level 19 it is as fast to unpack as at level 1."""
    inside = "/" + path.relative_to(bench).as_posix()
    userland.in_root(bench, "/usr/bin/zstd", "-q", "-19", "-T0", inside)
    return path.with_name(path.name + ".zst")
