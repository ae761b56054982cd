"""Boot scripts: always 200, always a script, for whoever asks."""

from __future__ import annotations

import pytest

from ironwake.report import Seen
from tests.http.rig import ARMED, IDLE, STRANGER, TOKEN, Rig, run

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
