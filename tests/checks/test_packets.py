"""The packets in docs/boot-dance.md are those that the code reads and writes."""

from __future__ import annotations

import dataclasses

from ironwake.loaders.grub import common_config
from ironwake_dhcp.packet import parse
from ironwake_dhcp.rehearse import rehearse
from ironwake_lab.button import woken
from ironwake_testing.core import MAC, make_bench
from ironwake_testing.tree import block, read

TEXT = read("docs", "boot-dance.md")


def _bytes(name: str) -> bytes:
    """A hexadecimal dump; `*` stands for repeats of the line before, as hexdump writes it."""
    found, star = b"", False
    for line in block(TEXT, f"hex {name}").splitlines():
        if line == "*":
            star = True
            continue
        at, _, digits = line.partition("  ")
        missing = int(at, 16) - len(found)
        assert star or not missing
        found += found[-16:] * (missing // 16) + bytes.fromhex(digits)
        star = False
    return found


def test_the_magic_packet_wakes_the_machine() -> None:
    """The frame shown is one that the power button of a rack takes."""
    assert woken(_bytes("wake"), [str(MAC)]) == [str(MAC)]


def test_the_offer_shown_answers_the_discover_shown() -> None:
    """Byte for byte what the DHCP service sends to that very request."""
    discover = _bytes("discover")
    assert parse(discover).mac == MAC
    assert rehearse(make_bench().index(), discover) == _bytes("offer")


def test_the_discover_shown_gets_silence_when_nothing_is_armed() -> None:
    """The same request of a machine without a deployment is not answered."""
    index = make_bench().index()
    entries = tuple(dataclasses.replace(one, deployment=None) for one in index.view.entries)
    unarmed = type(index)(dataclasses.replace(index.view, entries=entries))
    assert rehearse(unarmed, _bytes("discover")) is None


def test_grubs_configuration_is_the_one_shown() -> None:
    """What all machines get as /grub/grub.cfg."""
    assert block(TEXT, "grub common") == common_config(make_bench().policy.site)
