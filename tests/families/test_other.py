"""Family other: kernel, arguments and answers of a person's own."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from ironwake import families
from ironwake.boot import Form
from ironwake.errors import InputError
from ironwake.families.base import Install
from ironwake.families.other import ANSWERS, FAMILY
from ironwake.names import KernelWord
from ironwake.site import Shelf, Stored
from ironwake_testing.core import MAC
from tests.families import asked


def _install(
    options: dict[str, str] | None = None, template: str = "answers of mine", **parameters: Any
) -> Install:
    made = asked.install("proxmox-8", template=template, **parameters)
    row = dataclasses.replace(made.release, options=options or {})
    return dataclasses.replace(made, release=row)


def test_arguments_name_what_is_this_machines_own() -> None:
    """From the release's row, from the profile, and as plain words, in this order."""
    install = _install(
        {"arguments": "auto url={answers} from={tree}x"},
        fragments={"other": "report={callbacks}?a=b name={hostname}\n mac={mac} {bootif}"},
        kernel_arguments=(KernelWord("quiet"),),
    )
    # A question mark is none of the letters that a boot script may have.
    with pytest.raises(InputError):
        FAMILY.check(install)
    install = _install(
        {"arguments": "auto url={answers} from={tree}x"},
        fragments={"other": "report={callbacks} name={hostname}\n mac={mac} BOOTIF={bootif}"},
        kernel_arguments=(KernelWord("quiet"),),
    )
    families.check(FAMILY, install)
    assert FAMILY.arguments(install) == (
        "auto",
        f"url={asked.ANSWERS}{ANSWERS}",
        f"from={asked.TREE}x",
        f"report={asked.CALLBACKS}",
        "name=node1",
        f"mac={MAC}",
        "BOOTIF=01-52-54-00-77-00-10",
        "quiet",
    )


def test_the_arguments_are_known_before_the_claim() -> None:
    """The boot script is written from what is no secret, and must say the same."""
    install = _install(fragments={"other": "url={answers}"})
    public = dataclasses.replace(install, parameters=install.parameters.public, template="")
    assert FAMILY.arguments(public) == FAMILY.arguments(install)


@pytest.mark.parametrize("text", ["x={token}", "a;reboot", "x=$(y)", "{}", "x={answers", "ü"])
def test_what_a_boot_script_would_misread_is_refused(text: str) -> None:
    """With the field named."""
    with pytest.raises(InputError) as caught:
        FAMILY.check(_install(fragments={"other": text}))
    assert caught.value.where == "fragments.other"


def test_without_a_template_there_is_nothing_to_claim() -> None:
    """Whoever forgot it hears so, instead of an installer that asks."""
    with pytest.raises(InputError) as caught:
        families.check(FAMILY, _install(template=""))
    assert caught.value.where == "template"
    answers = FAMILY.answers(_install(template="é{% x %}"))
    assert FAMILY.parse(ANSWERS, answers.files[ANSWERS]) == "é{% x %}"


def test_all_initial_ramdisks_of_the_medium_are_started_in_their_order() -> None:
    """Microcode first, then the installer's own, then a person's."""
    roles = ("installer-kernel", "installer-initrd", "installer-initrd-2", "installer-initrd-3")
    items = tuple(Stored("proxmox-8", role, f"{n:064x}", 1, role) for n, role in enumerate(roles))
    boot = FAMILY.boot(_install(), Shelf(items))
    assert [one.name for one in boot.initrds] == ["initrd", "initrd-2", "initrd-3"]
    assert [one.file for one in boot.initrds] == list(items[1:])
    # A gap ends the row: what lies behind it was never meant.
    assert len(FAMILY.boot(_install(), Shelf((*items[:2], items[3]))).initrds) == 1


def test_a_program_of_the_firmwares_kind_has_no_ramdisk() -> None:
    """FreeBSD's loader, for one: it fetches by itself what it needs."""
    item = Stored("proxmox-8", "installer-kernel", "aa" * 32, 1, "loader.efi")
    install = _install({"form": "program"})
    boot = FAMILY.boot(install, Shelf((item,)))
    assert boot.form is Form.PROGRAM
    assert not boot.initrds
    needed = FAMILY.needs(install.release, install.machine.architecture)
    assert needed == {"proxmox-8": ("installer-kernel",)}
