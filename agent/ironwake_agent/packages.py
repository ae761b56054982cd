"""What needs the new system's own programs: more packages, and with them the initrd, locales."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from urllib.parse import urlsplit

from ironwake.errors import BrokenError
from ironwake.firstboot import File
from ironwake.layout.packages import WHERE_THERE_IS_ONE, in_initrd, needed
from ironwake.order import Archive, Order
from ironwake.packagecache import near
from ironwake_agent import confinement, sources
from ironwake_agent.commands import CommandError, Runner
from ironwake_agent.inside import inside
from ironwake_agent.network import Lease
from ironwake_agent.target import exists, write
from ironwake_agent.workplace import no_services, resolver

_REPOSITORY = "var/cache/ironwake"
_SOURCES = "var/cache/ironwake-sources"
# Without what is only recommended, as by apt.
_RPM: dict[sources.Tool | None, tuple[str, ...]] = {
    sources.Tool.DNF: ("dnf", "-y", "--setopt=install_weak_deps=False", "install"),
    sources.Tool.ZYPPER: ("zypper", "--non-interactive", "install", "--no-recommends", "--"),
}
_NEW_INITRDS = "etc/initramfs-tools/update-initramfs.conf"


def install(run: Runner, target: Path, order: Order, lease: Lease) -> None:
    """Install the order's packages, by apt, dnf or zypper; BrokenError naming them where that is
    not possible.
    """
    wanted = (
        *order.packages,
        *confinement.packages(target, order.security),
        *(sources.firmware(target) if order.firmware else ()),
    )
    groups = sources.groups(target, order.package_groups)
    if not wanted and not groups:
        return
    names = " ".join((*wanted, *groups))
    try:
        with resolver(target, lease):
            if words := _RPM.get(sources.tool(target)):
                run("chroot", str(target), *words, *wanted, timeout=3600.0)
            else:
                _by_apt(run, target, order, wanted, groups)
    except CommandError as error:
        raise BrokenError(
            f"the packages {names} could not be installed: {error}",
            "check that the system's package sources can be reached from this machine's network,"
            " or leave parameters.packages out",
        ) from None


def _by_apt(
    run: Runner, target: Path, order: Order, wanted: tuple[str, ...], groups: tuple[str, ...]
) -> None:
    program = ("chroot", str(target), "apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=60")
    with no_services(target), _close_by(target, order) as options:
        apt = (*program, *options)
        run(*apt, "update", timeout=600.0)
        if wanted:
            run(*apt, "--no-install-recommends", "install", *wanted, timeout=3600.0)
        if groups:  # of which most is recommended only
            run(*apt, "--install-recommends", "install", *groups, timeout=3600.0)


@contextmanager
def _close_by(target: Path, order: Order) -> Iterator[tuple[str, ...]]:
    """Words for apt, which then asks the site's package cache for what that stands before.

    The system's own sources stay as they are: it may leave this site.
    """
    if not order.cache:
        yield ()
        return
    is_imported = any(one.imported for one in order.mirrors)
    folder = inside(target, _SOURCES)
    folder.mkdir(parents=True)  # not there, not even as a link
    try:
        for name, text in _own_sources(target):
            write(target, File(f"{_SOURCES}/parts/{name}", 0o644, _rewritten(text, order)))
        (folder / "lists/partial").mkdir(parents=True)
        yield (
            *("-o", f"Dir::Etc::SourceList=/{_SOURCES}/none"),
            *("-o", f"Dir::Etc::SourceParts=/{_SOURCES}/parts"),
            *("-o", f"Dir::State::Lists=/{_SOURCES}/lists"),
            # It is on the machine's own network: no proxy is between.
            *("-o", f"Acquire::http::Proxy::{urlsplit(order.cache).hostname}=DIRECT"),
            # Descriptions in other languages are no part of a bundle.
            *("-o", "Acquire::Languages=none"),
            # Its lists are as old as it is. They are signed all the same.
            *(("-o", "Acquire::Check-Valid-Until=false") if is_imported else ()),
        )
    finally:
        shutil.rmtree(folder)


def _own_sources(target: Path) -> Iterator[tuple[str, str]]:
    """(file's name, text) of the system's sources, as apt reads them (sources.list(5))."""
    single = inside(target, "etc/apt/sources.list", follow=True)
    if single.is_file():
        yield "sources.list", single.read_text(errors="replace")
    folder = inside(target, "etc/apt/sources.list.d", follow=True)
    for path in sorted(folder.glob("*")) if folder.is_dir() else ():
        there = inside(target, f"etc/apt/sources.list.d/{path.name}", follow=True)
        if path.suffix in (".list", ".sources") and there.is_file():
            yield path.name, there.read_text(errors="replace")


def _rewritten(text: str, order: Order) -> str:
    return re.sub(
        r"https?://[^\s\]]+", lambda found: near(found[0], order.mirrors, order.cache), text
    )


def for_layout(
    run: Runner, target: Path, order: Order, bring: Callable[[Archive, Path], None]
) -> None:
    """Install what the layout stands on; the files about it must be there already, for the
    packages make the initrd anew, with the arrays and encrypted volumes that those name.

    :param bring: unpacks the repository into a folder
    :raises BrokenError: the packages cannot be installed, or are not there
    """
    wanted = needed(order.layout)
    if wanted and order.layout_packages is None:
        _check_there(target, wanted)
        run("chroot", str(target), "update-initramfs", "-u", "-k", "all", timeout=1800.0)
    elif order.layout_packages is not None:
        folder = inside(target, _REPOSITORY)
        folder.mkdir(parents=True)  # not there, not even as a link
        (folder / "lists/partial").mkdir(parents=True)
        bring(order.layout_packages, folder)
        names = [name for name in wanted if (folder / f"{name}.deb").exists()]
        try:
            with nullcontext() if in_initrd(order.layout) else _same_initrd(target):
                _from_repository(run, target, names)
        except CommandError as error:
            raise BrokenError(
                f"the packages {' '.join(names)} for this layout could not be installed: {error}",
                "build the media anew",
            ) from None
        finally:
            shutil.rmtree(folder)


def _from_repository(run: Runner, target: Path, names: list[str]) -> None:
    line = f"deb [trusted=yes] file:/{_REPOSITORY} ./\n"  # its hash was in the order
    write(target, File(f"{_REPOSITORY}/sources.list", 0o644, line))
    apt = (
        *("chroot", str(target), "apt-get", "-q", "-y"),
        *("-o", f"Dir::Etc::SourceList=/{_REPOSITORY}/sources.list"),
        *("-o", "Dir::Etc::SourceParts=-", "-o", f"Dir::State::Lists=/{_REPOSITORY}/lists"),
    )
    with no_services(target):
        run(*apt, "update", timeout=600.0)
        run(*apt, "--no-install-recommends", "install", *names, timeout=3600.0)


def _check_there(target: Path, names: Iterable[str]) -> None:
    """In Debian's list of what is installed."""
    known = [name for name in names if name not in WHERE_THERE_IS_ONE]
    lists = inside(target, "var/lib/dpkg/info", follow=True)
    if missing := [name for name in known if not (lists / f"{name}.list").exists()]:
        raise BrokenError(
            f"the image lacks {' '.join(missing)}, which this layout needs",
            "build it with these packages",
        )


@contextmanager
def _same_initrd(target: Path) -> Iterator[None]:
    """A package that is installed meanwhile leaves the initrd as it is: the archive's own mounts
    all file systems, and to make one takes longer than to unpack the whole archive."""
    path = inside(target, _NEW_INITRDS, follow=True)
    before = path.read_text() if path.exists() else ""
    write(target, File(_NEW_INITRDS, 0o644, "update_initramfs=no\n"))
    try:
        yield
    finally:
        write(target, File(_NEW_INITRDS, 0o644, before))


def make_locale(run: Runner, target: Path, order: Order) -> None:
    """Make the order's locale where the C library has none built in."""
    if exists(target, "usr/sbin/locale-gen") and not order.locale.startswith(("C", "POSIX")):
        codeset = order.locale.partition(".")[2] or "ISO-8859-1"
        write(target, File("etc/locale.gen", 0o644, f"{order.locale} {codeset}\n"))
        run("chroot", str(target), "locale-gen", timeout=600.0)
