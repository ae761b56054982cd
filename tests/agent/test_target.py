"""What makes an unpacked archive this machine's own system: a tree before and after."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from ironwake.errors import BrokenError
from ironwake.firstboot import File
from ironwake.layout.work import Work
from ironwake.names import KernelWord, UserName
from ironwake.order import Order
from ironwake_agent import accounts, menu, target
from tests.agent.rig import BIOS, CONSOLES, ORDER, UEFI, order

GOLDENS = Path(__file__).parent / "goldens"
KERNEL = "6.1.0-56-cloud-amd64"

# What of a Debian archive matters here.
ARCHIVE = {
    "boot/vmlinuz-" + KERNEL: "kernel",
    "boot/initrd.img-" + KERNEL: "initrd",
    "etc/group": "root:x:0:\nsudo:x:27:\nshadow:x:42:\n",
    "etc/gshadow": "root:*::\nsudo:*::\nshadow:*::\n",
    "etc/machine-id": "",
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\n",
    "etc/shadow": "root:*:19700:0:99999:7:::\n",
    "etc/skel/.profile": "# profile\n",
    "etc/subgid": "",
    "etc/subuid": "",
    "usr/share/zoneinfo/Europe/Berlin": "TZif",
    "var/cache/debconf/config.dat": "Name: a/b\nTemplate: a/b\nOwners: a\n\n",
    "var/cache/debconf/templates.dat": "Name: a/b\nType: note\nOwners: a/b\n\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in ARCHIVE.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "etc/shadow").chmod(0o640)
    return tmp_path


def tree(root: Path) -> str:
    """All that differs from the archive, as text: mode, name, contents."""
    lines = []
    for path in sorted(root.rglob("*"), key=lambda path: path.relative_to(root).parts):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            lines.append(f"link {name} -> {path.readlink()}")
        elif path.is_file() and ARCHIVE.get(name) != path.read_text():
            lines.append(f"{stat.S_IMODE(path.stat().st_mode):04o} {name}")
            lines += [f"    {line}".rstrip() for line in path.read_text().splitlines()]
    return "".join(f"{line}\n" for line in lines)


RICH = replace(
    order(
        timezone="Europe/Berlin", keyboard="de", kernel_arguments=(KernelWord("mitigations=off"),)
    ),
    users=(replace(ORDER.users[0], password_hash="$6$abc$" + "x" * 30),),
)


@pytest.mark.parametrize(
    ("name", "given", "work", "consoles"),
    [
        ("uefi", ORDER, UEFI, CONSOLES),
        ("bios", RICH, BIOS, CONSOLES),
        ("no-user", order(users=()), UEFI, ()),
    ],
)
def test_the_configured_tree(
    root: Path, name: str, given: Order, work: Work, consoles: tuple[KernelWord, ...]
) -> None:
    """The files that an order makes of an archive; IRONWAKE_UPDATE_GOLDENS=1 writes them anew."""
    target.configure(root, given, work, consoles)
    golden = GOLDENS / f"{name}.txt"
    if os.environ.get("IRONWAKE_UPDATE_GOLDENS"):
        golden.write_text(tree(root))
    assert tree(root) == golden.read_text()


def test_configuring_follows_no_link_out_of_the_target(root: Path, tmp_path: Path) -> None:
    """The archive's absolute links lead into the ramdisk from here: they are replaced."""
    outside = tmp_path / "outside"
    outside.write_text("untouched")
    for name in ("etc/hostname", "etc/localtime", "etc/default/grub"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).symlink_to(outside)
    target.configure(root, ORDER, UEFI, CONSOLES)
    assert outside.read_text() == "untouched"
    assert (root / "etc/hostname").read_text() == "node1\n"


def test_shadow_keeps_its_mode(root: Path) -> None:
    """Accounts are written in place: nobody may read the hashes meanwhile or afterwards."""
    target.configure(root, ORDER, UEFI, CONSOLES)
    assert stat.S_IMODE((root / "etc/shadow").stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("missing", "given", "words"),
    [
        ("etc/passwd", ORDER, "no system"),
        ("boot/vmlinuz-" + KERNEL, ORDER, "none"),
        ("boot/initrd.img-" + KERNEL, ORDER, "initrd"),
        ("usr/share/zoneinfo/Europe/Berlin", order(timezone="Europe/Berlin"), "Europe/Berlin"),
        ("", order(locale="de_DE.UTF-8"), "de_DE.UTF-8"),
    ],
)
def test_what_the_archive_lacks_is_said(root: Path, missing: str, given: Order, words: str) -> None:
    """An archive that cannot become what was ordered fails with the name of what is missing."""
    if missing:
        (root / missing).unlink()
    with pytest.raises(BrokenError, match=words):
        target.configure(root, given, UEFI, CONSOLES)


def test_two_kernels_are_a_question(root: Path) -> None:
    """Which of two kernels boots is not guessed."""
    (root / "boot/vmlinuz-6.1.0-9-amd64").touch()
    with pytest.raises(BrokenError, match="one kernel"):
        target.kernel_of(root)


def test_an_account_that_is_there_already_is_not_taken_over() -> None:
    """The archive's own accounts are nobody's to overwrite."""
    texts = {name: ARCHIVE.get(name, "") for name in accounts.FILES}
    once = accounts.add(texts, ORDER.users[0])
    with pytest.raises(BrokenError, match="admin"):
        accounts.add(once, ORDER.users[0])


def test_a_new_account_takes_free_numbers() -> None:
    """User and group have the same number, free in both files; subordinate ids do not overlap."""
    texts = {name: ARCHIVE.get(name, "") for name in accounts.FILES}
    texts["etc/passwd"] += "a:x:1000:1000::/:/bin/sh\n"
    texts["etc/group"] += "a:x:1000:\nb:x:1001:\n"
    texts["etc/subuid"] = "a:100000:65536\n"
    new = accounts.add(texts, ORDER.users[0])
    assert "admin:x:1002:1002:" in new["etc/passwd"]
    assert "admin:165536:65536" in new["etc/subuid"]
    assert "sudo:x:27:admin\n" in new["etc/group"]


@pytest.mark.parametrize(
    ("words", "uefi", "options"),
    [
        (("console=ttyS1,57600n8",), False, "--unit=1 --speed=57600"),
        (("console=ttyS0",), False, "--unit=0 --speed=9600"),
        (("console=ttyS0,115200", "console=tty0"), False, "--unit=0 --speed=115200"),
        (("console=tty0",), False, ""),
        (("console=hvc0",), False, ""),
        (("console=ttyS0,115200",), True, ""),
    ],
)
def test_grub_speaks_on_the_serial_line_that_linux_does(
    words: tuple[str, ...], uefi: bool, options: str
) -> None:
    """A headless BIOS machine keeps its console; UEFI shows GRUB there by itself."""
    assert menu.serial_line([KernelWord(word) for word in words], uefi) == options


def test_debconf_answers_replace_earlier_ones() -> None:
    """Setting them twice is the same as once, and other packages' answers stay."""
    once = menu.answered(ARCHIVE["var/cache/debconf/config.dat"])
    assert menu.answered(once) == once
    assert once.startswith("Name: a/b\n")
    assert once.count("grub2/update_nvram") == 2
    texts = menu.templates(ARCHIVE["var/cache/debconf/templates.dat"])
    assert menu.templates(texts) == texts


def test_files_are_written_with_their_mode(tmp_path: Path) -> None:
    """Secrets are readable by root only, scripts are executable."""
    target.write(tmp_path, File("a/b/secret", 0o600, "x"))
    assert stat.S_IMODE((tmp_path / "a/b/secret").stat().st_mode) == 0o600


@pytest.mark.parametrize("is_there", [False, True])
def test_a_group_that_is_not_there_is_made(is_there: bool) -> None:
    """As installers do it: with a system group's number, once, and nobody else in it."""
    user = replace(ORDER.users[0], groups=(UserName("audio"), UserName("lab")))
    texts = {name: ARCHIVE.get(name, "") for name in accounts.FILES}
    texts["etc/group"] += "audio:x:29:\nold:x:999:\n"
    if is_there:
        texts = accounts.add(texts, ORDER.users[0])
    new = (accounts.change if is_there else accounts.add)(texts, user)
    assert f"audio:x:29:{user.name}\n" in new["etc/group"]
    assert f"lab:x:998:{user.name}\n" in new["etc/group"]
    assert f"lab:!::{user.name}\n" in new["etc/gshadow"]
    assert accounts.change(new, user) == new
