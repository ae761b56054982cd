"""What persons do: enrol, remove, lock, pin, confirm, write quirks, arm, cancel."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from ironwake import loaders
from ironwake.lifecycle import BOOTABLE
from ironwake.localboot import Rung
from ironwake.personality import Personality
from ironwake_controller.store import deployments
from tests.never_twice.history import Arm
from tests.never_twice.world import (
    BOARDS,
    CARDS,
    NAMES,
    PAYLOADS,
    World,
    board,
    names,
    told,
)

_PINS = st.one_of(
    st.fixed_dictionaries({"local_boot": st.sampled_from(["", *Rung])}),
    st.fixed_dictionaries({"loader": st.sampled_from(["", *loaders.BY_NAME])}),
    st.fixed_dictionaries({"personalities": st.lists(st.sampled_from(Personality), max_size=2)}),
    st.fixed_dictionaries({"labels": st.sampled_from([{}, {"rack": "old"}])}),
)
# Of the pool, which has three addresses, and outside of it.
_RESERVED = st.sampled_from(["", "10.77.0.100", "10.77.0.101", "10.77.0.50"])
_QUIRKS = (
    "quirks: []",
    "quirks: [{firmware: bios-pxe, local_boot: sanboot}]",
    "quirks: [{oui: '52:54:00', local_boot: grub-chain, personalities: [menu]}]",
    "quirks: [{label: {rack: old}, loader: ipxe, local_boot: ipxe-exit}]",
    "quirks: [{firmware: nobody's}]",
)


class Persons(World):
    """Everything that takes the admin token."""

    @initialize(profile=st.sampled_from(list(PAYLOADS)), serves=st.booleans())
    def begin(self, profile: str, serves: bool) -> None:
        self.raise_rig(serves)
        for name in NAMES:
            self.enrol(name)
        self.arm(NAMES[0], profile, 60.0)

    @rule(deed=st.sampled_from(["enrol", "remove", "lock", "unlock", "cancel"]), name=names)
    def a_person(self, deed: str, name: str) -> None:
        match deed:
            case "enrol":
                self.enrol(name)
            case "remove":
                self._remove(name)
            case "cancel":
                self._cancel(name)
            case _:
                if self.rig.person("POST", f"/v1/machines/{name}/{deed}").status_code < 300:
                    change = self.history.locked.add if deed == "lock" else None
                    (change or self.history.locked.discard)(name)

    def _remove(self, name: str) -> None:
        if self.rig.person("DELETE", f"/v1/machines/{name}").status_code == 204:
            self.history.locked.discard(name)
            for arm in self.history.of(name):
                self.history.end(arm, "the machine was removed")

    def _cancel(self, name: str) -> None:
        for arm in self.history.of(name):
            if self.rig.person("POST", f"/v1/deployments/{arm.id}/cancel").status_code == 200:
                self.history.end(arm, "cancelled")

    @rule(
        name=names,
        profile=st.sampled_from(list(PAYLOADS)),
        minutes=st.sampled_from([1.0, 10.0, 60.0]),
    )
    def arm(self, name: str, profile: str, minutes: float) -> None:
        body = {"profile": profile, "minutes": minutes, "wake": False}
        reply = self.rig.person("POST", f"/v1/machines/{name}/deploy", body)
        if reply.status_code == 200:
            # The one that lives already: it must be one that may still be had, or was had, perhaps
            # by a claim whose every reply was lost.
            arm = self.history.by_id(reply.json()["id"])
            assert not arm.ended or arm.taken or arm.unsure, arm.ended
        if reply.status_code != 201:
            return
        with self.rig.house.store.read() as connection:
            record = deployments.by_id(connection, reply.json()["id"])
        assert record is not None
        secret = record.deployment
        path = f"/deployments/{secret.token}/{PAYLOADS[profile]}"
        until = self.now + minutes * 60
        self.history.add(
            Arm(record.id, name, secret.token, secret.health_token, path, until, minutes)
        )

    # How it is to be booted

    @rule(name=names, pin=_PINS)
    def pins(self, name: str, pin: dict[str, Any]) -> None:
        """Its way to the disk, its loader, the shapes of its offers, a label that quirks go by."""
        reply = self.rig.person("PATCH", f"/v1/machines/{name}", pin)
        assert reply.status_code in (200, 404), reply.text

    @rule(text=st.sampled_from(_QUIRKS))
    def writes_quirks(self, text: str) -> None:
        self.rig.quirks.write_text(text)
        self.rig.house.housekeeping.look()

    # Who it is

    @rule(name=names, which=st.sampled_from(BOARDS))
    def names_its_board(self, name: str, which: str) -> None:
        uuid = told(board(CARDS[name], which))
        reply = self.rig.person("PATCH", f"/v1/machines/{name}", {"uuid": uuid})
        assert reply.status_code in (200, 404), reply.text

    @rule(name=names)
    def confirms(self, name: str) -> None:
        """The UUID that was seen last: it explains another UUID, and nothing else."""
        arm = self.history.newest(name)
        shown = self.rig.person("GET", f"/v1/machines/{name}")
        if self.rig.person("POST", f"/v1/machines/{name}/confirm").status_code != 200:
            return
        if arm is None or arm.ended:
            return
        with self.rig.house.store.read() as connection:
            record = deployments.by_id(connection, arm.id)
        assert record is not None
        if record.state in BOOTABLE:
            arm.owner = shown.json()["learned"]["seen_uuid"]
            arm.held = "" if arm.held == "UUID" else arm.held


class Reservations(World):
    """Where we are the DHCP server: whose address is which."""

    @initialize()
    def begin_to_serve(self) -> None:
        self.raise_rig(serves=True)
        for name in NAMES:
            self.enrol(name)

    @rule(name=names, address=_RESERVED)
    def reserves(self, name: str, address: str) -> None:
        wanted = {CARDS[name]: address} if address else {}
        reply = self.rig.person("PATCH", f"/v1/machines/{name}", {"reservations": wanted})
        assert reply.status_code in (200, 409), reply.text

    @rule(name=names)
    def reserves_what_it_has(self, name: str) -> None:
        reply = self.rig.person("POST", "/v1/leases/reserve", {"machines": [name], "write": True})
        assert reply.status_code in (200, 409), reply.text
