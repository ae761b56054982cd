"""Any other system: kernel, initial ramdisks, arguments and answers are the user's own.

The medium has the roles `installer-kernel` and `installer-initrd` (`installer-initrd-2`, … behind
it). The arguments stand in the release's row, and more in the profile's `fragments.other`; they may
name what is this machine's alone: `url={answers} report={callbacks}`. The answers are the profile's
template; whoever fetches them has claimed the deployment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from ironwake.boot import Form, KernelBoot, initial
from ironwake.errors import InputError
from ironwake.families import start
from ironwake.families.base import Answers, Format, Install
from ironwake.firmware import Architecture
from ironwake.names import KernelWord
from ironwake.release import Release
from ironwake.report import Callback
from ironwake.site import Shelf

ANSWERS: Final = "answers"
_NAMES: Final = ("answers", "callbacks", "reports", "mac", "bootif", "tree", "hostname")
_NAMED = re.compile(r"\{([^{}]*)\}")
_WHERE: Final = "fragments.other"


@dataclass(frozen=True)
class Other:
    name: str = "other"
    files: tuple[str, ...] = (ANSWERS,)
    formats: Mapping[str, Format] = field(default_factory=lambda: {ANSWERS: Format.TEXT})
    roles: tuple[str, ...] = ()
    refuses: Mapping[str, str] = field(default_factory=dict)  # a template reads them all

    def needs(self, release: Release, architecture: Architecture) -> Mapping[str, tuple[str, ...]]:
        more = (start.INITRD,) if _form(release) is Form.LINUX else ()
        return {release.medium(architecture): (start.KERNEL, *more)}

    def boot(self, install: Install, shelf: Shelf) -> KernelBoot:
        medium, form = start.medium(install), _form(install.release)
        ramdisks = start.ramdisks(medium, shelf) if form is Form.LINUX else ()
        return KernelBoot(
            start.title(install),
            shelf.need(medium, start.KERNEL),
            initial(*ramdisks),
            self.arguments(install),
            form,
        )

    def check(self, install: Install) -> None:
        if not install.template:
            raise InputError(
                f"{install.release.title} is answered by a template of yours, and there is none",
                "name its file in parameters.template",
                "template",
            )
        self.arguments(install)

    def arguments(self, install: Install) -> tuple[str, ...]:
        own = install.release.options.get("arguments", "")
        asked = install.parameters.fragments.get(self.name, "")
        words = (
            *_words(own, install, "release"),
            *_words(asked, install, _WHERE),
            *install.parameters.kernel_arguments,
        )
        # Where nothing is said at all, the least that an installer could want.
        return words or (f"url={install.urls.answers}{ANSWERS}", f"BOOTIF={install.mac.bootif}")

    def answers(self, install: Install) -> Answers:
        return Answers({ANSWERS: install.template})

    def parse(self, name: str, text: str) -> object:  # noqa: ARG002 (a `Family`)
        return text

    def heard(self, content_type: str, body: bytes) -> Callback | None:  # noqa: ARG002 (a `Family`)
        return None


def _form(release: Release) -> Form:
    """As the release's row says: `form = "program"` for an EFI program that fetches the rest."""
    return Form.PROGRAM if release.options.get("form") == "program" else Form.LINUX


def _words(text: str, install: Install, where: str) -> Iterator[str]:
    values = {
        "answers": f"{install.urls.answers}{ANSWERS}",
        "callbacks": install.urls.callbacks,
        "reports": install.urls.reports,
        "mac": str(install.mac),
        "bootif": install.mac.bootif,
        "tree": install.urls.tree,
        "hostname": str(install.hostname),
    }
    for word in text.split():
        for name in _NAMED.findall(word):
            if name not in values:
                known = ", ".join(f"{{{one}}}" for one in _NAMES)
                raise InputError(f"{{{name:.40}}} is nothing here", f"known are: {known}", where)
        try:
            yield KernelWord(_NAMED.sub(lambda found: values[found[1]], word))
        except InputError as error:
            raise InputError(error.what, error.next_step, where) from None


FAMILY = Other()
