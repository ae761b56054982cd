"""What the kernel command line says to the agent."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake.errors import InputError
from ironwake.mac import Mac
from ironwake.order import Archive
from ironwake_agent import cmdline

LINE = (
    "ironwake.url=http://10.77.0.2 ironwake.token=00ffee11 BOOTIF=01-52-54-00-77-00-10"
    " console=tty0 console=ttyS0,115200 quiet\n"
)


def test_a_line_as_our_loaders_give_it() -> None:
    """Address, token, card and consoles come from one line."""
    boot = cmdline.parse(LINE)
    assert boot.order == "http://10.77.0.2/deployments/00ffee11/order"
    assert boot.callbacks == "http://10.77.0.2/deployments/00ffee11/callbacks"
    assert boot.mac == Mac("52:54:00:77:00:10")
    assert boot.consoles == ("console=tty0", "console=ttyS0,115200")


def test_the_second_part_of_the_ramdisk_is_named_by_its_hash() -> None:
    """Path and size, as the boot script has them; the address is the appliance's."""
    boot = cmdline.parse(f"{LINE} ironwake.tools=artifacts/{'ab' * 32}/tools.tar.zst,9000000")
    url = f"http://10.77.0.2/artifacts/{'ab' * 32}/tools.tar.zst"
    assert boot.tools == Archive(url, "ab" * 32, 9_000_000, 0)
    assert cmdline.parse(LINE).tools is None


def test_a_loader_may_leave_the_card_out() -> None:
    """Without BOOTIF any card will do; a port and a slash at the end of the URL are fine."""
    boot = cmdline.parse("ironwake.url=http://10.77.0.2:8000/ ironwake.token=00ffee11")
    assert (boot.mac, boot.url) == (None, "http://10.77.0.2:8000")


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("quiet", "ironwake.url"),
        ("ironwake.url=ftp://x ironwake.token=00ffee11", "ironwake.url"),
        ("ironwake.url=http://x", "ironwake.token"),
        ("ironwake.url=http://x ironwake.token=../../etc", "ironwake.token"),
        ("ironwake.url=http://x ironwake.token=00ffee11 BOOTIF=eth0", "eth0"),
        (f"{LINE} ironwake.tools=artifacts/../tools.tar.zst,9", "ironwake.tools"),
        (f"{LINE} ironwake.tools=artifacts/{'ab' * 32}/tools.tar.zst", "ironwake.tools"),
    ],
)
def test_what_is_missing_is_named(line: str, name: str) -> None:
    """A line that no loader of ours wrote is refused with the word that is wrong."""
    with pytest.raises(InputError, match=name):
        cmdline.parse(line)


@given(st.text())
def test_any_line_is_an_answer_or_an_input_error(line: str) -> None:
    """No text on the command line makes the agent fall over."""
    with suppress(InputError):
        cmdline.parse(line)
