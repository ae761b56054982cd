"""What `ironwake doctor` finds: each fault in one plain sentence, with its fix."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from ironwake.errors import BrokenError
from ironwake.site import ForeignServer
from ironwake_cli import checks
from ironwake_cli.checks import Finding, Grade

_NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


def test_faults_come_with_a_fix() -> None:
    """No finding that is not fine leaves a person without the next step."""
    findings = (
        checks.link("eth0", up=False, running=False),
        checks.link("eth0", up=True, running=False),
        checks.docker("Docker Desktop"),
        checks.artifacts(["loaders"], ("loaders", "ramdisk-generic"), any_media=False),
        checks.room(Path("/a"), 1_000_000),
        checks.neighbours(600, 1024, "sysctl -w x"),
        checks.clock(datetime(1970, 1, 1, tzinfo=UTC), synchronised=False),
        checks.clock(_NOW, synchronised=False),
    )
    for finding in findings:
        assert finding.grade is not Grade.OK
        assert finding.fix
        assert not finding.says.endswith(".")


def test_what_is_fine_is_said_too() -> None:
    """A person sees what was looked at, not only what is wrong."""
    findings = (
        checks.link("eth0", up=True, running=True),
        checks.docker(""),
        checks.docker("Debian GNU/Linux 12 (bookworm)"),
        checks.artifacts(["debian-12", "loaders"], ("loaders",), any_media=True),
        checks.room(Path("/a"), 50_000_000_000),
        checks.neighbours(500, 1024, "sysctl -w x"),
        checks.neighbours(0, 1024, "sysctl -w x"),
        checks.neighbours(9000, None, "sysctl -w x"),
        checks.clock(_NOW, synchronised=True),
    )
    assert {finding.grade for finding in findings} == {Grade.OK}


def test_missing_artifacts_name_the_command() -> None:
    """What is missing can be pasted into a shell."""
    found = checks.artifacts(["loaders"], ("loaders", "ramdisk-cloud"), any_media=False)
    assert found.fix == "run: ironwake media add ramdisk-cloud debian-12"


def test_secrets_that_others_may_read(tmp_path: Path) -> None:
    """A token that a second user can read is a fault; the folder alone, closed, is fine."""
    folder = tmp_path / "secrets"
    assert checks.secrets(folder).grade is Grade.OK
    folder.mkdir(mode=0o700)
    token = folder / "admin.token"
    token.touch(mode=0o600)
    assert checks.secrets(folder).grade is Grade.OK
    token.chmod(0o644)
    found = checks.secrets(folder)
    assert found.grade is Grade.FAULT
    assert f"{token} (0644)" in found.says


def test_a_look_that_fails_is_a_finding() -> None:
    """An error on the way becomes the finding, with its own next step."""

    def look() -> Finding:
        raise BrokenError("is damaged", "add it again", "/a/b.json")

    assert checks.attempt("artifacts", look) == Finding(
        "artifacts", Grade.FAULT, "/a/b.json: is damaged", "add it again"
    )


def test_another_boot_server_is_a_fault() -> None:
    """It is named with its file, and the fix says what to switch off there."""
    heard = [ForeignServer("10.77.0.9", boot_file="pxelinux.0")]
    found = checks.segment(heard, "proxy", "eth0")
    assert found.grade is Grade.FAULT
    assert "10.77.0.9 (pxelinux.0)" in found.says
    assert "66 and 67" in found.fix


def test_the_mode_must_fit_the_network() -> None:
    """Proxy mode needs a DHCP server, server mode must be the only one."""
    router = ForeignServer("10.77.0.1")
    assert checks.segment([router], "proxy", "eth0").grade is Grade.OK
    assert checks.segment([], "proxy", "eth0").grade is Grade.FAULT
    assert checks.segment([], "server", "eth0").grade is Grade.OK
    assert checks.segment([router], "server", "eth0").grade is Grade.FAULT
    assert checks.segment([router], "beside", "eth0").grade is Grade.OK
    assert checks.segment([], "off", "eth0").grade is Grade.OK
