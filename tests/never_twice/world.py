"""Who and what there is in every sequence, and what the test itself knows of it."""

from __future__ import annotations

import uuid
from ipaddress import IPv4Address
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

from ironwake.firmware import FIRMWARE
from ironwake.lifecycle import State
from ironwake.mac import Mac
from ironwake.machine import MachineUuid
from ironwake.report import Callback
from ironwake_dhcp.offer import Door
from ironwake_testing.dhcp import UUID, options
from tests.never_twice.addresses import Addresses
from tests.never_twice.dhcp import Fate, leads
from tests.never_twice.history import Arm, History
from tests.never_twice.rig import Rig

NAMES = ("one", "two")
CARDS = {"one": Mac("52:54:00:77:00:11"), "two": Mac("52:54:00:77:00:12")}
STRANGER, PHONE = Mac("52:54:00:77:00:99"), Mac("52:54:00:77:00:aa")
HOMES = {"one": "127.0.0.11", "two": "127.0.0.12", "": "127.0.0.99"}
SERIALS = {"one": "S1", "two": "S2"}
PAYLOADS = {"web": "order", "installer": "answers/preseed.cfg"}
OWN, OTHER, NONE = "its own", "another one", "none"
BOARDS = (OWN, OTHER, NONE)

names = st.sampled_from(NAMES)
machines = st.sampled_from([*CARDS.values(), STRANGER])
homes = st.sampled_from(list(HOMES.values()))
firmware = st.sampled_from(FIRMWARE)
boards = st.sampled_from([OWN, OWN, OTHER, NONE])
fates = st.sampled_from([Fate.HEARD, *Fate])


def board(mac: Mac, which: str) -> bytes:
    """The SMBIOS UUID of a machine with this card, 16 bytes."""
    if which == NONE:
        return bytes(16)
    return uuid.uuid5(uuid.NAMESPACE_OID, f"{mac} {which}").bytes


def told(board: bytes) -> str:
    """As an agent tells it, "" where there is none."""
    return str(MachineUuid.from_option_97(b"\0" + board) or "")


def home(mac: Mac) -> str:
    return next((HOMES[name] for name, card in CARDS.items() if card == mac), HOMES[""])


class World(RuleBasedStateMachine):
    """Two machines, a stranger, a phone, persons, and an appliance. `raise_rig` comes first."""

    rig: Rig

    def __init__(self) -> None:
        super().__init__()
        self.history = History()
        self.addresses = Addresses()
        self.copies: list[Path] = []
        self.sent: list[tuple[str, Callback]] = []
        self.states: dict[str, State] = {}  # of the deployments, when last looked at
        self.behind = False  # the services go by a view that somebody put back
        self.mended_in = 0  # steps, where the line to the controller is cut
        self.count = 0
        self.elapsed = 0.0  # seconds, by the clock of clients
        self.leapt = False  # the time of day went forward, and the leases' journal does not know

    def raise_rig(self, serves: bool) -> None:
        self.rig = Rig({HOMES[name]: mac for name, mac in CARDS.items()}, serves)

    def enrol(self, name: str) -> None:
        body = {"name": name, "macs": [CARDS[name]], "serial": SERIALS[name]}
        assert self.rig.person("POST", "/v1/machines", body).status_code < 300

    @property
    def now(self) -> float:
        return self.rig.clock.monotonic()

    def pass_time(self, seconds: float) -> None:
        self.elapsed += seconds
        self.rig.clock.pass_time(seconds)
        self.history.pass_time(self.now)

    @property
    def blind(self) -> bool:
        """Whether the services may go by something older than what the controller says."""
        return self.behind or self.rig.line.cut

    def say(
        self,
        message: bytes,
        mac: Mac,
        *,
        door: Door = Door.SERVER,
        address: IPv4Address | None = None,
        fate: Fate = Fate.HEARD,
    ) -> bytes | None:
        """A client's datagram; the answer that it heard, which must be its to have."""
        reply = self.rig.dhcp.ask(message, door=door, address=address, fate=fate)
        if fate in (Fate.UNWRITTEN, Fate.UNSENT):
            self.forgotten()
        if reply is None:
            return None
        if not self.rig.serves:
            assert not set(options(reply)) & {1, 3, 51}, "a proxy gives no address"
            assert reply[16:20] == bytes(4)
        if leads(reply):
            self._check_led(mac, MachineUuid.from_option_97(options(message).get(UUID, b"")) or "")
        return reply

    def forgotten(self) -> None:
        """What the dhcp service had in memory only is gone: whom it made an offer first."""
        if self.rig.line.cut:
            for arm in self.history.arms.values():
                arm.owner = ""

    def _check_led(self, mac: Mac, who: str) -> None:
        """It was offered a loader: to install it once, or to lead it to its disk."""
        name = next((name for name, card in CARDS.items() if card == mac), "")
        assert name, f"{mac} is a stranger, and was offered a loader"
        if self.blind:
            return
        assert name not in self.history.locked
        assert self.rig.index is not None
        subject = self.rig.index.subject(mac)
        assert subject is not None, f"{name} is not enrolled, and was offered a loader"
        own = (subject.machine.uuid, subject.deployment.uuid if subject.deployment else "")
        if who:
            assert not any(one and not MachineUuid(one).is_same(who) for one in own)
        arm = self.history.newest(name)
        if arm is not None and self.history.is_armed(arm):
            self._offered_to(arm, who)
        else:
            quirks = self.rig.index.policy.quirks
            rungs = [subject.machine.local_boot, subject.memory.local_boot]
            rungs += [quirk.local_boot for quirk in quirks]
            assert any(rung and rung.loader for rung in rungs), f"{name} was led, and shall not be"

    def _offered_to(self, arm: Arm, who: str) -> None:
        """Whoever is offered it first has it; who tells no UUID cannot be told apart."""
        if not who:
            return
        assert arm.owner in ("", who), f"{arm.id} is {arm.owner}'s, and was offered to {who}"
        arm.owner = who
