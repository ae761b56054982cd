"""Settings: what is understood, what is refused, and that each is documented."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.errors import InputError
from ironwake_cli.settings import document
from ironwake_runtime.settings import Settings, read

_DOCS = Path(__file__).parents[2] / "docs" / "settings.md"


def test_docs_are_the_settings() -> None:
    """docs/settings.md is what `ironwake settings --markdown` prints: run that after a change."""
    assert _DOCS.read_text(encoding="utf-8") == document()


def test_every_setting_says_what_it_means() -> None:
    """No setting is without a description."""
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_nothing_set_gives_the_defaults() -> None:
    """An empty environment, and foreign variables, are fine; folders follow the state folder."""
    settings = read({"PATH": "/bin", "HOME": "/root"})
    assert settings.dhcp_mode == "proxy"
    assert settings.interface == ""
    assert settings.admin_token_file == Path("/var/lib/ironwake/secrets/admin.token")
    moved = read({"IRONWAKE_STATE_DIR": "/srv/iw"})
    assert (moved.artifacts, moved.views) == (Path("/srv/iw/artifacts"), Path("/srv/iw/views"))
    assert moved.database == "sqlite:////srv/iw/ironwake.sqlite"


def test_only_what_is_handed_in_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process's own environment is not read behind the caller's back, empty or not."""
    monkeypatch.setenv("IRONWAKE_LOG_LEVEL", "")
    monkeypatch.setenv("IRONWAKE_TFTP_PORT", "1069")
    assert read({}) == read({"IRONWAKE_LOG_LEVEL": ""})
    assert read({}).tftp_port == 69


def test_an_empty_value_is_no_value() -> None:
    """`IRONWAKE_TFTP_PORT=` in a .env file means the default."""
    assert read({"IRONWAKE_TFTP_PORT": ""}).tftp_port == 69


def test_a_mistyped_setting_is_an_error() -> None:
    """A setting without effect would be worse than none: it is named, with the nearest one."""
    with pytest.raises(InputError) as caught:
        read({"IRONWAKE_INTERFCE": "eth0"})
    assert "IRONWAKE_INTERFCE" in str(caught.value)
    assert "did you mean IRONWAKE_INTERFACE?" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("IRONWAKE_DHCP_MODE", "both"),
        ("IRONWAKE_TFTP_PORT", "sixty-nine"),
        ("IRONWAKE_ARM_MINUTES", "0"),
        ("IRONWAKE_LOG_FORMAT", "xml"),
    ],
)
def test_a_wrong_value_is_named(name: str, value: str) -> None:
    """The error names the setting and what was given."""
    with pytest.raises(InputError) as caught:
        read({name: value})
    assert caught.value.where == name
    assert value in str(caught.value)


@given(st.sampled_from(sorted(Settings.model_fields)), st.text(min_size=1))
def test_any_value_is_taken_or_refused_in_words(name: str, value: str) -> None:
    """Whatever is set, the outcome is settings or an InputError, nothing else."""
    with contextlib.suppress(InputError):
        read({f"IRONWAKE_{name.upper()}": value})
