"""How a machine leaves the ramdisk, and that kexec starts what GRUB would."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.errors import RefusedError
from ironwake.names import KernelWord
from ironwake.profile import Finish
from ironwake_agent import ending, entry, kexec, menu
from ironwake_agent.ending import Ending, Ways
from ironwake_agent.entry import Entry
from tests.agent.rig import UEFI, Recorder

KERNEL = "6.1.0-50-amd64"
OURS = menu.menu(UEFI.boot, KERNEL, (KernelWord("console=ttyS0"),), "")

# What update-grub of Debian 12 writes (shortened).
DEBIANS = """\
if [ -s $prefix/grubenv ]; then
  set have_grubenv=true
  load_env
fi
if [ "${next_entry}" ] ; then
   set default="${next_entry}"
   set next_entry=
   save_env next_entry
else
   set default="0"
fi
export menuentry_id_option
function savedefault {
  if [ -z "${boot_once}" ]; then
    saved_entry="${chosen}"
  fi
}
menuentry 'Debian GNU/Linux' --class debian --class os $menuentry_id_option 'gnulinux-simple-1b' {
\tload_video
\tinsmod gzio
\tif [ x$grub_platform = xxen ]; then insmod xzio; insmod lzopio; fi
\tsearch --no-floppy --fs-uuid --set=root 1b
\techo\t'Loading Linux 6.1.0-50-amd64 ...'
\tlinux\t/boot/vmlinuz-6.1.0-50-amd64 root=UUID=1b ro  quiet $vt_handoff
\techo\t'Loading initial ramdisk ...'
\tinitrd\t/boot/initrd.img-6.1.0-50-amd64
}
submenu 'Advanced options for Debian GNU/Linux' $menuentry_id_option 'gnulinux-advanced-1b' {
\tmenuentry 'Debian GNU/Linux, with Linux 6.1.0-50-amd64 (recovery mode)' --class debian {
\t\tlinux\t/boot/vmlinuz-6.1.0-50-amd64 root=UUID=1b ro single
\t\tinitrd\t/boot/initrd.img-6.1.0-50-amd64
\t}
}
menuentry 'UEFI Firmware Settings' $menuentry_id_option 'uefi-firmware' {
\tfwsetup
}
"""


def system(root: Path, text: str = OURS) -> None:
    """A system's files below `root`, as far as a boot needs them."""
    (root / "boot/grub").mkdir(parents=True)
    (root / "boot/grub/grub.cfg").write_text(text)
    (root / f"boot/vmlinuz-{KERNEL}").write_text("kernel")
    (root / f"boot/initrd.img-{KERNEL}").write_text("initrd")


def test_our_own_menu_says_what_it_boots() -> None:
    """The first entry, with all that it gives the kernel."""
    found = entry.default(OURS)
    assert found.kernel == f"/boot/vmlinuz-{KERNEL}"
    assert found.initrd == f"/boot/initrd.img-{KERNEL}"
    assert found.words == (*UEFI.boot.words, "ro", "console=ttyS0", "quiet")


@pytest.mark.parametrize("default", ["0", "Debian GNU/Linux", "gnulinux-simple-1b"])
def test_debians_menu_is_read_as_grub_reads_it(default: str) -> None:
    """By number, title or id; a variable that stands alone is left out."""
    found = entry.default(DEBIANS.replace('default="0"', f'default="{default}"'))
    assert found == Entry(
        f"/boot/vmlinuz-{KERNEL}", f"/boot/initrd.img-{KERNEL}", ("root=UUID=1b", "ro", "quiet")
    )


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (('default="0"', 'default="1"'), "not one of the menu's first level"),
        (('default="0"', 'default="2"'), "starts 0 kernels"),
        (("root=UUID=1b", "root=$root"), "variables"),
        (("linux\t/boot/", "linux\t/../"), "no path"),
        (("linux\t/boot/", "linux\t$dir/"), "no path"),
        (("initrd\t/boot", "initrd\t/ucode /boot"), "more than one ramdisk"),
        (("menuentry 'Debian GNU/Linux' ", "blscfg "), "starts 0 kernels|first level"),
    ],
)
def test_a_menu_that_is_not_clear_is_refused(change: tuple[str, str], why: str) -> None:
    """What this cannot be sure of GRUB reads itself, after a restart."""
    with pytest.raises(RefusedError, match=why):
        entry.default(DEBIANS.replace(*change))


@given(
    st.text(
        st.sampled_from("{}'\"\\$\n\t ()/;#>=0a") | st.characters(codec="utf-8"), max_size=200
    ).map(lambda noise: DEBIANS[: len(noise) * 7] + noise)
)
def test_no_menu_at_all_is_a_mistake_of_ours(text: str) -> None:
    """Any text is an entry with a plain path, or a refusal."""
    try:
        found = entry.default(text)
    except RefusedError:
        return
    assert found.kernel.startswith("/")
    assert ".." not in found.kernel.split("/")


def test_kexec_gets_kernel_initrd_and_words(tmp_path: Path) -> None:
    """The files of the deployed root, opened, and the command line of its own entry."""
    system(tmp_path)
    seen: list[tuple[bytes, bytes, bytes]] = []

    def call(kernel: int, initrd: int, words: bytes) -> None:
        seen.append((os.read(kernel, 99), os.read(initrd, 99), words))

    assert ending.prepare(Finish.KEXEC, tmp_path, call).finish is Finish.KEXEC
    words = " ".join((*UEFI.boot.words, "ro", "console=ttyS0", "quiet"))
    assert seen == [(b"kernel", b"initrd", words.encode())]


def _refuses(number: int) -> Callable[[int, int, bytes], None]:
    def call(kernel: int, initrd: int, words: bytes) -> None:
        raise OSError(number, os.strerror(number))

    return call


@pytest.mark.parametrize("number", [errno.EKEYREJECTED, errno.EPERM, errno.ENOMEM, errno.ENOSYS])
def test_a_kernel_that_says_no_means_a_restart(tmp_path: Path, number: int) -> None:
    """Nothing fails by it: the disk boots; and whoever reads it learns which way was taken."""
    system(tmp_path)
    end = ending.prepare(Finish.KEXEC, tmp_path, _refuses(number))
    assert end.finish is Finish.REBOOT
    assert "restarting instead" in end.words
    assert os.strerror(number) in end.words


def test_a_kernel_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    """A link of an image may lead out of it."""
    system(tmp_path)
    kernel = tmp_path / f"boot/vmlinuz-{KERNEL}"
    kernel.unlink()
    kernel.symlink_to("/etc/hostname")
    with pytest.raises(RefusedError, match="does not take"):
        kexec.load(tmp_path, _refuses(errno.EPERM))


def test_a_system_without_grub_means_a_restart(tmp_path: Path) -> None:
    """There is nothing that says what it would boot."""
    end = ending.prepare(Finish.KEXEC, tmp_path, _refuses(errno.EPERM))
    assert end == Ending(
        Finish.REBOOT, "no kexec, restarting instead: the installed system has no menu of GRUB"
    )


class Left:
    """What was done to leave, in order."""

    def __init__(self, start: Exception | None = None) -> None:
        self.run = Recorder()
        self.told: list[str] = []
        self.done: list[str] = []
        self._start = start
        self.ways = Ways(self.run, self.start, lambda: self.done.append("shell"), lambda _: None)

    def start(self) -> None:
        self.done.append("kexec")
        if self._start:
            raise self._start

    def leave(self, finish: Finish) -> list[str]:
        ending.leave(self.ways, Ending(finish, ""), self.told.append)
        busybox = [words[1] for words in self.run.calls if words[0] == "busybox"]
        return [*self.done, *busybox]


@pytest.mark.parametrize(
    ("finish", "done"),
    [
        (Finish.REBOOT, ["reboot"]),
        (Finish.POWEROFF, ["poweroff"]),
        (Finish.SHELL, ["shell"]),
        (Finish.KEXEC, ["kexec", "reboot"]),  # kexec does not return where it works
    ],
)
def test_each_way_out_is_taken(finish: Finish, done: list[str]) -> None:
    """As the order says; and all is on the disks before the power goes."""
    left = Left()
    assert left.leave(finish) == done
    assert finish is Finish.SHELL or left.run.programs[0] == "sync"


def test_a_loaded_kernel_that_does_not_start_is_told() -> None:
    """The machine restarts by its firmware, and nobody wonders why that took longer."""
    left = Left(OSError(errno.EBUSY, "Device or resource busy"))
    assert left.leave(Finish.KEXEC) == ["kexec", "reboot"]
    assert "Device or resource busy; restarting" in left.told[0]
