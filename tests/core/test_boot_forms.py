"""Boot forms: what is no Linux kernel with one initial ramdisk gets a loader that can start it."""

from __future__ import annotations

import dataclasses
import json

import pytest

from ironwake import loaders, plan
from ironwake.boot import Form, KernelBoot, Named, initial
from ironwake.errors import BrokenError, InputError
from ironwake.firmware import BY_NAME, Firmware
from ironwake.loaders import grub, ipxe, pxelinux
from ironwake.localboot import LoaderName
from ironwake.memory import Memory
from ironwake.names import KernelWord, UserName
from ironwake.parameters import Parameters, User
from ironwake.plan import BootPlan, BootRequest, Silence
from ironwake.profile import Method
from ironwake.release import find
from ironwake.site import Policy, Shelf, Site, Stored
from ironwake_testing.core import MAC, OWN_FIRMWARE, SHELF, Bench

BOOT_CFG = "prefix=\nkernel=/b.b00\nkernelopt=runweasel cdromBoot\nmodules=/a.b00\n"
_MORE = (
    ("wimboot", "kernel", "wimboot"),
    ("windows-11", "tree", "windows-11.tree"),
    ("winpe", "curl.exe", "curl.exe"),
    ("esxi-8", "installer-kernel", "mboot.efi"),
    ("esxi-8", "tree", "esxi-8.tree"),
)
FULL = Shelf(
    (*SHELF.items, *(Stored(*row[:2], f"{n:064x}", 9, row[2]) for n, row in enumerate(_MORE, 99))),
    {**SHELF.facts, "esxi-8": {"boot_cfg": BOOT_CFG}},
)
UEFI, BIOS = BY_NAME["uefi-amd64-pxe"], BY_NAME["bios-pxe"]


def _bench(bench: Bench, release: str) -> Bench:
    row = bench.with_method(Method.SCRIPT)
    profile = dataclasses.replace(row.deployment.profile, release=release)
    deployment = dataclasses.replace(
        row.deployment,
        profile=profile,
        release=find(release),
        erase=("WD-1",),
        parameters=Parameters(users=(User(UserName("admin"), password="hunter2"),)).public,
    )
    policy = Policy(bench.policy.site, FULL)
    return dataclasses.replace(row, deployment=deployment, policy=policy)


def _resolve(bench: Bench, firmware: Firmware, secure_boot: str = "") -> plan.Decision:
    memory = Memory(secure_boot=secure_boot)
    subject = plan.Subject(bench.machine, bench.deployment, memory)
    return plan.resolve(BootRequest(MAC, firmware), subject, bench.policy)


@pytest.mark.parametrize("firmware", OWN_FIRMWARE, ids=lambda row: row.name)
def test_wimboot_is_always_started_by_ipxe(bench: Bench, firmware: Firmware) -> None:
    """On every firmware: neither GRUB nor pxelinux can, whatever is pinned."""
    windows = _bench(bench, "windows-11")
    pinned = dataclasses.replace(windows.machine, loader=LoaderName.PXELINUX)
    for there in (windows, dataclasses.replace(windows, machine=pinned)):
        decision = _resolve(there, firmware)
        assert isinstance(decision, BootPlan), decision
        assert decision.led.loader is LoaderName.IPXE


def test_wimboots_files_have_their_names_in_their_order(bench: Bench) -> None:
    """This machine's own first, the large one last; each under the name that wimboot looks for."""
    decision = _resolve(_bench(bench, "windows-11"), UEFI)
    assert isinstance(decision, BootPlan)
    at = f"http://10.77.0.2/boot/{MAC}"
    tree = f"{FULL.items[-4].sha256}"
    assert [line.removesuffix(" || goto failed") for line in decision.led.script.splitlines()] == [
        "#!ipxe",
        "echo Ironwake: node1 becomes Windows 11, by its own installer",
        f"kernel http://10.77.0.2/artifacts/{99:064x}/wimboot",
        f"initrd --name winpeshl.ini {at}/winpeshl.ini winpeshl.ini",
        f"initrd --name startnet.cmd {at}/startnet.cmd startnet.cmd",
        f"initrd --name ironwake.js {at}/ironwake.js ironwake.js",
        f"initrd --name curl.exe http://10.77.0.2/artifacts/{101:064x}/curl.exe curl.exe",
        f"initrd --name BCD http://10.77.0.2/media/{tree}/boot/bcd BCD",
        f"initrd --name boot.sdi http://10.77.0.2/media/{tree}/boot/boot.sdi boot.sdi",
        f"initrd --name boot.wim http://10.77.0.2/media/{tree}/sources/boot.wim boot.wim",
        "boot",
        ":failed",
        "echo Ironwake: the kernel could not be started; booting the local disk",
        "exit 1",
    ]


def test_secure_boot_must_be_off_for_it_and_that_is_said(bench: Bench) -> None:
    """iPXE is not signed: nobody shall wait at a dark screen. A BIOS has no such thing."""
    windows = _bench(bench, "windows-11")
    for known, more in (("", ""), ("on", "it was on when an agent looked")):
        decision = _resolve(windows, UEFI, known)
        assert isinstance(decision, BootPlan)
        (warning,) = decision.warnings
        assert "Secure Boot must be off on node1" in warning
        assert more in warning
    for firmware in (BIOS, BY_NAME["uefi-amd64-ipxe"]):
        decision = _resolve(windows, firmware)
        assert isinstance(decision, BootPlan)
        assert not decision.warnings


def test_that_windows_pe_writes_only_to_a_disk_that_is_named_is_said_before(bench: Bench) -> None:
    """It will refuse the others, whatever is on them: nobody shall learn it at the machine."""
    there = _bench(bench, "windows-11")
    unnamed = dataclasses.replace(there.deployment, erase=())
    decision = _resolve(dataclasses.replace(there, deployment=unnamed), BIOS)
    assert isinstance(decision, BootPlan)
    (warning,) = decision.warnings
    assert "sees nothing of a disk but its partitions: name the disk with --erase" in warning


def test_a_loader_that_asks_and_cannot_goes_to_the_disk(bench: Bench) -> None:
    """GRUB may run already when the machine is armed: it gets a script that says why not."""
    index = _bench(bench, "windows-11").index()
    text = index.script(MAC, grub.LOADER)
    assert "grub cannot start wimboot" in text
    assert "linux (http" not in text
    assert index.script(MAC, ipxe.LOADER).startswith("#!ipxe\n")


def test_the_files_of_one_machine_know_no_secret_but_the_token(bench: Bench) -> None:
    """They go to whoever may read the boot script, which has the token in it anyway."""
    decision = _resolve(_bench(bench, "windows-11"), UEFI)
    assert isinstance(decision, BootPlan)
    assert set(decision.kernel.texts) == {"winpeshl.ini", "startnet.cmd", "ironwake.js"}
    for text in decision.kernel.texts.values():
        assert "hunter2" not in text
        assert bench.deployment.health_token not in text
    where = json.dumps(f"http://10.77.0.2/deployments/{bench.deployment.token}/answers/")
    assert f"var ANSWERS = {where};" in decision.kernel.texts["ironwake.js"]


def test_esxis_loader_is_a_program_of_uefi_firmware(bench: Bench) -> None:
    """iPXE hands it the URL of this machine's boot.cfg; with a BIOS nothing is offered."""
    esxi = _bench(bench, "esxi-8")
    decision = _resolve(esxi, UEFI)
    assert isinstance(decision, BootPlan)
    kernel = f"http://10.77.0.2/artifacts/{102:064x}/mboot.efi"
    line = f"kernel {kernel} -c http://10.77.0.2/boot/{MAC}/boot.cfg || goto failed\nboot"
    assert line in decision.led.script
    assert "kernelopt=runweasel ks=" in decision.kernel.texts["boot.cfg"]
    refused = _resolve(esxi, BIOS)
    assert isinstance(refused, Silence)
    assert "by UEFI firmware only" in refused.reason


def test_restarts_that_windows_is_known_for_are_no_interruption(bench: Bench) -> None:
    """The release's row says how many; a profile may say more, never fewer."""
    windows = _bench(bench, "windows-11").deployment
    assert windows.expected_reboots == 3
    for stated, expected in ((1, 3), (5, 5)):
        profile = dataclasses.replace(windows.profile, expected_reboots=stated)
        assert dataclasses.replace(windows, profile=profile).expected_reboots == expected
    ours = dataclasses.replace(windows.profile, method=Method.ARCHIVE, release="debian-12")
    assert dataclasses.replace(windows, profile=ours).expected_reboots == 0


def test_what_is_missing_is_named(bench: Bench) -> None:
    """wimboot is in no distribution: who has none hears how to add it."""
    windows = _bench(bench, "windows-11")
    bare = dataclasses.replace(windows, policy=Policy(windows.policy.site, SHELF))
    decision = _resolve(bare, UEFI)
    assert isinstance(decision, Silence)
    assert "ironwake media add wimboot windows-11" in decision.reason


def _linux(count: int) -> tuple[KernelBoot, list[str]]:
    items = [Stored("m", f"r{n}", f"{n:064x}", 1, f"file-{n}") for n in range(count + 1)]
    kernel = KernelBoot("title", items[0], initial(*items[1:]), ("quiet",))
    return kernel, [f"artifacts/{item.sha256}/{item.file}" for item in items]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_loader_fetches_all_ramdisks_in_their_order(count: int) -> None:
    """Microcode works only where it is the first; the kernel's EFI stub knows them by name."""
    kernel, paths = _linux(count)
    site = Site("10.77.0.2", 24)
    by_grub = grub.LOADER.boot_script(kernel, site)
    assert f"initrd {' '.join(f'(http,10.77.0.2)/{path}' for path in paths[1:])}\n" in by_grub
    by_pxelinux = pxelinux.LOADER.boot_script(kernel, site)
    assert f"INITRD {','.join(f'http://10.77.0.2/{path}' for path in paths[1:])}\n" in by_pxelinux
    lines = ipxe.LOADER.boot_script(kernel, site).splitlines()
    names = ["initrd", "initrd-2", "initrd-3"][:count]
    words = " ".join(f"initrd={name}" for name in names)
    assert lines[2] == f"kernel http://10.77.0.2/{paths[0]} {words} quiet || goto failed"
    assert lines[3 : 3 + count] == [
        f"initrd --name {name} http://10.77.0.2/{path} || goto failed"
        for name, path in zip(names, paths[1:], strict=True)
    ]


def test_every_form_has_a_loader() -> None:
    """One that nothing could start would be a plan that never works."""
    for form in Form:
        assert any(loader.starts(form) for loader in loaders.LOADERS)
    assert [loader.name for loader in loaders.LOADERS if loader.starts(Form.WIMBOOT)] == ["ipxe"]


def test_arguments_that_a_kernel_would_cut_off_are_refused(bench: Bench) -> None:
    """It keeps 2047 characters, with what loaders put before: the rest would be lost unseen."""
    script = _bench(bench, "debian-12")
    words = tuple(KernelWord(f"word{number}={'x' * 60}") for number in range(22))
    asked = dataclasses.replace(script.deployment, parameters=Parameters(kernel_arguments=words))
    decision = _resolve(dataclasses.replace(script, deployment=asked), UEFI)
    assert isinstance(decision, Silence)
    assert "characters of arguments" in decision.reason
    kernel, _ = _linux(1)
    with pytest.raises(InputError):
        dataclasses.replace(kernel, arguments=("x" * 1801,))
    with pytest.raises(InputError) as caught:
        Parameters(kernel_arguments=(*words, *words))
    assert caught.value.where == "kernel_arguments"


@pytest.mark.parametrize("word", ["a b", "a\nboot", "it's", "$(x)", "${net0/mac}", "a|b", ""])
def test_no_argument_is_more_than_a_word_of_a_script(word: str) -> None:
    """Whatever it was made of: an option of a site's own release, a mirror's URL."""
    kernel, _ = _linux(1)
    with pytest.raises(BrokenError):
        dataclasses.replace(kernel, arguments=("quiet", word))


def test_grub_takes_a_url_with_an_ampersand_for_one_word() -> None:
    """An ampersand would be a mistake of grammar to it, a semicolon the command's end."""
    kernel, _ = _linux(1)
    words = ("inst.repo=http://192.0.2.1/a&d=e", "ds=nocloud;s=x", "quiet")
    told = dataclasses.replace(kernel, arguments=words)
    line = grub.LOADER.boot_script(told, Site("10.77.0.2", 24)).splitlines()[1]
    assert line.endswith(" 'inst.repo=http://192.0.2.1/a&d=e' 'ds=nocloud;s=x' quiet")


@pytest.mark.parametrize(("name", "path"), [("a b", "x"), ("a", "x y"), ("a", "/x"), ("", "x")])
def test_a_name_that_a_script_would_misread_is_ours_to_mend(name: str, path: str) -> None:
    """Both stand in scripts without quotes."""
    with pytest.raises(BrokenError):
        Named(name, path)
