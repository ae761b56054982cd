"""What is started: the part of a boot plan that every loader writes its own way."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from ironwake import routes
from ironwake.errors import BrokenError, InputError
from ironwake.site import Stored

# A kernel keeps 2047 characters (COMMAND_LINE_SIZE, of amd64 and arm64), and says nothing of the
# rest. Loaders put words of their own before ours: BOOT_IMAGE= with the kernel's path, initrd=.
_MOST_ARGUMENTS = 1800
# What a kernel does not know it gives to init: 32 words, and 32 variables, or it panics (Linux,
# init/main.c, MAX_INIT_ARGS and MAX_INIT_ENVS). "init", "---" and BOOT_IMAGE's like are among the
# words; HOME, TERM and BOOT_IMAGE= among the variables.
_MOST_WORDS, _MOST_VARIABLES = 30, 29
# `ironwake.names.KernelWord`, and what URLs and cloud-init's `ds=` have besides.
_WORD = re.compile(r"[A-Za-z0-9_.,:=/@%+*~;&!?#()\[\]-]+", re.ASCII)

# Both stand unquoted in a loader's script.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)
_PATH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~:/%+-]{0,400}", re.ASCII)


class Form(StrEnum):
    """What the kernel is."""

    LINUX = "linux"  # with initial ramdisks, one behind the other
    WIMBOOT = "wimboot"  # it shows the named files to Windows' own loader, as a disk
    PROGRAM = "program"  # an EFI program that fetches by itself whatever it needs (ESXi's mboot)

    @property
    def needs_uefi(self) -> bool:
        return self is Form.PROGRAM


@dataclass(frozen=True)
class Named:
    """A file under the name by which the kernel knows it.

    `file`: an artifact, or the path of something else that the http service has, without a leading
    slash (a file inside a medium, or one of `KernelBoot.texts`).
    """

    name: str
    file: Stored | str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or not _PATH.fullmatch(self.path):
            raise BrokenError(f"{self.name!r:.60} at {self.path!r:.60} cannot stand in a script")

    @property
    def path(self) -> str:
        """As the http service has it, without a leading slash."""
        return self.file if isinstance(self.file, str) else routes.artifact(self.file)


def initial(*items: Stored) -> tuple[Named, ...]:
    """Linux's initial ramdisks in their order: `initrd`, `initrd-2`, …"""
    return tuple(
        Named(f"initrd-{number}" if number > 1 else "initrd", item)
        for number, item in enumerate(items, 1)
    )


@dataclass(frozen=True)
class KernelBoot:
    """A kernel, the files beside it and its arguments; `title` is what the screen shows.

    `texts`: files made for this machine alone, by their names; the http service gives them under
    `ironwake.routes.boot_script`, to whoever may read the machine's boot script, and no longer.
    """

    title: str
    kernel: Stored
    initrds: tuple[Named, ...]
    arguments: tuple[str, ...]
    form: Form = Form.LINUX
    texts: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for word in self.arguments:
            if not _WORD.fullmatch(word):
                raise BrokenError(f"{word!r:.60} cannot stand on a kernel's command line")
        check_arguments(self.arguments, self.form)


def check_arguments(arguments: Sequence[str], form: Form = Form.LINUX) -> None:
    """InputError where they are more than what is started is sure to take."""
    if (length := len(" ".join(arguments))) > _MOST_ARGUMENTS:
        raise InputError(
            f"{length} characters of arguments are more than a kernel is sure to take",
            f"give fewer or shorter ones: {_MOST_ARGUMENTS} are left for all",
            "kernel_arguments",
        )
    if form is not Form.LINUX:
        return
    # A module's own (`nvme.poll=1`) goes to no init, nor what every kernel knows. Of others nobody
    # can say, for each kernel knows its own: they count.
    # A variable is given once, however often it stands there; a word as often.
    passed = [word.partition("=") for word in arguments if "." not in word.partition("=")[0]]
    variables = len({name for name, equals, _ in passed if equals} - {"console"})
    words = sum(not equals for _, equals, _ in passed)
    if variables > _MOST_VARIABLES or words > _MOST_WORDS:
        raise InputError(
            f"a kernel panics that has more than {_MOST_VARIABLES} arguments as in name=value, or "
            f"{_MOST_WORDS} others, to give to init: here are {variables} and {words}",
            "give fewer; scripts.post can tell more to the installed system's boot loader",
            "kernel_arguments",
        )
