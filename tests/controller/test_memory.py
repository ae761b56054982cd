"""What is learned of a machine: who it is, which offers it takes, how it gets to its disk."""

from __future__ import annotations

import pytest

from ironwake import wire
from ironwake.report import Callback, Seen, Stage
from ironwake.site import ForeignServer
from tests.controller.appliance import MAC, Appliance

FIRST = "2e0e2e0e-0077-4000-0000-525400770010"
OTHER = "99999999-0077-4000-0000-525400770010"
FIRMWARE = "uefi-amd64-pxe"


def offered(appliance: Appliance, uuid: str = FIRST, **more: str) -> None:
    detail = {"file": "sb/shimx64.efi", "firmware": FIRMWARE, "personality": "direct"}
    appliance.see(Seen.OFFERED, uuid=uuid, **{**detail, **more})


def learned(appliance: Appliance) -> dict[str, object]:
    found: dict[str, object] = appliance.good("GET", "/v1/machines/node1")["learned"]
    return found


def test_a_deployment_belongs_to_whom_it_was_offered_first(appliance: Appliance) -> None:
    """Two machines with one card: the first one's it stays, the other raises an alarm."""
    appliance.enrol()
    appliance.deploy(wake=False)
    offered(appliance)
    (entry,) = appliance.view().entries
    assert entry.deployment is not None
    assert entry.deployment.uuid == FIRST
    appliance.see(Seen.DHCP, uuid=OTHER, firmware=FIRMWARE)
    assert appliance.kinds().count("alarm") == 1
    assert appliance.state() == "offered"


def finished(appliance: Appliance) -> None:
    """One deployment to its end."""
    appliance.deploy(wake=False)
    token, health = appliance.tokens()
    offered(appliance)
    appliance.see(Seen.LOADER, file="sb/shimx64.efi")
    appliance.report(token, Callback(Stage.FACTS, "f", facts={"uuid": FIRST, "secure_boot": "on"}))
    assert appliance.claim(token).status_code == 200
    appliance.report(token, Callback(Stage.INSTALLING, "1", percent=50))
    appliance.report(token, Callback(Stage.INSTALLED, "2"))
    assert appliance.healthy(health).status_code == 204


def test_what_worked_is_remembered(appliance: Appliance) -> None:
    """The offer that was taken, the way to the disk that was followed by health, Secure Boot."""
    appliance.enrol()
    finished(appliance)
    assert learned(appliance) == {
        "uuid": FIRST,
        "seen_uuid": "",
        "personality": {FIRMWARE: "direct"},
        "local_boot": "silence",
        "proved": True,
        "secure_boot": "on",
        "ram": 0,
    }


def test_the_offer_that_was_taken_is_the_last_one(appliance: Appliance) -> None:
    """Firmware that was offered three shapes took the one that it went on after."""
    appliance.enrol()
    appliance.deploy(wake=False)
    for shape in ("direct", "boot-server", "menu"):
        offered(appliance, personality=shape)
    appliance.see(Seen.LOADER, file="sb/shimx64.efi")
    assert learned(appliance)["personality"] == {FIRMWARE: "menu"}


def test_an_offer_that_needs_port_4011_was_taken_by_who_asked_there(appliance: Appliance) -> None:
    """Firmware keeps earlier offers: without that question it has taken the last one with a file.

    The question counts, too, where it is told after the loader: by another service.
    """
    appliance.enrol()
    appliance.deploy(wake=False)
    for shape in ("direct", "boot-server"):
        offered(appliance, personality=shape, port="67")
    appliance.see(Seen.LOADER, file="sb/shimx64.efi")
    assert learned(appliance)["personality"] == {FIRMWARE: "direct"}
    offered(appliance, personality="boot-server", port="4011")
    assert learned(appliance)["personality"] == {FIRMWARE: "boot-server"}


def test_a_new_board_is_held_until_it_is_confirmed(appliance: Appliance) -> None:
    """Same card, new UUID: nothing moves until a person has said that it is the same machine."""
    appliance.enrol()
    finished(appliance)
    appliance.deploy(wake=False)
    appliance.see(Seen.DHCP, uuid=OTHER, firmware=FIRMWARE)
    offered(appliance, uuid=OTHER)
    assert appliance.state() == "armed"
    assert learned(appliance)["seen_uuid"] == OTHER
    path = "/v1/machines/node1/confirm"
    assert appliance.call("POST", path, {"uuid": FIRST}).status_code == 409
    appliance.good("POST", path, {"uuid": OTHER})
    assert (learned(appliance)["uuid"], learned(appliance)["seen_uuid"]) == (OTHER, "")
    offered(appliance, uuid=OTHER)
    assert appliance.state() == "offered"


def test_there_must_be_something_to_confirm(appliance: Appliance) -> None:
    """Confirming a machine that has shown nothing new is a mistake, and says so."""
    appliance.enrol()
    assert appliance.call("POST", "/v1/machines/node1/confirm").status_code == 409


def installed(appliance: Appliance) -> str:
    appliance.enrol()
    appliance.deploy(wake=False)
    token, health = appliance.tokens()
    offered(appliance)
    appliance.claim(token)
    appliance.report(token, Callback(Stage.INSTALLING, "1"))
    appliance.report(token, Callback(Stage.INSTALLED, "2"))
    return health


def boot(appliance: Appliance, seconds: float = 200.0) -> None:
    """The machine's firmware asks for a network boot once more, after so long."""
    appliance.clock.pass_time(seconds)
    appliance.see(Seen.DHCP, firmware=FIRMWARE, uuid=FIRST)


def test_a_disk_that_stays_silent_makes_the_next_rung_tried(appliance: Appliance) -> None:
    """Boot after boot without a word from the disk: silence does not lead there."""
    health = installed(appliance)
    for _ in range(2):
        boot(appliance)
    assert learned(appliance)["local_boot"] == "silence"
    boot(appliance)
    assert learned(appliance)["local_boot"] == "grub-chain"
    assert appliance.view().entries[0].memory.local_boot == "grub-chain"
    assert learned(appliance)["proved"] is False
    appliance.healthy(health)
    assert (learned(appliance)["local_boot"], learned(appliance)["proved"]) == ("grub-chain", True)


def test_one_boots_many_requests_are_one_boot(appliance: Appliance) -> None:
    """edk2 asks for a minute and more before it goes to its disk: that is no failure."""
    installed(appliance)
    boot(appliance)
    for _ in range(8):
        boot(appliance, 15.0)
    assert learned(appliance)["local_boot"] == "silence"


def test_the_ladder_has_an_end(appliance: Appliance) -> None:
    """With nothing left to try, that is said, once."""
    installed(appliance)
    for _ in range(20):
        boot(appliance)
    said = [event.message for event in appliance.history() if event.kind == "local-boot"]
    assert said == [
        "it came back to the network, and not from its disk: trying grub-chain",
        "it came back to the network, and not from its disk: trying grub-config",
        "no way to its disk has worked: none is left to try",
    ]


def test_a_pinned_way_to_the_disk_stays(appliance: Appliance) -> None:
    """What a person has said is not tried otherwise."""
    installed(appliance)
    appliance.good("PATCH", "/v1/machines/node1", {"local_boot": "silence"})
    for _ in range(10):
        boot(appliance)
    assert "local-boot" not in appliance.kinds()
    appliance.good("PATCH", "/v1/machines/node1", {"local_boot": ""})
    assert appliance.good("GET", "/v1/machines/node1")["local_boot"] == ""


@pytest.mark.parametrize(("expected", "stuck"), [(0, True), (1, False)])
def test_an_installation_that_restarts(appliance: Appliance, expected: int, stuck: bool) -> None:
    """Expected restarts are part of it; one more is an interrupted installation, told at once."""
    appliance.profile("win", f"release: debian-12\nexpected_reboots: {expected}\n")
    appliance.enrol()
    deployment = appliance.deploy(profile="win", wake=False)["id"]
    token, _ = appliance.tokens()
    appliance.claim(token)
    appliance.report(token, Callback(Stage.INSTALLING, "1", percent=10))
    for _ in range(3):  # one boot asks several times
        boot(appliance, 5.0)
    found = appliance.good("GET", f"/v1/deployments/{deployment}")
    assert (found["state"], bool(found["stuck"])) == ("installing", stuck)
    assert appliance.kinds().count("rebooted") == 1
    # What goes on is not stuck, and its second restart is another one.
    appliance.report(token, Callback(Stage.INSTALLING, "2", percent=20))
    assert appliance.good("GET", f"/v1/deployments/{deployment}")["stuck"] is None
    boot(appliance)
    assert appliance.good("GET", f"/v1/deployments/{deployment}")["stuck"] is not None


def hear(appliance: Appliance, server: ForeignServer, **more: str) -> None:
    text = wire.encode(server).decode()
    appliance.see(Seen.FOREIGN, mac="", client=server.address, server=text, **more)


def test_other_servers_are_told_to_everyone(appliance: Appliance) -> None:
    """Heard once, told once; in the view while it is heard, and gone when it is not."""
    router = ForeignServer("10.77.0.1", "10.77.0.1", "pxelinux.0", in_field=True)
    for _ in range(3):
        hear(appliance, router)
    assert appliance.kinds() == ["foreign"]
    assert appliance.view().foreign == (router,)
    appliance.see(Seen.FOREIGN, mac="", client="10.77.0.9", server="{")
    appliance.clock.pass_time(1000)
    appliance.house.housekeeping.look()
    assert appliance.view().foreign == ()


def test_a_rival_is_told_with_what_to_do(appliance: Appliance) -> None:
    """Where we are the DHCP server, another one that is plugged in later takes clients away."""
    hear(appliance, ForeignServer("10.77.0.1"), rival="yes")
    (event,) = appliance.history()
    assert "a DHCP server that is not ours answers from 10.77.0.1; it gives" in event.message
    assert "IRONWAKE_DHCP_BESIDE=yes" in event.message


def test_a_loader_that_is_fetched_and_not_started_is_named(appliance: Appliance) -> None:
    """Secure Boot tells us nothing: the whole file went out, and nothing came after, does."""
    appliance.enrol()
    deployment = appliance.deploy(wake=False)["id"]
    offered(appliance)
    for file in ("sb/shimx64.efi", "sb/grubx64.efi"):
        appliance.see(Seen.LOADER, file=file)
        appliance.see(Seen.SENT, file=file, bytes="1", seconds="1")
    appliance.house.housekeeping.keep_time()
    appliance.clock.pass_time(400)
    appliance.house.housekeeping.keep_time()
    stuck = appliance.good("GET", f"/v1/deployments/{deployment}")["stuck"]
    assert stuck["stage"] == "loader"
    assert "shim fetched all of sb/grubx64.efi" in stuck["cause"]
    assert "Secure Boot" in stuck["cause"]


def test_a_router_with_a_boot_file_of_its_own_is_named(appliance: Appliance) -> None:
    """What was warned of when the loader was offered is the cause when it leads no further."""
    appliance.enrol()
    deployment = appliance.deploy(wake=False)["id"]
    warning = "the DHCP server 10.77.0.1 names a boot file of its own; remove it there"
    offered(appliance, warning=warning)
    appliance.see(Seen.LOADER, file="sb/shimx64.efi")
    appliance.house.housekeeping.keep_time()
    appliance.clock.pass_time(400)
    appliance.house.housekeeping.keep_time()
    stuck = appliance.good("GET", f"/v1/deployments/{deployment}")["stuck"]
    assert stuck["cause"] == "the DHCP server 10.77.0.1 names a boot file of its own"
    assert "warning" in appliance.kinds()


def test_quirks_come_from_a_file(appliance: Appliance) -> None:
    """The site's rows reach the data plane; a mistake is told with its place, and changes none."""
    file = appliance.settings.quirks
    file.write_text('quirks:\n- oui: "52:54:00"\n  local_boot: sanboot\n')
    appliance.house.housekeeping.look()
    (row,) = appliance.view().quirks
    assert (row.oui, row.local_boot) == ("52:54:00", "sanboot")
    file.write_text('quirks:\n- oui: "52:54:00"\n  local_boot: jump\n')
    appliance.house.housekeeping.look()
    assert appliance.view().quirks == (row,)
    assert "quirks.yaml:3" in appliance.good("GET", "/v1/site")["trouble"]["quirks"]


def test_a_machine_is_pinned(appliance: Appliance) -> None:
    """Loader, way to the disk and shapes of the offer, by a person; nonsense is refused."""
    machine = appliance.enrol(loader="ipxe", local_boot="sanboot", personalities=["menu"])
    pins = [machine[key] for key in ("loader", "local_boot", "personalities")]
    assert pins == ["ipxe", "sanboot", ["menu"]]
    for wrong in ({"loader": "lilo"}, {"local_boot": "jump"}, {"personalities": ["loud"]}):
        reply = appliance.call("PATCH", "/v1/machines/node1", wrong)
        assert reply.status_code == 422
        assert reply.json()["where"].startswith(next(iter(wrong)))
    assert appliance.view().entries[0].machine.macs == (MAC,)


def test_a_deployment_is_whose_uuid_was_told_first(appliance: Appliance) -> None:
    """An offer to somebody who told none binds nobody; the next one who does is it."""
    appliance.enrol()
    appliance.deploy(wake=False)
    offered(appliance, uuid="")
    offered(appliance, personality="boot-server")
    (entry,) = appliance.view().entries
    assert entry.deployment is not None
    assert entry.deployment.uuid == FIRST
    appliance.see(Seen.DHCP, uuid=OTHER, firmware=FIRMWARE)
    assert "alarm" in appliance.kinds()


def test_ever_new_strangers_do_not_fill_the_history(appliance: Appliance) -> None:
    """Anyone can send a machine's card with made-up UUIDs, firmware and reasons."""
    appliance.enrol()
    finished(appliance)
    for number in range(120):
        appliance.see(Seen.DHCP, uuid=f"{number:08x}-0077-4000-0000-525400770010")
        appliance.see(Seen.DHCP, reason=f"no boot loader for client architecture {number}")
    kinds = appliance.kinds()
    assert kinds.count("alarm") <= 50
    assert kinds.count("dhcp") <= 60


def test_what_the_agent_tells_of_its_board_can_be_confirmed(appliance: Appliance) -> None:
    """Firmware without a UUID is found out by the agent; its hold ends with the confirmation."""
    appliance.enrol()
    finished(appliance)
    deployment = appliance.deploy(wake=False)["id"]
    token, _ = appliance.tokens()
    appliance.report(token, Callback(Stage.FACTS, "g", facts={"uuid": OTHER}))
    assert appliance.good("GET", f"/v1/deployments/{deployment}")["held"]
    assert appliance.claim(token).status_code == 409
    again = appliance.call("POST", "/v1/machines/node1/deploy", {"profile": "web"})
    assert again.status_code == 409
    assert "ironwake machine confirm node1" in again.json()["next_step"]
    appliance.good("POST", "/v1/machines/node1/confirm", {"uuid": OTHER})
    assert appliance.good("GET", f"/v1/deployments/{deployment}")["held"] == ""
    assert appliance.claim(token).status_code == 200


@pytest.mark.parametrize("again", [False, True], ids=["the serial alone", "then the board"])
def test_a_confirmed_board_explains_no_serial_number(appliance: Appliance, again: bool) -> None:
    """Whatever the other machine calls itself, and whatever the right one shows after it."""
    appliance.enrol(serial="S1", uuid=FIRST)
    deployment, (token, _) = appliance.deploy()["id"], appliance.tokens()
    stranger = {"serial": "UUID 7", "uuid": OTHER}
    told = (stranger, {"serial": "S1", "uuid": OTHER})[: 1 + again]
    for number, facts in enumerate(told):
        callback = Callback(Stage.FACTS, f"f{number}", facts=facts)
        assert appliance.report(token, callback).status_code == 204
    appliance.good("POST", "/v1/machines/node1/confirm")
    assert "serial S1" in appliance.good("GET", f"/v1/deployments/{deployment}")["held"]
    assert appliance.claim(token).status_code == 409
