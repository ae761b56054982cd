"""The Debian installer: data in, lines out; recipes, the late script, a person's fragment."""

from __future__ import annotations

import dataclasses
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from ironwake.disk import DiskMatch
from ironwake.errors import InputError
from ironwake.families.debian import FAMILY, LATE, PRE, PRESEED
from ironwake.methods import METHODS
from ironwake.names import KernelWord
from ironwake.parameters import Parameters
from ironwake.parameters.model import Scripts, Security
from ironwake.profile import Disk, Method
from ironwake.site import Site
from ironwake_testing.core import MAC, Bench, make_bench
from tests.families import asked, conformance
from tests.families.conformance import base
from tests.families.debconf import answer

ROW = next(row for row in conformance.rows() if row.name == "debian-12")


@pytest.fixture
def bench() -> Bench:
    return make_bench()


def _answers(bench: Bench) -> str:
    row = bench.with_method(Method.SCRIPT)
    return METHODS[Method.SCRIPT].payload(row.deployment, row.machine, MAC, row.policy).text


def test_debconf_accepts_the_file(bench: Bench, tmp_path: Path) -> None:
    """`debconf-set-selections -c` is the format's own judge."""
    file = tmp_path / "preseed.cfg"
    file.write_text(_answers(bench))
    checked = subprocess.run(
        ["debconf-set-selections", "-c", str(file)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr


def test_every_answer_is_one_line_with_owner_name_and_type(bench: Bench) -> None:
    """A preseed has no quoting: a line is an answer, and nothing else is."""
    lines = _answers(bench).splitlines()
    assert lines[0] == "#_preseed_V1"
    for line in lines[1:]:
        assert line.split(" ", 3)[0] in {"d-i", "tasksel", "popularity-contest"}


def test_the_mirror_the_user_and_the_hooks_stand_in_it(bench: Bench) -> None:
    """What the profile and the site say reaches the installer."""
    text = _answers(bench)
    assert "d-i mirror/http/hostname string mirror.example" in text
    assert "d-i passwd/make-user boolean false" in text  # users are the late script's
    assert f"/deployments/{bench.deployment.token}/callbacks?stage=installing" in text


def test_the_profiles_kernel_arguments_reach_the_installed_system(bench: Bench) -> None:
    """debian-installer copies what stands after three hyphens, and only that (`user-params`)."""
    parameters = Parameters(kernel_arguments=(KernelWord("mitigations=auto"),))
    deployment = dataclasses.replace(bench.deployment, parameters=parameters)
    row = dataclasses.replace(bench, deployment=deployment).with_method(Method.SCRIPT)
    boot = METHODS[Method.SCRIPT].boot(row.deployment, row.machine, MAC, row.policy)
    assert boot.arguments[-2:] == ("---", "mitigations=auto")


def test_a_network_without_name_server_or_router_raises_no_question(bench: Bench) -> None:
    """The installer asks for both before it has its answers, so the kernel's line has to say it."""
    row = bench.with_method(Method.SCRIPT)
    boot = METHODS[Method.SCRIPT].boot(row.deployment, row.machine, MAC, row.policy)
    assert f"netcfg/get_nameservers={bench.policy.site.address}" in boot.arguments
    assert "netcfg/no_default_route=true" in boot.arguments


@pytest.mark.parametrize("locale", ["C.UTF-8", "de_DE.UTF-8"])
def test_no_locale_leaves_the_country_open(locale: str) -> None:
    """Where the locale names none, it would be asked for even at priority critical."""
    text = FAMILY.answers(base(ROW, locale=locale)).files[PRESEED]
    assert answer(text, "debian-installer/locale") == locale
    assert ("debian-installer/country" in text) is ("_" not in locale)


def test_a_layout_becomes_a_recipe() -> None:
    """Fixed sizes are fixed, in MB; what grows takes the rest; each part says what it is."""
    text = FAMILY.answers(replace(base(ROW), layout=asked.PLAIN)).files[PRESEED]
    recipe = answer(text, "partman-auto/expert_recipe")
    assert recipe == (
        "ironwake :: "
        "537 537 537 fat32 $iflabel{ gpt } method{ efi } format{ } . "
        "2 2 2 free $iflabel{ gpt } method{ biosgrub } . "
        "2148 2148 2148 linux-swap method{ swap } format{ } . "
        "500 1000000000 -1 ext4 method{ format } format{ } use_filesystem{ } filesystem{ ext4 }"
        " mountpoint{ / } options/noatime{ noatime } ."
    )
    assert answer(text, "partman-auto/method") == "regular"


def test_a_volume_group_becomes_a_recipe() -> None:
    """Partitions are for themselves, logical volumes in their group."""
    text = FAMILY.answers(replace(base(ROW), layout=asked.LVM)).files[PRESEED]
    recipe = answer(text, "partman-auto/expert_recipe")
    assert answer(text, "partman-auto/method") == "lvm"
    assert "ext4 $defaultignore{ } method{ lvm } vg_name{ vg0 } ." in recipe
    assert "$lvmok{ } in_vg{ vg0 } lv_name{ root } method{ format }" in recipe


@pytest.mark.parametrize("name", ["percent", "raid", "sealed"])
def test_what_no_recipe_can_say_is_refused(name: str) -> None:
    """By the layout's own field, with the way out."""
    with pytest.raises(InputError) as caught:
        FAMILY.check(replace(base(ROW), layout=asked.LAYOUTS[name]))
    assert caught.value.where.startswith("layout.")
    assert "method: archive" in caught.value.next_step


def test_scripts_are_fetched_before_the_first_report() -> None:
    """With it the claim is over, and nothing can be fetched any more."""
    install = base(ROW, scripts=Scripts(pre="#!/bin/sh\necho\n", post="echo"))
    answers = FAMILY.answers(install)
    hook = answer(answers.files[PRESEED], "preseed/early_command")
    fetched = [hook.index(f"/answers/{name}") for name in (LATE, PRE)]
    assert max(fetched) < hook.index("stage=installing")
    assert hook.index("stage=installing") < hook.rindex("/tmp/ironwake-pre.sh ||")
    assert PRE not in FAMILY.answers(base(ROW)).files


def test_a_fragment_comes_last_and_takes_no_moment_of_ours() -> None:
    """The last answer to a question counts; reports and the guard stay."""
    line = "d-i time/zone string Asia/Tokyo"
    text = FAMILY.answers(base(ROW, fragments={"debian": f"# mine\n{line}\n"})).files[PRESEED]
    assert answer(text, "time/zone") == "Asia/Tokyo"
    for wrong in ("d-i preseed/late_command string reboot", "d-i time/zone", "d-i a string \x01"):
        with pytest.raises(InputError) as caught:
            FAMILY.check(base(ROW, fragments={"debian": wrong}))
        assert caught.value.where == "fragments.debian"


def test_apparmor_is_switched_off_for_the_installed_kernel() -> None:
    """What stands after three hyphens goes on to it."""
    words = FAMILY.arguments(base(ROW, security=Security.DISABLED))
    assert words[words.index("---") :] == ("---", "apparmor=0")


@pytest.mark.parametrize(
    ("words", "is_right"),
    [
        ([f"a{n}=1" for n in range(17)], False),
        ([f"a{n}=1" for n in range(16)], True),
        ([f"a{n}" for n in range(30)], False),
        ([f"a{n}" for n in range(29)], True),
        ([f"module.a{n}=1" for n in range(60)], True),
        (["a=1"] * 60, True),
        (["a"] * 30, False),
        (["a=1", "a"] * 30, False),
    ],
)
def test_more_arguments_than_a_kernel_gives_to_init_are_refused(
    words: list[str], is_right: bool
) -> None:
    """It would panic at its start, for the installer's own are of these, too."""
    site = Site("10.77.0.2", 24, syslog_port=514)
    install = replace(base(ROW, kernel_arguments=tuple(map(KernelWord, words))), site=site)
    if is_right:
        FAMILY.check(install)
        return
    with pytest.raises(InputError, match="panics") as caught:
        FAMILY.check(install)
    assert caught.value.where == "kernel_arguments"
    assert "scripts.post" in caught.value.next_step


@pytest.mark.parametrize(
    ("match", "looked_for"),
    [
        ("serial:auto", "ID_SERIAL_SHORT=auto"),
        ("wwn:0x5000c500a1b2c3d4", "ID_WWN=0x5000c500a1b2c3d4"),
    ],
)
def test_a_disk_is_named_by_the_words_of_every_family(match: str, looked_for: str) -> None:
    """Else the machine would go off for want of a disk that is there."""
    install = replace(base(ROW), disk=Disk(DiskMatch(match)))
    hook = answer(FAMILY.answers(install).files[PRESEED], "partman/early_command")
    assert f"-e {looked_for};" in hook
    assert match not in hook
