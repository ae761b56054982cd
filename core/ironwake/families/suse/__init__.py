"""SUSE: AutoYaST until version 15 (openSUSE Leap, SUSE Linux Enterprise), Agama from 16 on.

The release row's `options`, and what they are by default:
`installer` (`autoyast`), or `agama`; `product`: as that installer calls it; `patterns` (`base`; of
Agama none); `modules`: of SUSE Linux Enterprise 15, by their folders' names on the medium;
`repository`: the folder of the medium that has the packages; `registration` (`no`): whether there
is one, by `vars` suse_reg_code and suse_email; `security` (`apparmor`), or `selinux`; `network`
(`wicked`), or `networkmanager`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from ironwake.errors import InputError
from ironwake.families.base import Answers, Format, Install
from ironwake.families.suse import agama, autoyast, yastdisks, yastnetwork, yastxml
from ironwake.parameters.model import Security
from ironwake.report import Callback


@dataclass(frozen=True)
class Suse:
    name: str = "suse"
    files: tuple[str, ...] = (autoyast.FILE, agama.FILE, agama.SCRIPT)
    formats: Mapping[str, Format] = field(
        default_factory=lambda: {
            autoyast.FILE: Format.AUTOYAST,
            agama.FILE: Format.JSON,
            agama.SCRIPT: Format.SHELL,
        }
    )
    roles: tuple[str, ...] = ()
    refuses: Mapping[str, str] = field(default_factory=dict)

    def check(self, install: Install) -> None:
        parameters = install.parameters
        if install.layout:
            (agama.check if _is_agama(install) else yastdisks.check)(install.layout)
        if _is_agama(install) and parameters.proxy:
            raise InputError(
                "Agama takes a proxy on its kernel's command line only, which is no secret",
                "give a mirror instead",
                "proxy",
            )
        if not _is_agama(install):
            yastnetwork.check(parameters.network.devices)
        if not _source(install):
            raise InputError(
                "nothing says where the packages come from",
                "give mirror, the URL of an installation repository",
                "mirror",
            )
        apparmor = install.release.options.get("security", "apparmor") == "apparmor"
        if apparmor and parameters.security is Security.PERMISSIVE:
            raise InputError(
                f"{install.release.title} has AppArmor, which is on or off as a whole",
                "say enforcing or disabled, and do the rest in a post script",
                "security",
            )
        self.answers(install)

    def arguments(self, install: Install) -> tuple[str, ...]:
        own = _of_agama(install) if _is_agama(install) else _of_autoyast(install)
        return (*own, *install.machine.architecture.consoles)

    def answers(self, install: Install) -> Answers:
        fragment = install.parameters.fragments.get(self.name, "")
        if _is_agama(install):
            rows = agama.profile(install)
            if fragment:
                rows = agama.with_fragment(rows, fragment)
            return Answers({agama.FILE: agama.dump(rows), agama.SCRIPT: agama.script(install)})
        sections = autoyast.profile(install)
        if fragment:
            try:
                more = yastxml.fragment(fragment)
            except InputError as error:
                raise InputError(error.what, error.next_step, "fragments.suse") from None
            sections = autoyast.with_fragment(sections, more)
        return Answers({autoyast.FILE: yastxml.dump(sections)})

    def parse(self, name: str, text: str) -> object:
        if name == autoyast.FILE:
            return yastxml.parse(text)
        if name == agama.SCRIPT:
            return text
        try:
            return json.loads(text)
        except ValueError as error:
            raise InputError(f"this is not JSON: {error}", "correct it", name) from None

    def heard(self, content_type: str, body: bytes) -> Callback | None:  # noqa: ARG002
        return None  # its scripts make callbacks by themselves


def _is_agama(install: Install) -> bool:
    return install.release.options.get("installer", "autoyast") == "agama"


def _source(install: Install) -> str:
    """Agama's medium has its repository in a folder."""
    if not _is_agama(install) or install.parameters.mirror or not install.urls.tree:
        return install.source
    return f"{install.source}/{install.release.options.get('repository', 'install')}"


def _of_autoyast(install: Install) -> tuple[str, ...]:
    """linuxrc's words: the card is meant by a pattern that its address fits."""
    return (
        f"install={_source(install)}",
        f"autoyast={install.urls.answers}{autoyast.FILE}",
        f"ifcfg={install.mac}*=dhcp",
        f"hostname={install.hostname}",
        "self_update=0",
        "textmode=1",
    )


def _of_agama(install: Install) -> tuple[str, ...]:
    """dracut's words, then Agama's own."""
    return (
        f"root=live:{install.urls.tree.rstrip('/')}/LiveOS/squashfs.img",
        "rd.neednet=1",
        "ip=dhcp",
        f"BOOTIF={install.mac.bootif}",
        f"inst.install_url={_source(install)}",
        f"inst.script={install.urls.answers}{agama.SCRIPT}",
        f"inst.auto=file://{agama.COPY}",
        "inst.self_update=0",
        "inst.finish=reboot",
    )


FAMILY = Suse()
