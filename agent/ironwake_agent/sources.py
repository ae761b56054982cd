"""Where the new system's packages come from: a proxy, a mirror, and more repositories.

For apt, dnf and zypper, whichever the system has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
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
_VENDORS: Final = ("sources.list.d/debian.sources", "sources.list.d/ubuntu.sources")


def configure(run: Runner, root: Path, order: Order) -> None:
    """Write what was stated of them; nothing stated, nothing written.

    :raises BrokenError: the system has nothing that could be told it
    """
    stated = {
        "proxy": bool(order.proxy),
        "mirror": bool(order.mirror),
        "repositories": bool(order.repositories),
    }
    named = [name for name, given in stated.items() if given]
    if not named:
        return
    tool = next((one for one, program in _PROGRAMS.items() if exists(root, program)), None)
    if tool is None:
        raise BrokenError(
            "the new system has neither apt nor dnf nor zypper",
            f"leave parameters.{named[0]} out",
        )
    if order.proxy:
        _set_proxy(root, tool, order.proxy)
    if order.mirror:
        _set_mirror(root, tool, order.mirror)
    for one in order.repositories:
        for file in _apt(one) if tool is Tool.APT else _rpm(one, tool):
            write(root, file)
        if one.key and tool is not Tool.APT:
            run("chroot", str(root), "rpm", "--import", f"/{_rpm_key(one)}")


def _set_proxy(root: Path, tool: Tool, proxy: str) -> None:
    if tool is Tool.APT:
        text = f'Acquire::http::Proxy "{proxy}";\n'
        write(root, File("etc/apt/apt.conf.d/90ironwake-proxy", 0o644, text))
    elif tool is Tool.DNF:
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


def _set_mirror(root: Path, tool: Tool, mirror: str) -> None:
    """The distribution's own entries get it, but for Debian's security updates: these come from
    a mirror of their own.
    """
    if tool is not Tool.APT:
        raise BrokenError(
            f"the new system's packages come by {tool}, which has no one mirror",
            "leave parameters.mirror out, and give repositories",
        )
    system = dict(
        line.split("=", 1) for line in _read(root, "etc/os-release").splitlines() if "=" in line
    )
    own = system.get("VERSION_CODENAME", "").strip("\"'")
    suites = {own, *(f"{own}-{kind}" for kind in ("updates", "backports", "proposed-updates"))}
    if system.get("ID", "").strip("\"'") == "ubuntu":
        suites.add(f"{own}-security")
    changed = False
    for name in ("sources.list", *_VENDORS):
        before = _read(root, f"etc/apt/{name}")
        change = _in_lines if name.endswith(".list") else _in_stanzas
        after, count = change(before, suites, mirror.rstrip("/"))
        if count:
            changed = True
            _replace(root, f"etc/apt/{name}", after)
    if not changed or not own:
        raise BrokenError(
            "none of the new system's package sources is its distribution's own",
            "leave parameters.mirror out, and give repositories",
        )


def _in_lines(text: str, suites: set[str], mirror: str) -> tuple[str, int]:
    """sources.list(5), one line each."""
    count = 0
    lines = []
    for line in text.splitlines():
        found = _LINE.fullmatch(line.strip())
        if found and found[4] in suites and "main" in found[5].split():
            count += 1
            line = f"{found[1]}{mirror}{found[3]}{found[4]}{found[5]}"
        lines.append(line)
    return "".join(f"{line}\n" for line in lines), count


def _in_stanzas(text: str, suites: set[str], mirror: str) -> tuple[str, int]:
    """The same in deb822's form: a URL, and suites, may be several."""
    count = 0
    parts = re.split(r"(\n[ \t]*\n)", text)
    for number, part in enumerate(parts):
        named = re.search(r"^Suites:(.*)$", part, re.MULTILINE | re.IGNORECASE)
        if named and named[1].split() and set(named[1].split()) <= suites:
            parts[number], changed = re.subn(
                r"^URIs:.*$", f"URIs: {mirror}", part, flags=re.MULTILINE | re.IGNORECASE
            )
            count += changed
    return "".join(parts), count


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
        path = f"etc/apt/keyrings/{one.name}.asc"
        stanza += f"Signed-By: /{path}\n"
        yield File(path, 0o644, f"{one.key.rstrip()}\n")
    yield File(f"etc/apt/sources.list.d/{one.name}.sources", 0o644, stanza)


def _rpm(one: Repository, tool: Tool) -> Iterator[File]:
    rows = [f"[{one.name}]", f"name={one.name}", f"baseurl={one.url}", "enabled=1", "gpgcheck=1"]
    if one.key:
        rows.append(f"gpgkey=file:///{_rpm_key(one)}")
        yield File(_rpm_key(one), 0o644, f"{one.key.rstrip()}\n")
    folder = "etc/yum.repos.d" if tool is Tool.DNF else "etc/zypp/repos.d"
    yield File(f"{folder}/{one.name}.repo", 0o644, "".join(f"{row}\n" for row in rows))


def _rpm_key(one: Repository) -> str:
    return f"etc/pki/rpm-gpg/RPM-GPG-KEY-ironwake-{one.name}"


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
