"""What opens encrypted volumes at a start."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ironwake.errors import BrokenError
from ironwake.layout import config
from ironwake.layout.work import Work, work
from ironwake_agent import unlocking
from tests.agent.rig import Recorder
from tests.layout.rig import MIRRORED, layout, target

NAME = "vg0-data-open"


def sealed(key: str) -> Work:
    """The data of a mirrored pair of disks is encrypted, and the root is not."""
    text = MIRRORED.replace("encrypt: {key: passphrase}, ", "").replace(
        "{name: data,", f"{{name: data, encrypt: {{key: {key}}},"
    )
    return work(layout(text), target())


def crypttab(made: Work) -> str:
    (file,) = (file for file in config.files(made) if file.path == "etc/crypttab")
    return file.text


def test_a_key_file_is_the_root_s_alone(tmp_path: Path) -> None:
    """Random, readable by root only, added beside the passphrase, and named by crypttab."""
    run = Recorder()
    unlocking.prepare(run, tmp_path, sealed("file"), {NAME: "open sesame"})
    file = tmp_path / f"etc/cryptsetup-keys.d/{NAME}.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o400
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    ((*words,),) = run.calls
    assert words[:2] == ["cryptsetup", "luksAddKey"]
    assert words[-2:] == ["/dev/mapper/vg0-data", str(file)]
    assert run.inputs == ["open sesame"]
    assert f" /{file.relative_to(tmp_path)} luks" in crypttab(sealed("file"))


def test_a_tpm_is_bound_by_the_new_system(tmp_path: Path) -> None:
    """By its own clevis, which will ask the TPM at each start."""
    run = Recorder()
    unlocking.prepare(run, tmp_path, sealed("tpm2"), {NAME: "open sesame"})
    ((*words,),) = run.calls
    assert words[:5] == ["chroot", str(tmp_path), "clevis", "luks", "bind"]
    assert run.inputs == ["open sesame"]
    assert f"{NAME} UUID=" in crypttab(sealed("tpm2"))


def test_without_a_tpm_the_way_out_is_said(tmp_path: Path) -> None:
    """Before the machine is called installed."""
    run = Recorder(broken={"chroot": "clevis ended with 1: no TPM2 device found!"})
    with pytest.raises(BrokenError, match=r"TPM 2\.0 on in the firmware's set-up"):
        unlocking.prepare(run, tmp_path, sealed("tpm2"), {NAME: "open sesame"})


def test_a_passphrase_needs_nothing_more(tmp_path: Path) -> None:
    """It is there already; a person types it."""
    run = Recorder()
    unlocking.prepare(run, tmp_path, sealed("passphrase"), {NAME: "open sesame"})
    assert run.calls == []
    assert " none luks" in crypttab(sealed("passphrase"))
