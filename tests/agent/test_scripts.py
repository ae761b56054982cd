"""A person's scripts: run for real, in a root of their own, and ended whatever they do."""

from __future__ import annotations

import os
import select
import shutil
from pathlib import Path

import pytest

from ironwake.errors import BrokenError, GoneError
from ironwake_agent import scripts
from ironwake_agent.network import Lease
from ironwake_agent.scripts import Ear

LEASE = Lease("eth0", "192.0.2.7", ("192.0.2.53",))


def ear(said: list[str] | None = None, **more: float) -> Ear:
    return Ear((said if said is not None else []).append, lambda _: None, **more)


_PROGRAMS = ("sh", "id", "cp", "pwd", "echo", "sleep", "setsid", "true", "rm")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with a shell, which looks like a Debian's."""
    folder = tmp_path / "system"
    for name in ("usr/bin", "usr/sbin", "etc", "root", "dev", "run/systemd/resolve"):
        (folder / name).mkdir(parents=True)
    (folder / "bin").symlink_to("usr/bin")
    shutil.copy(shutil.which("busybox") or "", folder / "bin/busybox")
    for name in _PROGRAMS:
        (folder / "bin" / name).symlink_to("busybox")
    (folder / "bin/apt-get").touch()
    (folder / "dev/null").touch()
    (folder / "etc/resolv.conf").symlink_to("../run/systemd/resolve/stub-resolv.conf")
    return folder


def after(text: str, root: Path) -> None:
    scripts.after(text, root, LEASE, ear())


def test_pre_runs_by_what_its_first_line_names(tmp_path: Path) -> None:
    """Else by sh; its file is gone then, and it is told nothing of the ramdisk's environment."""
    os.environ["IRONWAKE_CANARY"] = "1"
    try:
        for first in ("", "#!/bin/bash\nset -o pipefail\n"):
            text = f"{first}env >{tmp_path}/env; echo $0 >{tmp_path}/name"
            scripts.before(text, ear(), tmp_path)
            assert "CANARY" not in (tmp_path / "env").read_text()
            assert (tmp_path / "name").read_text() == f"{tmp_path}/ironwake-pre\n"
            assert not (tmp_path / "ironwake-pre").exists()
    finally:
        del os.environ["IRONWAKE_CANARY"]


def test_a_failure_names_the_script_and_its_last_words(tmp_path: Path) -> None:
    """Both streams are told, in their order; control characters do not reach the console."""
    said: list[str] = []
    text = "echo one; echo two >&2; printf 'thr\\033ee\\n'; exit 7"
    with pytest.raises(BrokenError, match="the script pre ended with 7: thr") as caught:
        scripts.before(text, ear(said), tmp_path)
    assert said[1:] == ["pre: one", "pre: two", "pre: thr?ee"]
    assert "parameters.scripts.pre" in str(caught.value)
    assert not (tmp_path / "ironwake-pre").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("#!/no/such/program\n", "cannot be started: No such file or directory"),
        ("exit 300", "ended with 44: it said nothing"),
        ("kill -9 $$", "ended with -9"),
    ],
)
def test_each_kind_of_failure_is_told(tmp_path: Path, text: str, words: str) -> None:
    """A status, a signal, a program that is not there."""
    with pytest.raises(BrokenError, match=words):
        scripts.before(text, ear(), tmp_path)


def test_a_script_without_end_is_ended(tmp_path: Path) -> None:
    """With all that it started; what it had said by then is told."""
    said: list[str] = []
    text = f"sleep 1000 & echo $! >{tmp_path}/child; echo so far; wait"
    with pytest.raises(BrokenError, match=r"did not end within 0\.5 s"):
        scripts.before(text, ear(said, seconds=0.5), tmp_path)
    assert said[-1] == "pre: so far"
    _gone(int((tmp_path / "child").read_text()))


def test_output_without_end_is_no_trouble(tmp_path: Path) -> None:
    """Of as much as there is only the end is kept, and the script's time runs meanwhile."""
    said: list[str] = []
    with pytest.raises(BrokenError, match="did not end"):
        scripts.before(
            "while :; do echo a line of its output; done", ear(said, seconds=1), tmp_path
        )
    assert len(said) <= 25
    scripts.before("head -c 9000000 /dev/zero; exit 0", ear(), tmp_path)


def test_one_that_leaves_a_process_behind_has_ended(tmp_path: Path) -> None:
    """Nobody waits for a process that holds its output open: it is ended, too."""
    scripts.before(f"sleep 1000 & echo $! >{tmp_path}/child", ear(), tmp_path)
    _gone(int((tmp_path / "child").read_text()))


def test_who_ends_the_deployment_ends_the_script(tmp_path: Path) -> None:
    """It is asked again and again; what it raises is what is told."""

    def over(words: str) -> None:
        raise GoneError(f"the deployment is over: {words}")

    text = f"echo $$ >{tmp_path}/own; exec sleep 1000"
    with pytest.raises(GoneError, match="over: the script pre still runs"):
        scripts.before(text, Ear(lambda _: None, over, every=0.3), tmp_path)
    _gone(int((tmp_path / "own").read_text()))


@pytest.mark.root
def test_post_runs_in_the_new_system_as_its_root(root: Path) -> None:
    """With the name servers of here, and packages that start nothing; nothing of that stays."""
    after(
        "#!/bin/sh\nid -u >/mine; pwd >>/mine; cp /etc/resolv.conf /servers\n"
        "/usr/sbin/policy-rc.d; echo $? >>/mine\n",
        root,
    )
    assert (root / "mine").read_text() == "0\n/\n101\n"
    assert (root / "servers").read_text() == "nameserver 192.0.2.53\n"
    assert not (root / "root/ironwake-post").exists()
    assert list((root / "run/systemd/resolve").iterdir()) == []
    assert list((root / "usr/sbin").iterdir()) == []


@pytest.mark.root
def test_post_that_fails_fails_the_deployment(root: Path) -> None:
    """By its name, with its status and last words; its file, which may hold a secret, is gone."""
    with pytest.raises(BrokenError, match="the script post ended with 3: no room"):
        after("echo no room; exit 3", root)
    assert not (root / "root/ironwake-post").exists()


@pytest.mark.root
def test_a_daemon_of_post_does_not_hold_the_disk(root: Path) -> None:
    """Not even one with a session of its own: all of them run in the new root, and have ended."""
    daemon = "setsid sh -c 'echo $$ >/daemon; exec sleep 1000' </dev/null >/dev/null 2>&1 &"
    after(f"{daemon}\nuntil [ -s /daemon ]; do sleep 0.1; done", root)
    _gone(int((root / "daemon").read_text()))


@pytest.mark.root
def test_what_post_makes_of_the_resolver_stays(root: Path) -> None:
    """What the system had is put back, unless the script has put another one there."""
    (root / "etc/resolv.conf").unlink()
    (root / "etc/resolv.conf").write_text("nameserver 198.51.100.1\n")
    after("true", root)
    assert (root / "etc/resolv.conf").read_text() == "nameserver 198.51.100.1\n"
    after("echo nameserver 198.51.100.2 >/etc/resolv.conf", root)
    assert (root / "etc/resolv.conf").read_text() == "nameserver 198.51.100.2\n"


def test_nothing_to_run_is_nothing_done(tmp_path: Path) -> None:
    """Not even a file."""
    said: list[str] = []
    scripts.before("", ear(said), tmp_path)
    scripts.after("", tmp_path, LEASE, ear(said))
    assert list(tmp_path.iterdir()) == []
    assert said == []


def _gone(number: int) -> None:
    """Ended, whoever reaps it."""
    try:
        watched = os.pidfd_open(number)
    except ProcessLookupError:
        return
    try:
        assert select.select([watched], [], [], 60)[0], f"process {number} still runs"
    finally:
        os.close(watched)
