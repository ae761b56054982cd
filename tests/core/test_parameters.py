"""What a person states is refused, or harmless, before any answer file is made of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.errors import InputError
from ironwake.names import KernelWord, UserName
from ironwake.parameters import Parameters, User


@given(st.text())
def test_hostile_text_in_a_profile_is_refused_or_harmless(text: str) -> None:
    """No field of a profile can bring a line break, a quote or a second command with it."""
    makers = (
        lambda: Parameters(timezone=text),
        lambda: Parameters(locale=text),
        lambda: Parameters(keyboard=text),
        lambda: Parameters(packages=(text,)),
        lambda: KernelWord(text),
    )
    for make in makers:
        try:
            make()
        except InputError:
            continue
        assert not set(text) & set("\n\r'\"`$;|&<>(){}\\ ")


@pytest.mark.parametrize("password", ["secret", "$1$abc$def", "$6$x"])
def test_a_plain_or_weak_password_is_refused(password: str) -> None:
    """Only crypt(5) hashes of today get into a profile."""
    with pytest.raises(InputError):
        User(UserName("admin"), (), password)
