"""Where the new system's packages come from: a proxy, a mirror, more repositories, and firmware
that is not free.

For apt, dnf and zypper, whichever the system has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from ironwake.errors import BrokenError
from ironwake.firstboot import File
from ironwake.order import Order
from ironwake.parameters.model import Repository
from ironwake_agent.commands import Runner
from ironwake_agent.inside import inside
from ironwake_agent.target import exists, write


class Tool(StrEnum):
    APT = "apt"
    DNF = "dnf"
    ZYPPER = "zypper"


_PROGRAMS: Final = {
    Tool.APT: "usr/bin/apt-get",
    Tool.ZYPPER: "usr/bin/zypper",
    Tool.DNF: "usr/bin/dnf",
}
_SECTION: Final = re.compile(r"^\[main\][ \t]*\n", re.MULTILINE)
_PROXY_LINE: Final = re.compile(r"^proxy[ \t]*=.*\n?", re.MULTILINE)
# type, options; URL; suite; components
_LINE: Final = re.compile(r"(deb(?:-src)?[ \t]+(?:\[[^\]\n]*\][ \t]+)?)(\S+)([ \t]+)(\S+)(.*)")
_OURS: Final = "ironwake-"  # a repository that is called debian is not the system's own
_VENDORS: Final = ("sources.list.d/debian.sources", "sources.list.d/ubuntu.sources")


def configure(run: Runner, root: Path, order: Order) -> None:
    """Write what was stated of them; nothing stated, nothing written.

    :raises BrokenError: the system has nothing that could be told it
    """
    stated = {
        "proxy": bool(order.proxy),
        "mirror": bool(order.mirror),
        "repositories": bool(order.repositories),
        "package_groups": bool(order.package_groups),
        "firmware": order.firmware,
    }
    named = [name for name, given in stated.items() if given]
    if not named:
        return
    own = tool(root)
    if own is None:
        raise BrokenError(
            "the new system has neither apt nor dnf nor zypper",
            f"leave parameters.{named[0]} out",
        )
    if order.proxy:
        _set_proxy(root, own, order.proxy)
    if order.mirror or order.firmware or order.package_groups:
        _by_apt(own, named)
    if order.mirror or (order.firmware and firmware(root)):
        _change_own(root, order.mirror.rstrip("/"), order.firmware)
    for one in order.repositories:
        for file in _apt(one) if own is Tool.APT else _rpm(one, own):
            write(root, file)
        if one.key and own is not Tool.APT:
            run("chroot", str(root), "rpm", "--import", f"/{_rpm_key(one)}")


def tool(root: Path) -> Tool | None:
    """What brings the system's packages; None where we know it not."""
    return next((one for one, program in _PROGRAMS.items() if exists(root, program)), None)


def _set_proxy(root: Path, own: Tool, proxy: str) -> None:
    if own is Tool.APT:
        text = f'Acquire::http::Proxy "{proxy}";\n'
        write(root, File("etc/apt/apt.conf.d/90ironwake-proxy", 0o644, text))
    elif own is Tool.DNF:
        name = "etc/dnf/dnf.conf"
        before = _PROXY_LINE.sub("", _read(root, name))
        before = before if _SECTION.search(before) else f"[main]\n{before}"
        _replace(root, name, _SECTION.sub(lambda head: f"{head[0]}proxy={proxy}\n", before, 1))
    else:
        name = "etc/sysconfig/proxy"
        text = _read(root, name)
        for key, value in (
            ("PROXY_ENABLED", "yes"),
            ("HTTP_PROXY", proxy),
            ("HTTPS_PROXY", proxy),
        ):
            text = re.sub(rf"^{key}=.*\n?", "", text, flags=re.MULTILINE)
            text = f'{text.rstrip()}\n{key}="{value}"\n'.lstrip()
        _replace(root, name, text)


def distribution(root: Path) -> dict[str, str]:
    """What os-release(5) says."""
    lines = _read(root, "etc/os-release").splitlines()
    pairs = (line.split("=", 1) for line in lines if "=" in line)
    return {key: value.strip("\"'") for key, value in pairs}


def firmware(root: Path) -> tuple[str, ...]:
    """The packages with firmware that is not free; Ubuntu's kernel brings it by itself."""
    return () if distribution(root).get("ID") == "ubuntu" else ("firmware-linux",)


def groups(root: Path, names: Iterable[str]) -> tuple[str, ...]:
    """Tasks as apt knows them: Debian's are packages, Ubuntu's are fields of packages."""
    if distribution(root).get("ID") == "ubuntu":
        return tuple(f"{name}^" for name in names)
    return tuple(f"task-{name}" for name in names)


def _by_apt(own: Tool, named: list[str]) -> None:
    """BrokenError where these packages come by something else."""
    steps = {
        "mirror": "leave parameters.mirror out, and give repositories",
        "firmware": "have linux-firmware in the image, and leave parameters.firmware out",
        "package_groups": "have them in the image, and leave parameters.package_groups out",
    }
    name = next(one for one in steps if one in named)
    if own is not Tool.APT:
        raise BrokenError(
            f"the new system's packages come by {own}, which the agent cannot tell {name}",
            steps[name],
        )


@dataclass(frozen=True)
class _Change:
    """What becomes of entries of these suites; "" for what stays."""

    suites: frozenset[str]
    mirror: str
    component: str

    def components(self, words: list[str]) -> list[str]:
        more = [self.component] if self.component and self.component not in words else []
        return [*words, *more]


def _change_own(root: Path, mirror: str, is_firmware: bool) -> None:
    """The distribution's own entries get them, but for Debian's security updates: these come from
    a mirror of their own.
    """
    system = distribution(root)
    own = system.get("VERSION_CODENAME", "")
    suites = {own, *(f"{own}-{kind}" for kind in ("updates", "backports", "proposed-updates"))}
    component = ""
    if system.get("ID") == "ubuntu":
        suites.add(f"{own}-security")
    elif is_firmware:  # of its own since bookworm
        component = "non-free" if own in ("buster", "bullseye") else "non-free-firmware"
    change = _Change(frozenset(suites), mirror, component)
    changed = False
    for name in ("sources.list", *_VENDORS):
        before = _read(root, f"etc/apt/{name}")
        edit = _in_lines if name.endswith(".list") else _in_stanzas
        after, count = edit(before, change)
        if count:
            changed = True
            _replace(root, f"etc/apt/{name}", after)
    if not changed or not own:
        name = "mirror" if mirror else "firmware"
        raise BrokenError(
            "none of the new system's package sources is its distribution's own",
            f"leave parameters.{name} out, and give repositories",
        )


def _in_lines(text: str, change: _Change) -> tuple[str, int]:
    """sources.list(5), one line each; and how many were meant."""
    count = 0
    lines = []
    for line in text.splitlines():
        found = _LINE.fullmatch(line.strip())
        words = found[5].partition("#")[0].split() if found else []
        if found and found[4] in change.suites and "main" in words:
            count += 1
            rest = " ".join(("", *change.components(words)))
            line = f"{found[1]}{change.mirror or found[2]}{found[3]}{found[4]}{rest}"
        lines.append(line)
    return "".join(f"{line}\n" for line in lines), count


def _in_stanzas(text: str, change: _Change) -> tuple[str, int]:
    """The same in deb822's form: a URL, and suites, may be several."""
    count = 0
    parts = re.split(r"(\n[ \t]*\n)", text)
    for number, part in enumerate(parts):
        named = _field("Suites").search(part)
        if not named or not named[1].split() or not set(named[1].split()) <= change.suites:
            continue
        count += 1
        if change.mirror:
            part = _field("URIs").sub(f"URIs: {change.mirror}", part)
        parts[number] = _field("Components").sub(
            lambda found: f"Components: {' '.join(change.components(found[1].split()))}", part
        )
    return "".join(parts), count


def _field(name: str) -> re.Pattern[str]:
    """With the lines that continue it."""
    return re.compile(rf"^{name}:(.*(?:\n[ \t].*)*)$", re.MULTILINE | re.IGNORECASE)


def _apt(one: Repository) -> Iterator[File]:
    if not one.suite or not (one.components or one.suite.endswith("/")):
        raise BrokenError(
            f"apt needs the suite and the components of {one.name}",
            "give both in parameters.repositories, as in suite: bookworm, components: [main]",
        )
    stanza = f"Types: deb\nURIs: {one.url}\nSuites: {one.suite}\n"
    if one.components:
        stanza += f"Components: {' '.join(one.components)}\n"
    if one.key:
        path = f"etc/apt/keyrings/{_OURS}{one.name}.asc"
        stanza += f"Signed-By: /{path}\n"
        yield File(path, 0o644, f"{one.key.rstrip()}\n")
    yield File(f"etc/apt/sources.list.d/{_OURS}{one.name}.sources", 0o644, stanza)


def _rpm(one: Repository, own: Tool) -> Iterator[File]:
    rows = [f"[{one.name}]", f"name={one.name}", f"baseurl={one.url}", "enabled=1", "gpgcheck=1"]
    if one.key:
        rows.append(f"gpgkey=file:///{_rpm_key(one)}")
        yield File(_rpm_key(one), 0o644, f"{one.key.rstrip()}\n")
    folder = "etc/yum.repos.d" if own is Tool.DNF else "etc/zypp/repos.d"
    yield File(f"{folder}/{_OURS}{one.name}.repo", 0o644, "".join(f"{row}\n" for row in rows))


def _rpm_key(one: Repository) -> str:
    return f"etc/pki/rpm-gpg/RPM-GPG-KEY-{_OURS}{one.name}"


def _read(root: Path, name: str) -> str:
    path = inside(root, name, follow=True)
    return path.read_text(errors="surrogateescape") if path.is_file() else ""


def _replace(root: Path, name: str, text: str) -> None:
    """In place where it is there: it keeps its mode."""
    path = inside(root, name, follow=True)
    if path.is_file():
        path.write_text(text, errors="surrogateescape")
    else:
        write(root, File(name, 0o644, text))
