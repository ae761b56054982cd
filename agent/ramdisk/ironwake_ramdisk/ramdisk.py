"""Builds the deploy ramdisk: a signed kernel, and an initrd of three archives one after the other.

    userland (zstd) · modules (zstd) · agent (plain)

Userland and modules change with Debian and are built once per package set; the agent changes with
us and is only put at the end, so a new agent costs a second.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from ironwake.artifact import Fact, Manifest
from ironwake_ramdisk import agentzip, modules, userland
from ironwake_ramdisk.cpio import CpioWriter, padding
from ironwake_runtime.builds import Product, Recipe, Versions, Workshop

SUITE = "trixie"
_HERE = Path(__file__).parent
_FILES = {"init": "init", "ironwake/udhcpc.script": "udhcpc.script"}


def build(flavour: str, agent_zipapp: Path, shop: Workshop) -> Manifest:
    """Publish `ramdisk-<flavour>`: roles "kernel" and "initrd".

    :param flavour: a key of modules.FLAVOURS
    :param agent_zipapp: run by the ramdisk's init as `python3 agent.pyz`
    """
    base = _base(modules.FLAVOURS[flavour], shop)
    name = f"ramdisk-{flavour}"
    sources = (agent_zipapp, _HERE / "ramdisk.py", _HERE / "agentzip.py", _HERE / "cpio.py")
    recipe = Recipe(name, "ramdisk", sources, {"base": base.inputs})

    def make(work: Path, _: Versions) -> Product:
        shop.progress(name, None, "putting the agent into the initrd")
        parts = {role: shop.built.path(base.artifact(role).sha256) for role in base.artifacts}
        root = work / "root"
        root.mkdir()
        subprocess.run(["tar", "-xf", parts["tree"], "-C", root], check=True)
        kernel, initrd = work / "vmlinuz", work / "initrd.img"
        shutil.copyfile(parts["kernel"], kernel)
        with initrd.open("wb") as stream:
            for role in ("userland", "modules"):
                data = parts[role].read_bytes()
                stream.write(data + padding(len(data)))
            archive = CpioWriter(stream)
            archive.file("ironwake/agent.pyz", agentzip.precompile(agent_zipapp, root))
            archive.close()
        facts = {key: value for key, value in base.facts.items() if key != "recipe"}
        return Product({"kernel": kernel, "initrd": initrd}, facts)

    return shop.build(recipe, dict, make)


def _base(flavour: modules.Flavour, shop: Workshop) -> Manifest:
    """Give kernel, userland and modules, compressed, in the cache."""
    apt = shop.apt(SUITE)
    name = f"ramdisk-base-{flavour.name}"
    sources = tuple(_HERE / file for file in ("ramdisk.py", "cpio.py", "modules.py", "userland.py"))
    recipe = Recipe(name, "ramdisk", (*sources, *sorted((_HERE / "files").iterdir())))

    def resolve() -> Versions:
        apt.update()
        kernel = apt.dependency(flavour.kernel, r"linux-image-\d.*")
        return apt.resolve((*userland.PACKAGES, kernel), dependencies=False)

    def make(work: Path, versions: Versions) -> Product:
        shop.progress(name, 0.0, f"downloading {len(versions)} packages")
        debs = apt.download(versions, shop.debs)
        toolbox, tree, module_tree = work / "toolbox", work / "tree", work / "modules"
        for folder in (toolbox, tree, module_tree):
            folder.mkdir()
        shop.progress(name, 0.2, "unpacking")
        userland.unpack(debs, toolbox)
        release = _kernel_release(toolbox)
        userland.assemble(toolbox, tree)
        shop.progress(name, 0.4, f"choosing modules of {release}")
        count = modules.assemble(toolbox, release, flavour, module_tree)
        plain = {"userland": toolbox / "userland.cpio", "modules": toolbox / "modules.cpio"}
        _pack_userland(tree, plain["userland"])
        _pack(module_tree, plain["modules"])
        shop.progress(name, 0.5, "compressing")
        files = {role: _compress(toolbox, path) for role, path in plain.items()}
        files["kernel"] = toolbox / f"boot/vmlinuz-{release}"
        files["tree"] = work / "tree.tar"
        subprocess.run(["tar", "-cf", files["tree"], "-C", tree, "."], check=True)
        size = sum(path.stat().st_size for path in plain.values())
        facts: dict[str, Fact] = {
            "kernel_version": release,
            "modules": count,
            "unpacked_bytes": size,
        }
        return Product(files, facts)

    return shop.cached(recipe, resolve, make)


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
        archive.directory("ironwake")
        for name, file in _FILES.items():
            archive.file(name, (_HERE / "files" / file).read_bytes(), 0o755)
        archive.close()


def _pack(tree: Path, target: Path) -> None:
    with target.open("wb") as stream:
        archive = CpioWriter(stream)
        archive.tree(tree)
        archive.close()


def _compress(toolbox: Path, path: Path) -> Path:
    """Compress with the toolbox's zstd; at level 19 it is as fast to unpack as at level 1."""
    inside = "/" + path.relative_to(toolbox).as_posix()
    userland.in_root(toolbox, "/usr/bin/zstd", "-q", "-19", "-T0", inside)
    return path.with_name(path.name + ".zst")
