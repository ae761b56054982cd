"""The decision, by what is pinned, what the site says, what was learned, and who else is there."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironwake import plan, wire
from ironwake.errors import InputError
from ironwake.firmware import BY_NAME, FIRMWARE, Firmware
from ironwake.lifecycle import State
from ironwake.localboot import LoaderName, Rung, after, ladder
from ironwake.memory import Memory
from ironwake.personality import Personality
from ironwake.plan import BootPlan, BootRequest, Decision, LocalBoot, Silence, Subject
from ironwake.quirks import Quirk, Quirks
from ironwake.site import ForeignServer, Policy
from ironwake_testing.core import MAC, OWN_FIRMWARE, Bench, make_bench

EDK2, HTTP = BY_NAME["uefi-amd64-pxe"], BY_NAME["uefi-amd64-http"]
UUID, OTHER = "2e0e2e0e-0077-4000-0000-525400770010", "99999999-0077-4000-0000-525400770010"
ROUTER = ForeignServer("10.77.0.1", "10.77.0.1", "pxelinux.0", in_field=True)


def decide(
    bench: Bench,
    firmware: Firmware = EDK2,
    *,
    uuid: str = "",
    memory: Memory | None = None,
    policy: Policy | None = None,
) -> Decision:
    subject = Subject(bench.machine, bench.deployment, memory or Memory())
    return plan.resolve(BootRequest(MAC, firmware, uuid), subject, policy or bench.policy)


def pinned(**what: object) -> Bench:
    bench = make_bench()
    return replace(bench, machine=replace(bench.machine, **what))  # type: ignore[arg-type]


def booted(decision: Decision) -> BootPlan:
    assert isinstance(decision, BootPlan), decision
    return decision


@pytest.mark.parametrize("known", ["machine", "memory", "deployment"])
def test_another_machine_with_the_same_card_gets_nothing(known: str) -> None:
    """Whoever told the UUID, a person, an agent or the first offer: another one is silence."""
    bench, memory = make_bench(), Memory()
    if known == "machine":
        bench = pinned(uuid=UUID)
    elif known == "memory":
        memory = Memory(uuid=UUID)
    else:
        bench = replace(bench, deployment=replace(bench.deployment, uuid=UUID))
    other = decide(bench, uuid=OTHER, memory=memory)
    assert isinstance(other, Silence)
    assert "ironwake machine confirm node1" in other.reason
    booted(decide(bench, uuid=UUID, memory=memory))
    # Firmware that tells none cannot be told apart; some spell it in the other byte order.
    booted(decide(bench, memory=memory))
    booted(decide(bench, uuid="0e2e0e2e-7700-0040-0000-525400770010", memory=memory))


def test_another_machine_does_not_even_boot_its_disk_by_us() -> None:
    """A stranger is led nowhere by a loader of ours, in no state."""
    bench = pinned(uuid=UUID, local_boot=Rung.GRUB_CONFIG).with_state(State.INSTALLED)
    assert isinstance(decide(bench, uuid=OTHER), Silence)


def test_a_pinned_loader_is_taken_where_it_serves() -> None:
    """iPXE for UEFI if a person says so; what cannot run on this firmware is left aside."""
    bench = pinned(loader=LoaderName.IPXE)
    assert booted(decide(bench)).led.first_file == "ipxe/snponly.efi"
    assert booted(decide(bench, HTTP)).led.first_file == "http://10.77.0.2/ipxe/snponly.efi"
    bench = pinned(loader=LoaderName.GRUB)
    assert booted(decide(bench, BY_NAME["bios-pxe"])).led.loader == "ipxe"


def test_pins_go_before_quirks_and_quirks_before_what_was_learned() -> None:
    """One order for all: a person, the site's file, experience, the table."""
    menu, bare = Personality.MENU, Personality.BOOT_SERVER
    row = Quirk(oui="52:54:00", personalities=(menu,))
    memory = Memory(personality={EDK2.name: bare})
    bench = make_bench()
    site = replace(bench.policy, quirks=(row,))
    shapes = [
        booted(decide(pinned(personalities=(bare,)), policy=site)).led.personalities,
        booted(decide(bench, policy=site, memory=memory)).led.personalities,
        booted(decide(bench, memory=memory)).led.personalities[:1],
        booted(decide(bench)).led.personalities[:1],
    ]
    assert shapes == [(bare,), (menu,), (bare,), (Personality.DIRECT,)]


@pytest.mark.parametrize(
    ("row", "fits"),
    [
        (Quirk(loader=LoaderName.IPXE), True),
        (Quirk(firmware="uefi-amd64-pxe", oui="52:54:00", loader=LoaderName.IPXE), True),
        (Quirk(firmware="uefi-amd64-http", loader=LoaderName.IPXE), False),
        (Quirk(oui="00:25:90", loader=LoaderName.IPXE), False),
        (Quirk(label={"rack": "a3"}, loader=LoaderName.IPXE), True),
        (Quirk(label={"rack": "b1"}, loader=LoaderName.IPXE), False),
    ],
)
def test_a_quirk_is_for_whom_it_names(row: Quirk, fits: bool) -> None:
    """By firmware, by the card's maker, by label; all that is given must fit."""
    bench = pinned(labels={"rack": "a3", "row": "2"})
    decision = booted(decide(bench, policy=replace(bench.policy, quirks=(row,))))
    assert (decision.led.loader == "ipxe") is fits


def test_quirks_that_can_be_nothing_are_refused() -> None:
    """A mistype in the site's file is told, and matches nobody by accident."""
    for wrong in ({"oui": "00:25"}, {"firmware": "uefi"}):
        with pytest.raises(InputError):
            Quirk(**wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="none of: grub, ipxe, pxelinux"):
        wire.load(Quirks, {"quirks": [{"loader": "lilo"}]})


def test_a_routers_boot_file_is_warned_of_where_it_spoils_the_boot() -> None:
    """shim believes the DHCP server's own file; HTTP Boot, iPXE and our own DHCP do not care."""
    bench = make_bench()
    beside = replace(bench.policy, foreign=(ROUTER,))
    (warning,) = booted(decide(bench, policy=beside)).warnings
    assert "10.77.0.1" in warning
    assert "pxelinux.0" in warning
    for firmware in OWN_FIRMWARE:
        if firmware != EDK2:
            assert booted(decide(bench, firmware, policy=beside)).warnings == ()
    in_option = replace(bench.policy, foreign=(replace(ROUTER, in_field=False),))
    assert booted(decide(bench, policy=in_option)).warnings == ()
    alone = replace(beside, site=replace(beside.site, proxy=False))
    assert booted(decide(bench, policy=alone)).warnings == ()


def test_where_secure_boot_is_off_ipxe_goes_round_the_router() -> None:
    """The plan switches to what works; with Secure Boot on, or not known, the shim it stays."""
    bench = make_bench()
    beside = replace(bench.policy, foreign=(ROUTER,))
    plans = [
        booted(decide(bench, policy=beside, memory=Memory(secure_boot=known)))
        for known in ("off", "on", "")
    ]
    assert [plan.led.loader for plan in plans] == ["ipxe", "grub", "grub"]
    ((round_it,), *others) = (plan.warnings for plan in plans)
    assert "ipxe goes out instead of shim" in round_it
    assert all("will ask that server" in warning for (warning,) in others)
    only_grub = pinned(loader=LoaderName.GRUB)
    decision = decide(only_grub, policy=beside, memory=Memory(secure_boot="off"))
    assert booted(decision).led.loader == "grub"


def local(decision: Decision) -> LocalBoot:
    assert isinstance(decision, LocalBoot), decision
    return decision


@pytest.mark.parametrize("firmware", OWN_FIRMWARE, ids=lambda row: row.name)
@pytest.mark.parametrize("rung", list(Rung))
def test_every_rung_leads_to_the_disk_or_is_silent(firmware: Firmware, rung: Rung) -> None:
    """A loader is named where the rung has one for this firmware, and its script has no token."""
    bench = pinned(local_boot=rung).with_state(State.INSTALLED)
    decision = local(decide(bench, firmware))
    assert decision.rung is rung
    if decision.led is not None:
        assert decision.led.loader == rung.loader
        assert bench.deployment.token not in decision.led.script
        assert bench.deployment.token not in decision.led.first_file
    else:
        assert not rung.loader or decision.reason.endswith("which is not there")


def test_what_was_learned_leads_unless_a_person_knows_better() -> None:
    """The remembered rung; a pin goes before it."""
    memory = Memory(local_boot=Rung.GRUB_CONFIG, proved=True)
    done = make_bench().with_state(State.SUCCEEDED)
    assert local(decide(done, memory=memory)).led is not None
    quiet = pinned(local_boot=Rung.SILENCE).with_state(State.SUCCEEDED)
    assert local(decide(quiet, memory=memory)).led is None


@pytest.mark.parametrize("firmware", FIRMWARE, ids=lambda row: row.name)
@pytest.mark.parametrize("secure_boot", ["on", "off", ""])
def test_ladders_begin_with_silence_and_end(firmware: Firmware, secure_boot: str) -> None:
    """Each rung is tried once, and unsigned iPXE on no firmware that may refuse it."""
    rungs = ladder(firmware, secure_boot)
    assert rungs[0] is Rung.SILENCE
    climbed, rung = [Rung.SILENCE], after(Rung.SILENCE, firmware, secure_boot)
    while rung is not None:
        climbed.append(rung)
        rung = after(rung, firmware, secure_boot)
    assert tuple(climbed) == rungs
    if firmware.uefi and not firmware.ipxe and secure_boot != "off":
        assert not {one.loader for one in rungs} & {"ipxe"}


@given(
    st.sampled_from(FIRMWARE),
    st.sampled_from(State),
    st.sampled_from(["", UUID, OTHER]),
    st.builds(
        Memory,
        uuid=st.sampled_from(["", UUID]),
        local_boot=st.sampled_from(Rung),
        secure_boot=st.sampled_from(["", "on", "off"]),
        personality=st.dictionaries(
            st.sampled_from([row.name for row in FIRMWARE]), st.sampled_from(Personality)
        ),
    ),
    st.lists(
        st.builds(
            Quirk,
            firmware=st.sampled_from(["", *(row.name for row in FIRMWARE)]),
            personalities=st.lists(st.sampled_from(Personality)).map(tuple),
            loader=st.none() | st.sampled_from(LoaderName),
            local_boot=st.none() | st.sampled_from(Rung),
        )
    ),
    st.lists(st.just(ROUTER)),
)
def test_the_decision_is_total_and_never_boots_what_is_not_armed(
    firmware: Firmware,
    state: State,
    uuid: str,
    memory: Memory,
    quirks: list[Quirk],
    foreign: list[ForeignServer],
) -> None:
    """Whatever is known: an answer with a reason, the same twice, and a boot only if armed."""
    bench = make_bench().with_state(state)
    policy = replace(bench.policy, quirks=tuple(quirks), foreign=tuple(foreign))
    first = decide(bench, firmware, uuid=uuid, memory=memory, policy=policy)
    assert first == decide(bench, firmware, uuid=uuid, memory=memory, policy=policy)
    assert first.reason
    if isinstance(first, BootPlan):
        assert state in {State.ARMED, State.OFFERED, State.LOADER, State.KERNEL}
        assert first.led.personalities
        assert not (uuid == OTHER and memory.uuid)
