"""Boot scripts: always 200, always a script, for whoever asks."""

from __future__ import annotations

import pytest

from ironwake.mac import Mac
from ironwake.report import Seen
from tests.http.rig import ARMED, IDLE, PRESEED, SECOND, STRANGER, TOKEN, Rig, run

LOADERS = ("grub.cfg", "boot.ipxe")
NOTATIONS = (
    "52:54:00:77:00:10",
    "52-54-00-77-00-10",
    "52%3a54%3A00:77:00:10",
    "525400770010",
    "5254.0077.0010",
    "52:54:00:77:00:10".upper(),
)


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("notation", NOTATIONS)
def test_armed_machine_boots_in_any_notation(loader: str, notation: str) -> None:
    """However a loader writes its MAC address, the armed machine gets its kernel and token."""

    async def test(rig: Rig) -> None:
        reply = await rig.ask(f"/boot/{notation}/{loader}")
        assert reply.status == 200
        assert f"ironwake.token={TOKEN}".encode() in reply.body
        assert reply.field("Cache-Control") == "no-store"

    run(test)


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize(
    "mac", [IDLE, STRANGER, "x", "01:00:5e:00:00:01", "%22%3b%20reboot", "%00"]
)
def test_others_boot_their_disk(loader: str, mac: str) -> None:
    """Idle, unknown and impossible machines get a valid script to the disk, without their words."""

    async def test(rig: Rig) -> None:
        reply = await rig.ask(f"/boot/{mac}/{loader}")
        assert reply.status == 200
        assert b"booting the local disk" in reply.body
        assert b"exit 1" in reply.body
        assert b"reboot" not in reply.body
        assert b"token" not in reply.body

    run(test)


@pytest.mark.parametrize("target", ["/grub/grub.cfg", *(f"/boot/{ARMED}/{x}" for x in LOADERS)])
def test_before_the_first_view(target: str) -> None:
    """While the controller was never reached, scripts say so and lead to the disk."""

    async def test(rig: Rig) -> None:
        reply = await rig.ask(target)
        assert reply.status == 200
        assert b"still starting; booting the local disk" in reply.body

    run(test, view=False)


def test_the_common_script_names_the_site() -> None:
    """`/grub/grub.cfg` sends each machine on to its own, by the site's literal address."""

    async def test(rig: Rig) -> None:
        reply = await rig.ask("/grub/grub.cfg")
        assert b"source (http,192.0.2.10)/boot/${net_default_mac}/grub.cfg" in reply.body

    run(test)


def test_a_script_is_observed() -> None:
    """A script asked for is told with the machine and what it got; a HEAD is not, a stranger's is
    told as refused, once.
    """

    async def test(rig: Rig) -> None:
        await rig.ask(f"/boot/{ARMED}/grub.cfg", "HEAD")
        await rig.ask(f"/boot/{ARMED}/grub.cfg")
        (seen,) = rig.reporter.items
        assert (seen.seen, seen.mac, seen.client) == (Seen.SCRIPT, ARMED, "127.0.0.1")
        assert seen.detail["gets"] == "boot"
        for _ in range(3):
            await rig.ask(f"/boot/{STRANGER}/grub.cfg")
        (refused,) = rig.reporter.of(Seen.REFUSED)
        assert refused.mac == STRANGER

    run(test)


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("card", [PRESEED, STRANGER], ids=["enrolled", "stranger"])
def test_another_card_gets_no_token(loader: str, card: Mac) -> None:
    """Who names an armed machine's card and is seen to have another one gets the way to the disk.

    It is told as refused to that machine, without taking the client's address for the machine's.
    """

    async def test(rig: Rig) -> None:
        reply = await rig.ask(f"/boot/{ARMED}/{loader}")
        assert reply.status == 200
        assert b"another machine's script; booting the local disk" in reply.body
        assert b"token" not in reply.body
        (refused,) = rig.reporter.items
        assert (refused.seen, refused.mac, refused.client) == (Seen.REFUSED, ARMED, "")
        assert refused.detail == {
            "what": "the boot script of armed",
            "reason": f"127.0.0.1 has the card {card}",
        }

    run(test, neighbour=lambda _: card)


def test_a_machine_may_ask_by_any_of_its_cards() -> None:
    """Loaders name the card that they booted from; the kernel may answer for another one."""

    async def test(rig: Rig) -> None:
        reply = await rig.ask(f"/boot/{IDLE}/grub.cfg")
        assert b"idle has no deployment" in reply.body

    run(test, neighbour=lambda _: SECOND)
