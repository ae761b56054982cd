"""The one decision: who gets what, and why."""

from __future__ import annotations

import dataclasses

import pytest

from ironwake import loaders, plan
from ironwake.firmware import BY_NAME, FIRMWARE, Architecture, Firmware, Transport
from ironwake.lifecycle import BOOTABLE, State
from ironwake.loaders import ipxe
from ironwake.localboot import LoaderName, Rung
from ironwake.mac import Mac
from ironwake.machine import Machine
from ironwake.plan import BootPlan, BootRequest, LocalBoot, Silence
from ironwake.profile import Method
from ironwake.site import Policy, Shelf
from ironwake_testing.core import MAC, OWN_FIRMWARE, SHELF, Bench

STRANGER = Mac("52:54:00:99:99:99")


def _resolve(bench: Bench, firmware: Firmware) -> plan.Decision:
    request = BootRequest(MAC, firmware)
    return plan.resolve(request, plan.Subject(bench.machine, bench.deployment), bench.policy)


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("firmware", OWN_FIRMWARE, ids=lambda row: row.name)
@pytest.mark.parametrize("method", list(Method))
def test_only_an_armed_unclaimed_deployment_boots_a_machine(
    bench: Bench, state: State, firmware: Firmware, method: Method
) -> None:
    """In every state, for every firmware and method: a boot plan before the claim, never after."""
    decision = _resolve(bench.with_state(state).with_method(method), firmware)
    assert isinstance(decision, BootPlan) == (state in BOOTABLE)
    assert decision.reason


@pytest.mark.parametrize("state", list(State))
def test_a_locked_machine_gets_silence_whatever_its_deployment(bench: Bench, state: State) -> None:
    """A lock outranks an arming."""
    locked = dataclasses.replace(
        bench.with_state(state), machine=dataclasses.replace(bench.machine, locked=True)
    )
    assert isinstance(_resolve(locked, FIRMWARE[2]), Silence)


def test_an_unknown_machine_gets_silence(bench: Bench) -> None:
    """No enrolment, no packet."""
    decision = plan.resolve(BootRequest(STRANGER, FIRMWARE[2]), None, bench.policy)
    assert isinstance(decision, Silence)


def test_a_machine_without_a_deployment_boots_its_disk(bench: Bench) -> None:
    """An empty or restored database installs nothing."""
    decision = plan.resolve(
        BootRequest(MAC, FIRMWARE[2]), plan.Subject(bench.machine), bench.policy
    )
    assert isinstance(decision, LocalBoot)


def test_missing_media_are_named_and_nothing_is_served(bench: Bench) -> None:
    """An armed machine whose media are not there is left alone, and the plan says what to run."""
    bare = dataclasses.replace(bench, policy=Policy(bench.policy.site, Shelf()))
    decision = _resolve(bare, FIRMWARE[2])
    assert isinstance(decision, Silence)
    assert "ironwake media add loaders ramdisk-generic debian-12" in decision.reason


@pytest.mark.parametrize("method", Method)
@pytest.mark.parametrize("gone", range(len(SHELF.items)))
def test_a_shelf_that_lacks_anything_breaks_no_decision(
    bench: Bench, method: Method, gone: int
) -> None:
    """Half a medium is a missing medium: a decision that raises would end every service at once."""
    items = tuple(item for number, item in enumerate(SHELF.items) if number != gone)
    policy = Policy(bench.policy.site, dataclasses.replace(SHELF, items=items))
    half = dataclasses.replace(bench, policy=policy).with_method(method)
    for firmware in OWN_FIRMWARE:
        decision = _resolve(half, firmware)
        assert isinstance(decision, BootPlan | Silence)


def test_a_machine_of_another_architecture_gets_no_foreign_kernel(bench: Bench) -> None:
    """It could not run it: whoever arms it hears so, instead of waiting at a dark screen."""
    machine = dataclasses.replace(bench.machine, architecture=Architecture.ARM64)
    there = dataclasses.replace(bench, machine=machine)
    wrong = _resolve(there, BY_NAME["uefi-amd64-pxe"])
    assert wrong == Silence("node1 was enrolled as arm64, and its firmware is uefi-amd64-pxe")
    decision = _resolve(there, BY_NAME["uefi-arm64-pxe"])
    assert not isinstance(decision, BootPlan) or "arm64" in decision.kernel.kernel.manifest


def test_what_a_machine_says_of_itself_stands_in_no_script(bench: Bench) -> None:
    """Why a deployment is held is told to people: loaders would run a quote, or a line break."""
    held = dataclasses.replace(bench.deployment, held='it has "; reboot\n')
    decision = _resolve(dataclasses.replace(bench, deployment=held), FIRMWARE[2])
    assert isinstance(decision, Silence)
    assert "reboot" not in decision.reason


def test_ipxe_never_gets_ipxe_again(bench: Bench) -> None:
    """The chainload loop, in which ROM and loader load each other for ever, cannot happen."""
    for firmware in OWN_FIRMWARE:
        decision = _resolve(bench, firmware)
        assert isinstance(decision, BootPlan)
        if firmware.ipxe and firmware.transport is Transport.HTTP:
            assert decision.led.first_file.startswith("http://10.77.0.2/boot/")
        else:
            assert not decision.led.first_file.endswith(".ipxe")


def test_uefi_gets_the_signed_shim_by_its_own_transport(bench: Bench) -> None:
    """Option 93 cannot tell whether Secure Boot is on, so the shim it is, for all."""
    rows = {row.name: _resolve(bench, row) for row in OWN_FIRMWARE if row.uefi and not row.ipxe}
    files = {name: row.led.first_file for name, row in rows.items() if isinstance(row, BootPlan)}
    assert files["uefi-amd64-pxe"] == "sb/shimx64.efi"
    assert files["uefi-amd64-http"] == "http://10.77.0.2/sb/shimx64.efi"


def test_every_loader_always_gets_a_script(bench: Bench) -> None:
    """GRUB runs the body of a 404: so even a stranger's script is a valid one that says why."""
    index = bench.index()
    for loader in loaders.LOADERS:
        for mac in (MAC, STRANGER):
            text = index.script(mac, loader)
            assert text.endswith("\n")
            assert text.startswith("#!ipxe\n") == (loader is ipxe.LOADER)
    assert "no machine with 52:54:00:99:99:99" in index.script(STRANGER, ipxe.LOADER)


def test_a_machine_with_two_cards_is_told_the_one_it_boots_from(bench: Bench) -> None:
    """BOOTIF is the card that asked, not the first one enrolled."""
    second = Mac("52:54:00:77:00:11")
    machine = Machine(bench.machine.name, (MAC, second))
    decision = plan.resolve(
        BootRequest(second, FIRMWARE[2]), plan.Subject(machine, bench.deployment), bench.policy
    )
    assert isinstance(decision, BootPlan)
    assert "BOOTIF=01-52-54-00-77-00-11" in decision.led.script


def test_the_digest_tells_plans_apart(bench: Bench) -> None:
    """Equal plans have equal digests; another token is another plan."""
    first, again = _resolve(bench, FIRMWARE[2]), _resolve(bench, FIRMWARE[2])
    other = dataclasses.replace(
        bench, deployment=dataclasses.replace(bench.deployment, token="ef" * 32)
    )
    changed = _resolve(other, FIRMWARE[2])
    assert isinstance(first, BootPlan)
    assert isinstance(again, BootPlan)
    assert isinstance(changed, BootPlan)
    assert first.led.digest == again.led.digest != changed.led.digest


def test_loaders_that_can_be_pinned_are_all_there_are() -> None:
    """What a person may write in a quirk or at a machine is a loader, and each can be written."""
    assert set(loaders.BY_NAME) == set(LoaderName)


def test_pxelinux_is_for_a_bios_that_is_pinned_to_it(bench: Bench) -> None:
    """Nobody gets it by himself; pinned, BIOS firmware gets it by TFTP, and UEFI what is usual."""
    pinned = dataclasses.replace(
        bench, machine=dataclasses.replace(bench.machine, loader=LoaderName.PXELINUX)
    )
    for firmware in OWN_FIRMWARE:
        usual, decision = _resolve(bench, firmware), _resolve(pinned, firmware)
        assert isinstance(usual, BootPlan)
        assert isinstance(decision, BootPlan)
        assert usual.led.loader != "pxelinux"
        if firmware.uefi:
            assert decision.led == usual.led
        else:
            assert decision.led.first_file == "pxelinux/lpxelinux.0"
            assert "KERNEL http://10.77.0.2/artifacts/" in decision.led.script
            assert "LOCALBOOT" in decision.led.script


def test_a_loader_that_runs_already_hears_the_reason_itself(bench: Bench) -> None:
    """After DHCP the firmware is known by its loader: nobody is told that his own is not there."""
    for rung in Rung:
        machine = dataclasses.replace(bench.machine, local_boot=rung)
        there = dataclasses.replace(bench, machine=machine).with_state(State.SUCCEEDED)
        for loader in loaders.LOADERS:
            if loader.name == rung.loader:
                assert "not there" not in there.index().script(MAC, loader)
