"""Orders that install nothing: armed as any other, ended by their own last word; and `finish`."""

from __future__ import annotations

import pytest

from ironwake import wire
from ironwake.artifact import Manifest
from ironwake.methods import live
from ironwake.order import Order, Wipe
from ironwake.profile import Finish
from ironwake.report import Callback, Seen, Stage
from ironwake_runtime.artifacts import ArtifactStore
from tests.controller.appliance import Appliance

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFakeFakeFakeFakeFakeFake me@laptop"
WIPE: dict[str, object] = {"method": "wipe", "erase": ["WD-1"]}


def begun(appliance: Appliance, body: dict[str, object]) -> tuple[Order, str, str]:
    """A deployment whose order was handed out: the order, and both tokens."""
    appliance.enrol()
    made = appliance.call("POST", "/v1/machines/node1/deploy", body)
    assert made.status_code == 201, made.text
    token, health = appliance.tokens()
    reply = appliance.claim(token)
    return wire.decode(Order, reply.json()["text"]), token, health


def test_a_wipe_needs_no_profile_and_no_media_but_the_ramdisk(appliance: Appliance) -> None:
    """The order names the disks, and nothing that could be installed; then the machine is off."""
    order, _, _ = begun(appliance, WIPE)
    assert order.wipe == Wipe(("WD-1",))
    assert (order.archive, order.image, order.finish) == (None, None, Finish.POWEROFF)
    shown = appliance.good("GET", "/v1/machines/node1")["deployment"]
    assert (shown["profile"], shown["release"], shown["erase"]) == ("wipe", "", ["WD-1"])


@pytest.mark.parametrize(
    "body",
    [
        {"method": "wipe"},
        {"method": "wipe", "erase": ["auto"]},
        {"method": "wipe", "erase": ["WD-1", "smallest ssd"]},
        {"method": "wipe", "erase": ["/dev/sda"]},
        {"method": "wipe", "erase": ["WD-1"], "finish": "kexec"},
        {"method": "wipe", "erase": ["WD-1"], "profile": "web"},
        {"method": "archive"},
        {"method": "burn", "erase": ["WD-1"]},
        {"profile": "web", "finish": "later"},
        {},
    ],
)
def test_a_wish_that_is_not_clear_arms_nothing(
    appliance: Appliance, body: dict[str, object]
) -> None:
    """A disk is named by what no restart changes, one by one; and one thing is asked for."""
    appliance.enrol()
    assert appliance.call("POST", "/v1/machines/node1/deploy", body).status_code == 422
    assert appliance.state() == "enrolled"


def test_a_wipe_ends_by_its_own_last_word(appliance: Appliance) -> None:
    """Progress, then done: succeeded, with what was done in the history; its repeat is fine."""
    _, token, _ = begun(appliance, WIPE)
    assert appliance.report(token, Callback(Stage.WORKING, "1", "wiping", 5.0)).status_code == 204
    assert appliance.state() == "working"
    done = Callback(Stage.DONE, "2", percent=100.0, message="/dev/vda: overwritten")
    for _ in range(2):
        assert appliance.report(token, done).status_code == 204
    assert appliance.state() == "succeeded"
    last = appliance.history()[-1]
    assert (last.kind, last.message) == ("succeeded", "/dev/vda: overwritten")


def test_an_installation_cannot_end_by_a_word(appliance: Appliance) -> None:
    """Who has an installation's token makes no success of it: only its system's health does."""
    appliance.enrol()
    appliance.deploy()
    token, _ = appliance.tokens()
    appliance.claim(token)
    for stage in (Stage.WORKING, Stage.DONE):
        assert appliance.report(token, Callback(stage, str(stage))).status_code == 409
    assert appliance.state() == "answers"


def test_a_wipe_is_never_installed_nor_healthy(appliance: Appliance) -> None:
    """Nothing is there afterwards that could be."""
    _, token, health = begun(appliance, WIPE)
    assert appliance.report(token, Callback(Stage.INSTALLING, "1")).status_code == 409
    appliance.report(token, Callback(Stage.WORKING, "2"))
    assert appliance.report(token, Callback(Stage.INSTALLED, "3")).status_code == 409
    assert appliance.healthy(health).status_code == 409
    assert appliance.state() == "working"


def test_a_wipe_that_is_interrupted_is_stuck_at_once(appliance: Appliance) -> None:
    """The machine's firmware is seen again: it boots its disk, and nobody takes that for an end."""
    _, token, _ = begun(appliance, WIPE)
    appliance.report(token, Callback(Stage.WORKING, "1"))
    appliance.see(Seen.DHCP, firmware="uefi-amd64-pxe")
    shown = appliance.good("GET", "/v1/machines/node1")["deployment"]
    assert (shown["state"], shown["stuck"]["cause"]) == (
        "working",
        "it restarted before it was done",
    )
    assert appliance.claim(token).status_code == 410


def rescued(appliance: Appliance, body: dict[str, object]) -> tuple[Order, str, str]:
    order, token, _ = begun(appliance, body)
    appliance.report(token, Callback(Stage.WORKING, "1", "rescue", 50.0, "ssh root@10.77.0.100"))
    shown = appliance.good("GET", "/v1/machines/node1")["deployment"]
    assert (shown["state"], shown["message"]) == ("working", "ssh root@10.77.0.100")
    return order, token, shown["id"]


def test_a_rescue_lets_the_profiles_user_in(appliance: Appliance) -> None:
    """By the keys of the profile; nothing in the order is about a disk."""
    text = f'method: rescue\nparameters: {{users: [{{name: admin, ssh_keys: ["{KEY}"]}}]}}\n'
    appliance.profile("help", text)
    order, _, _ = rescued(appliance, {"profile": "help"})
    assert order.rescue is not None
    assert order.rescue.keys == (KEY,)
    assert (order.archive, order.image, order.wipe, order.erase) == (None, None, None, ())


@pytest.mark.parametrize("way", ["end", "cancel", "restart"])
def test_a_rescue_ends_when_a_person_says_so_or_the_machine_restarts(
    appliance: Appliance, way: str
) -> None:
    """Then the machine hears that it is over, and boots its disk."""
    _, token, name = rescued(appliance, {"method": "rescue"})
    if way == "restart":
        appliance.see(Seen.DHCP, firmware="uefi-amd64-pxe")
    else:
        appliance.good("POST", f"/v1/deployments/{name}/{way}")
    assert appliance.state() == ("cancelled" if way == "cancel" else "succeeded")
    assert appliance.report(token, Callback(Stage.WORKING, "9")).status_code == 410
    assert appliance.claim(token).status_code == 410


def test_only_a_rescue_is_ended_by_a_person(appliance: Appliance) -> None:
    """All else is cancelled, which is no success."""
    _, _, _ = begun(appliance, WIPE)
    name = appliance.good("GET", "/v1/machines/node1")["deployment"]["id"]
    assert appliance.call("POST", f"/v1/deployments/{name}/end").status_code == 409


def test_signs_of_life_keep_a_rescue_from_being_stuck(appliance: Appliance) -> None:
    """A person may work for hours; each report says that the machine is there, and tells once."""
    _, token, _ = rescued(appliance, {"method": "rescue"})
    told = len(appliance.kinds())
    for number in range(30):
        appliance.clock.pass_time(60)
        said = Callback(Stage.WORKING, f"b{number}", "rescue", 50.0, "ssh root@10.77.0.100")
        assert appliance.report(token, said).status_code == 204
        appliance.house.housekeeping.keep_time()
    assert len(appliance.kinds()) == told
    appliance.clock.pass_time(2000)
    appliance.house.housekeeping.keep_time()
    assert appliance.kinds()[-1] == "stuck"


@pytest.mark.parametrize("finish", list(Finish))
def test_finish_is_the_orders_before_the_profiles(appliance: Appliance, finish: Finish) -> None:
    """What is asked for in the deployment counts for this one alone."""
    appliance.profile("web", "release: debian-12\nfinish: kexec\n")
    order, _, _ = begun(appliance, {"profile": "web", "finish": str(finish)})
    assert order.finish is finish


def test_finish_is_the_profiles_where_nothing_is_asked(appliance: Appliance) -> None:
    """A profile's own word."""
    appliance.profile("web", "release: debian-12\nfinish: kexec\n")
    assert begun(appliance, {"profile": "web"})[0].finish is Finish.KEXEC


@pytest.mark.parametrize(("finish", "missed"), [("poweroff", False), ("shell", False), ("", True)])
def test_who_was_to_stay_off_is_not_missed(appliance: Appliance, finish: str, missed: bool) -> None:
    """A machine that is off, or at a shell, waits for a person for as long as that takes."""
    _, token, health = begun(appliance, {"profile": "web", "finish": finish})
    appliance.report(token, Callback(Stage.INSTALLING, "1"))
    appliance.report(token, Callback(Stage.INSTALLED, "2"))
    appliance.clock.pass_time(7200)
    appliance.house.housekeeping.keep_time()
    assert ("stuck" in appliance.kinds()) is missed
    assert appliance.healthy(health).status_code == 204


def test_a_kexec_needs_no_firmware_to_be_healthy(appliance: Appliance) -> None:
    """Health comes right after `installed`: no request of the firmware lies between."""
    _, token, health = begun(appliance, {"profile": "web", "finish": "kexec"})
    appliance.report(token, Callback(Stage.INSTALLING, "1"))
    said = "kexec: starting /boot/vmlinuz without the firmware"
    appliance.report(token, Callback(Stage.INSTALLED, "2", message=said))
    assert appliance.history()[-1].message == said
    assert appliance.healthy(health).status_code == 204
    assert appliance.state() == "succeeded"


def test_a_live_system_is_healthy_from_memory(appliance: Appliance) -> None:
    """Its seed is the claim, file by file; its health ends it, and no disk is said to boot."""
    store = ArtifactStore(appliance.settings.artifacts)
    roles = ("kernel", "initrd", "squashfs")
    artifacts = {role: store.add_bytes(role.encode()) for role in roles}
    names = dict(zip(roles, roles, strict=True))
    built = "2026-01-02T03:04:05Z"
    store.publish(Manifest("debian-12-live", "media", built, "f" * 64, artifacts, names, {}))
    appliance.house.housekeeping.look()
    appliance.profile("live", "release: debian-12\nmethod: live\n")
    appliance.enrol()
    appliance.deploy(profile="live")
    token, health = appliance.tokens()
    grants = [appliance.claim(token).json() for _ in live.FILES]
    assert all(set(grant["files"]) == set(live.FILES) for grant in grants)
    assert appliance.healthy(health).status_code == 409
    assert appliance.report(token, Callback(Stage.WORKING, "live", "live")).status_code == 204
    assert appliance.claim(token).status_code == 410
    assert appliance.report(token, Callback(Stage.DONE, "x")).status_code == 409
    assert appliance.healthy(health).status_code == 204
    assert appliance.state() == "succeeded"
    assert appliance.good("GET", "/v1/machines/node1")["learned"]["proved"] is False


def test_a_capture_reads_what_is_asked_and_nothing_is_installed(appliance: Appliance) -> None:
    """The order says where to put it; it ends by its own last word, as other work does."""
    asked = {"name": "web", "disk": "WD-1"}
    order, token, _ = begun(appliance, {"method": "capture", "capture": asked})
    assert order.capture is not None
    assert order.capture.url.endswith(f"/deployments/{token}/capture")
    assert (order.capture.disk, order.capture.root, order.erase) == ("WD-1", "", ())
    assert (order.archive, order.image, order.wipe, order.finish) == (
        *(None, None, None),
        Finish.REBOOT,
    )
    assert appliance.report(token, Callback(Stage.WORKING, "1", "reading", 5.0)).status_code == 204
    assert appliance.report(token, Callback(Stage.DONE, "2", message="sent")).status_code == 204
    assert appliance.state() == "succeeded"


@pytest.mark.parametrize(
    "body",
    [
        {"method": "capture"},
        {"method": "capture", "capture": {"name": "Web!"}},
        {"method": "capture", "capture": {"name": "web", "disk": "/dev/sda"}},
        {"method": "capture", "capture": {"name": "web", "root": "/dev/sda1"}},
        {"method": "capture", "capture": {"name": "web", "disk": "WD-1", "root": "auto"}},
        {"method": "capture", "capture": {"name": "web"}, "finish": "kexec"},
        {"method": "capture", "capture": {"name": "web"}, "profile": "web"},
        {"method": "rescue", "capture": {"name": "web"}},
        {"profile": "web", "capture": {"name": "web"}},
    ],
)
def test_a_capture_that_is_not_clear_arms_nothing(
    appliance: Appliance, body: dict[str, object]
) -> None:
    """One thing is read, by what no restart changes, for a name that an image can have."""
    appliance.enrol()
    assert appliance.call("POST", "/v1/machines/node1/deploy", body).status_code == 422
    assert appliance.state() == "enrolled"
