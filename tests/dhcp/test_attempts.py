"""Firmware that does not understand an offer gets another one, within the same boot."""

from __future__ import annotations

import pytest

from ironwake.firmware import BY_NAME, Firmware
from ironwake.localboot import LoaderName
from ironwake.mac import Mac
from ironwake.personality import Personality, option_43, order, usual
from ironwake.plan import Led
from ironwake_dhcp.attempts import BOOT, CHAINS, Attempts
from ironwake_dhcp.packet import MessageType, Request
from ironwake_dhcp.reply import Quiet

MAC = Mac("52:54:00:77:00:10")
EDK2 = BY_NAME["uefi-amd64-pxe"]
DIRECT, BARE, MENU = Personality.DIRECT, Personality.BOOT_SERVER, Personality.MENU


def led(firmware: Firmware = EDK2, *shapes: Personality) -> Led:
    return Led(LoaderName.GRUB, "sb/shimx64.efi", "grub.cfg", "", shapes or usual(firmware))


def asking(kind: MessageType = MessageType.DISCOVER, xid: int = 1, mac: Mac = MAC) -> Request:
    return Request(kind, xid, secs=0, broadcast=True, flags=0x8000, mac=mac)


def discover(
    attempts: Attempts,
    now: float,
    plan: Led | None = None,
    firmware: Firmware = EDK2,
    xid: int = 1,
) -> Personality | Quiet:
    return attempts.choose(asking(xid=xid), firmware, plan or led(firmware), now)


def test_edk2s_retries_go_through_all_shapes() -> None:
    """At 0, 4, 12 and 28 seconds: two of each, then the first again, for it may lack an address."""
    attempts = Attempts()
    times = (0.0, 4.0, 12.0, 28.0, 32.0, 40.0, 56.0)
    assert [discover(attempts, now) for now in times] == [
        *(DIRECT, DIRECT, BARE, BARE, MENU, MENU, DIRECT)
    ]


def test_who_begins_anew_gets_the_next_shape() -> None:
    """iPXE asks twice, has an address by then, and gives that boot up: the next one goes on here.

    So does one after a pause longer than any firmware's, whatever its transaction is called.
    """
    attempts = Attempts()
    asked = [discover(attempts, now, xid=xid) for now, xid in ((0, 1), (1, 1), (30, 2), (31, 2))]
    assert asked == [DIRECT, DIRECT, BARE, BARE]
    assert discover(attempts, 32.0 + BOOT, xid=2) is MENU


def test_the_next_boot_begins_with_what_was_taken() -> None:
    """Also where a person has pinned shapes in another order, which memory does not change."""
    attempts = Attempts()
    pinned = led(EDK2, BARE, DIRECT)
    discover(attempts, 0.0, pinned, xid=1)
    assert discover(attempts, 30.0, pinned, xid=2) is DIRECT
    attempts.went_on(MAC)
    assert discover(attempts, 1000.0, pinned, xid=3) is DIRECT


def test_whoever_went_on_keeps_the_shape_that_it_took() -> None:
    """The second stage of a boot, and a boot server's question, are no complaints."""
    attempts = Attempts()
    for now in (0.0, 4.0, 12.0):
        discover(attempts, now)
    attempts.went_on(MAC)
    assert attempts.choose(asking(MessageType.REQUEST), EDK2, led(), 13.0) is BARE
    assert [discover(attempts, now) for now in (14.0, 15.0, 16.0)] == [BARE, BARE, MENU]


def test_firmwares_of_one_machine_are_counted_apart() -> None:
    """PXE first, then HTTP Boot, is one machine's ordinary way, and no repeat."""
    attempts = Attempts()
    for now in (0.0, 4.0, 12.0):
        discover(attempts, now)
    http = BY_NAME["uefi-amd64-http"]
    assert discover(attempts, 30.0, firmware=http) is Personality.HTTP


def test_another_plan_begins_anew() -> None:
    """A person who pins another shape is obeyed at once."""
    attempts = Attempts()
    for now in (0.0, 4.0, 12.0):
        discover(attempts, now)
    assert discover(attempts, 13.0, led(EDK2, MENU)) is MENU


def test_a_limited_ipxe_is_not_given_ipxe_for_ever() -> None:
    """If ours were no better than the ROM's, they would load each other for ever."""
    attempts = Attempts()
    firmware = BY_NAME["bios-ipxe-limited"]
    answers = [discover(attempts, float(n), firmware=firmware) for n in range(CHAINS + 3)]
    assert not any(isinstance(one, Quiet) for one in answers[:CHAINS])
    assert all(isinstance(one, Quiet) for one in answers[CHAINS:])


def test_a_sweep_does_not_fill_the_memory() -> None:
    """Made-up cards push out the oldest ones."""
    attempts = Attempts()
    for number in range(5000):
        mac = Mac.from_bytes(b"\x02\0" + number.to_bytes(4, "big"))
        attempts.choose(asking(mac=mac), EDK2, led(), 0.0)
    assert len(attempts) <= 4096


@pytest.mark.parametrize(
    ("pinned", "worked", "expected"),
    [
        ((), None, (DIRECT, BARE, MENU)),
        ((), MENU, (MENU, DIRECT, BARE)),
        ((BARE,), MENU, (BARE,)),
        ((Personality.HTTP,), None, (DIRECT, BARE, MENU)),
        ((), Personality.HTTP, (DIRECT, BARE, MENU)),
    ],
)
def test_the_order_of_shapes(
    pinned: tuple[Personality, ...],
    worked: Personality | None,
    expected: tuple[Personality, ...],
) -> None:
    """A person's word alone, else what worked first; what means nothing to it is left out."""
    assert order(EDK2, pinned, worked) == expected


def tags(area: bytes) -> dict[int, bytes]:
    """PXE's own list in option 43 (PXE 2.1 table 2-1)."""
    found, at = {}, 0
    while area[at] != 255:
        found[area[at]] = area[at + 2 : at + 2 + area[at + 1]]
        at += 2 + area[at + 1]
    assert at == len(area) - 1
    return found


def test_the_menu_is_what_pxe_wants() -> None:
    """One boot server with our address, one line, chosen at once; no broadcast, no multicast."""
    menu = tags(option_43(MENU, bytes((10, 77, 0, 2)), offer=True))
    assert menu[6] == b"\x03"
    assert menu[8] == b"\x80\0\x01\x0a\x4d\0\x02"
    assert menu[9][:2] == b"\x80\0"
    assert menu[9][3:] == b"Ironwake"
    assert len(menu[9]) == 3 + menu[9][2]
    assert menu[10][:1] == b"\0"
    assert tags(option_43(MENU, bytes(4), offer=False)) == {71: b"\x80\0\0\0"}


def test_the_next_deployment_begins_with_what_worked() -> None:
    """A machine that went on, and comes again a day later, has not complained of anything."""
    attempts = Attempts()
    assert discover(attempts, 0.0) is DIRECT
    attempts.settle(lambda mac: mac != MAC)
    assert discover(attempts, 86_400.0) is DIRECT


def test_a_machine_that_is_led_to_its_disk_complains_of_nothing() -> None:
    """Boot after boot: nobody waits for what comes after, so that it does not come says nothing."""
    for pause in (20.0, 86_400.0):
        attempts = Attempts()
        for number in range(5):
            request = asking(xid=number + 1)
            shape = attempts.choose(request, EDK2, led(), pause * number, awaited=False)
            assert shape is DIRECT
