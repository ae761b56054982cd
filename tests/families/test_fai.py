"""FAI: its configuration space, and the words of its kernel."""

from __future__ import annotations

import base64
import dataclasses
import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.errors import InputError
from ironwake.families.base import Install
from ironwake.families.fai import FAMILY, SPACE
from ironwake.names import KernelWord, UserName
from ironwake.parameters.model import Repository, RootPolicy, Scripts, Security, User
from tests.families.asked import HASH, KEY, SITE, TOKEN
from tests.families.faispace import install, space


@pytest.fixture(scope="module")
def rich() -> Install:
    """As much as can be stated."""
    return install(
        domain="site.example",
        locale="de_DE.UTF-8",
        keyboard="de",
        timezone="Europe/Berlin",
        ntp=("ntp.example",),
        users=(
            User(UserName("ada"), (KEY,), HASH, full_name="Ada; $(reboot)", groups=("audio",)),  # type: ignore[arg-type]
            User(UserName("bob"), admin=False),
        ),
        root=RootPolicy.KEYS,
        root_keys=(KEY,),
        packages=("htop",),
        package_groups=("web-server",),
        repositories=(Repository("own", "http://apt.example/x", "stable", ("main",)),),
        proxy="http://proxy.example:3128",
        kernel_arguments=(KernelWord("nosmt=force"),),
        scripts=Scripts("echo before", "#!/bin/bash\necho after"),
        firmware=True,
        security=Security.DISABLED,
    )


def test_the_same_machine_gets_the_same_bytes(rich: Install) -> None:
    """Nothing of a clock or of an owner is in the archive."""
    assert FAMILY.answers(rich) == FAMILY.answers(dataclasses.replace(rich))


def test_gnu_tar_reads_the_archive(rich: Install, tmp_path: Path) -> None:
    """All files with their modes: FAI leaves out hooks that are not executable."""
    packed = tmp_path / SPACE
    packed.write_bytes(base64.b64decode(FAMILY.answers(rich).files[SPACE]))
    subprocess.run(["tar", "-xzf", packed, "-C", tmp_path], check=True)
    found = FAMILY.parse(SPACE, FAMILY.answers(rich).files[SPACE])
    assert isinstance(found, dict)
    for path, (mode, text) in found.items():
        assert (tmp_path / path).read_text() == text
        assert (tmp_path / path).stat().st_mode & 0o777 == mode


def test_every_script_is_one(rich: Install, tmp_path: Path) -> None:
    """Bash takes each hook and script, whatever was stated."""
    for number, (path, text) in enumerate(space(rich).items()):
        if path.startswith(("hooks/", "scripts/", "class/", "ironwake/guard")):
            file = tmp_path / str(number)
            file.write_text(text)
            subprocess.run(["bash", "-n", file], check=True)


def test_what_was_stated_stands_where_the_system_reads_it(rich: Install) -> None:
    """Names, keys, sources, packages: each in its file."""
    files = space(rich)
    assert files["package_config/IRONWAKE"] == (
        "PACKAGES install-norec\nhtop\nlocales\nfirmware-linux\nPACKAGES taskinst\nweb-server\n"
    )
    sources = files["files/etc/apt/sources.list/IRONWAKE"]
    assert sources == "deb http://mirror.example/debian bookworm main non-free-firmware\n"
    assert "http://apt.example/x" in files["files/etc/apt/sources.list.d/own.sources/IRONWAKE"]
    assert "node1.site.example" in files["ironwake/root/etc/hosts"]
    assert files["ironwake/root/etc/locale.gen"] == "de_DE.UTF-8 UTF-8\n"
    assert files["ironwake/keys/ada"] == f"{KEY}\n"
    assert files["ironwake/root/root/.ssh/authorized_keys"] == f"{KEY}\n"
    assert files["ironwake/root/etc/sudoers.d/90-ironwake"] == "ada ALL=(ALL:ALL) NOPASSWD: ALL\n"
    assert "nosmt=force apparmor=0" in files["ironwake/root/etc/default/grub"]
    assert files["ironwake/pre"] == "#!/bin/sh\necho before"
    assert files["ironwake/post"] == "#!/bin/bash\necho after"


def test_the_kernel_is_told_no_secret_and_nothing_of_a_persons(rich: Install) -> None:
    """FAI's shell runs NAME=value words of its command line: none is anybody's own text."""
    words = FAMILY.arguments(rich)
    assert f"FAI_CONFIG_SRC={SITE}/deployments/{TOKEN}/answers/{SPACE}" in words
    assert f"FAI_SENDID={TOKEN}" in words
    assert f"root=live:{rich.urls.parts['squashfs']}" in words
    assert not any("nosmt" in word for word in words)
    assert all(KernelWord(word) == word for word in words)


def test_a_disk_is_looked_at_before_it_is_divided() -> None:
    """The guard knows which disk is meant and which may go; a refusal never gets to FAI."""
    files = space(install(erase=("WD-1",), match="WD-1"))
    assert "named WD-1" in files["ironwake/guard"]
    assert "grep -qxF -e WD-1" in files["ironwake/guard"]
    hook = files["hooks/partition.IRONWAKE.sh"]
    assert hook.index("ironwake/guard") < hook.index("event=begin")


def test_fragments_are_files_of_the_space() -> None:
    """A person's own files come besides; neither ours nor what is outside may be given."""
    own = install(fragments={"fai": '{"package_config/MINE": "PACKAGES\\nvim\\n"}'})
    assert space(own)["package_config/MINE"] == "PACKAGES\nvim\n"
    for text in (
        '{"disk_config/IRONWAKE": "x"}',
        '{"disk_config/OWN": "disk_config /dev/sdb"}',
        '{"../etc/passwd": "x"}',
        '{"hooks/../../x": "x"}',
        '{"hooks/x": 1}',
        "no json",
        "[" * 100_000,
    ):
        with pytest.raises(InputError) as error:
            FAMILY.check(install(fragments={"fai": text}))
        assert error.value.where == "fragments.fai"


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_a_hostile_name_comes_back_equal_or_is_refused(text: str) -> None:
    """A person's full name is one word of one command, or is refused by its field."""
    if not text.isprintable() or ":" in text or "," in text:
        with pytest.raises(InputError) as error:
            User(UserName("ada"), full_name=text)
        assert error.value.where == "full_name"
        return
    user = User(UserName("ada"), full_name=text)
    script = space(install(users=(user,)))["scripts/IRONWAKE/10-system"]
    (line,) = (line for line in script.splitlines() if "useradd" in line)
    words = shlex.split(line)
    assert words[words.index("-c") + 1] == text


def test_packages_need_a_mirror() -> None:
    """Else the installation would end with errors of apt's."""
    told = install(packages=("htop",))
    without = dataclasses.replace(told, urls=dataclasses.replace(told.urls, packages=""))
    with pytest.raises(InputError) as error:
        FAMILY.check(without)
    assert error.value.where == "mirror"
