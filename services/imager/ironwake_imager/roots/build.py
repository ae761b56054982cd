"""`ironwake image build`: a Debian of one's own, from packages, by the recipe of the media."""

from __future__ import annotations

import os
from pathlib import Path

from ironwake.errors import InputError, UnknownError
from ironwake_imager import debian, emulation
from ironwake_imager.roots.source import Root, settle
from ironwake_runtime.builds import Workshop


def build(name: str, extra: debian.Extra, work: Path, shop: Workshop) -> Root:
    """Build the root of a medium, with packages and hooks of one's own, in `work`. Needs root.

    :raises UnknownError: for a name that is no medium
    :raises InputError: a hook is no program, or a package's name none
    """
    medium = debian.MEDIA.get(name)
    if medium is None:
        raise UnknownError(f"there is no {name!r:.60}", f"known are: {', '.join(debian.MEDIA)}")
    for package in extra.packages:
        if not debian.is_package(package):
            raise InputError(f"{package!r:.60} is no name of a package")
    for hook in extra.hooks:
        if not (hook.is_file() and os.access(hook, os.X_OK)):
            raise InputError(f"the hook {hook} is no program", "run: chmod +x on it")
    emulation.prefix(medium.architecture)  # a host that has no way shall say so at once
    apt = shop.apt(medium.suite, medium.architecture)
    shop.progress(name, None, "asking the mirror for package versions")
    apt.update()
    apt.resolve(("?essential", "apt", *medium.packages, *extra.packages))
    tar = work / "built.tar"
    hooks = tuple(hook.absolute() for hook in extra.hooks)
    debian.bootstrap(
        medium,
        apt,
        tar,
        lambda part, text: shop.progress(name, part, text),
        debian.Extra(extra.packages, hooks),
    )
    root = settle(tar, work, f"packages of {medium.title.split(':')[0]}", shop.progress)
    tar.unlink()
    return root
