"""What machines do: boot, ask for their answers, report."""

from __future__ import annotations

import re
from ipaddress import IPv4Address

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from ironwake import loaders, routes, wire
from ironwake.firmware import Firmware
from ironwake.lifecycle import BOOTABLE
from ironwake.loaders.base import Loader
from ironwake.mac import Mac
from ironwake.machine import MachineUuid
from ironwake.report import Callback, HealthReport, Stage
from ironwake_controller.store import deployments
from ironwake_controller.store import machines as enrolled
from ironwake_dhcp.offer import Door
from ironwake_testing.dhcp import KIND, discover, speaking_from, with_option
from tests.never_twice.history import Arm
from tests.never_twice.world import (
    CARDS,
    HOMES,
    NAMES,
    OWN,
    SERIALS,
    World,
    board,
    boards,
    firmware,
    home,
    homes,
    machines,
    names,
    told,
)

_BOOTS = st.sampled_from(["", "boot-1", "boot-2"])
_LOADERS = st.sampled_from(loaders.LOADERS)
_FILES = ("sb/shimx64.efi", "ipxe/undionly.kpxe", "ipxe/snponly.efi", "pxelinux/lpxelinux.0")


class Machines(World):
    """Machines, their loaders, agents and installed systems; and whoever else has a token."""

    # Before the claim

    @rule(mac=machines, other=machines, kind=firmware, loader=_LOADERS, which=boards)
    def boots(self, mac: Mac, other: Mac, kind: Firmware, loader: Loader, which: str) -> None:
        """As far as it comes: DHCP, its loader, its script (or another's), kernel and ramdisk."""
        self._asks_dhcp(mac, discover(mac, kind, board(mac, which)))
        for name in _FILES:
            self.rig.tftp(name, mac)
        name = routes.boot_script(other, loader.script_name)
        by_http = self.rig.http(home(mac), f"/{name}")
        assert by_http.status == 200
        self.shows_nothing_dead(by_http.text)
        self.shows_nothing_dead((self.rig.tftp(name, mac) or b"").decode())
        for path in re.findall(r"/artifacts/\w+/\S+", by_http.text):
            assert self.rig.http(home(mac), path).status == 200

    def _asks_dhcp(self, mac: Mac, message: bytes) -> None:
        """At both doors: a DISCOVER; and a REQUEST as edk2 sends it to the boot server."""
        self.say(message, mac)
        at = IPv4Address("10.77.0.100")
        request = with_option(speaking_from(message, at), KIND, b"\x03")
        self.say(request, mac, door=Door.BOOT, address=at)

    def shows_nothing_dead(self, text: str) -> None:
        """A script leads to a deployment that may be booted, or to no kernel at all."""
        if self.blind:
            return  # an old view may lead to a payload, which is then not handed out
        shown = [token for token in self.history.arms if token in text]
        assert all(self.history.may_show(token) for token in shown), text
        assert bool(shown) is ("/artifacts/" in text), text

    # The claim, and what follows it

    @rule(data=st.data(), client=homes, boot=_BOOTS)
    def asks_for_a_payload(self, data: st.DataObject, client: str, boot: str) -> None:
        token = data.draw(st.sampled_from([*self.history.arms, "f" * 64]))
        self._ask(token, client, boot)

    @rule(name=names, boot=_BOOTS)
    def takes_its_answers(self, name: str, boot: str) -> None:
        arm = self.history.newest(name)
        if arm is not None:
            self._ask(arm.token, HOMES[name], boot)

    def _ask(self, token: str, client: str, boot: str) -> None:
        arm = self.history.arms.get(token)
        path = arm.payload if arm else f"/deployments/{token}/order"
        clear = not self.rig.line.cut and not self.rig.line.lose
        lost, before = self.rig.line.lose, self.history.forbids(token, (client, boot), self.now)
        reply = self.rig.http(client, path, boot=boot)
        if reply.status == 200:
            assert arm is not None
            self.history.grant(token, (client, boot), self.now)
            self._no_route_boots(arm)
        else:
            assert reply.status in (404, 409, 410, 503), reply
            assert reply.body.startswith(b"# ")
        if arm and lost != self.rig.line.lose and not arm.taken:
            arm.unsure = True  # used up, perhaps, and nobody has it
        others = [HOMES[name] for name in NAMES if arm and name != arm.machine]
        if client in others:
            return  # by its card it is another machine
        if arm and clear and not before and not arm.unsure and not self.behind:
            assert reply.status == 200, (reply, arm)  # what is armed can be had

    def _no_route_boots(self, arm: Arm) -> None:
        """Used up by the claim, not by what follows it."""
        with self.rig.house.store.read() as connection:
            record = deployments.by_id(connection, arm.id)
        assert record is not None
        assert record.state not in BOOTABLE

    @rule(name=names)
    def is_installed(self, name: str) -> None:
        """What an arm is for."""
        arm = self.history.newest(name)
        if arm is not None:
            self._ask(arm.token, HOMES[name], "boot-1")
            for stage in (Stage.INSTALLING, Stage.INSTALLED):
                self.goes_on(name, stage)

    @rule(mac=machines, kind=firmware)
    def boots_and_boots(self, mac: Mac, kind: Firmware) -> None:
        """Its disk says nothing: it comes back to the network."""
        for number in range(4):
            self._asks_dhcp(mac, discover(mac, kind, board(mac, OWN), number))
            self._all_hear_of_it()
            self.pass_time(301.0)
            # In the controller's rounds meanwhile, the arm may have run out.
            self.rig.house.housekeeping.keep_time()
            self._all_hear_of_it()

    def _all_hear_of_it(self) -> None:
        if not self.rig.line.cut:
            self.rig.tell()
            self.rig.follow()

    @rule(data=st.data(), stage=st.sampled_from(Stage), client=homes)
    def reports(self, data: st.DataObject, stage: Stage, client: str) -> None:
        token = data.draw(st.sampled_from([*self.history.arms, "f" * 64]))
        self.count += 1
        self._report(token, Callback(stage, f"c{self.count}", "step"), client)

    @rule(name=names, which=boards, serial=st.sampled_from([*[None] * 6, "", "another", "UUID 7"]))
    def shows_itself(self, name: str, which: str, serial: str | None) -> None:
        """Its agent tells what it is; with luck the machine that is meant."""
        self.count += 1
        arm = self.history.newest(name)
        if arm is not None:
            said = SERIALS[name] if serial is None else serial
            facts = {"serial": said, "uuid": told(board(CARDS[name], which)), "secure_boot": "off"}
            callback = Callback(Stage.FACTS, f"c{self.count}", facts=facts)
            self._report(arm.token, callback, HOMES[name])

    @rule(name=names, stage=st.sampled_from([Stage.INSTALLING, Stage.INSTALLED]))
    def goes_on(self, name: str, stage: Stage) -> None:
        self.count += 1
        arm = self.history.newest(name)
        if arm is not None:
            self._report(arm.token, Callback(stage, f"c{self.count}"), HOMES[name])

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def repeats_a_report(self, data: st.DataObject) -> None:
        token, said = data.draw(st.sampled_from(self.sent))
        self._report(token, said, HOMES["one"])

    def _report(self, token: str, said: Callback, client: str) -> None:
        self.sent.append((token, said))
        repeated = (token, said) in self.sent[:-1]
        path = f"/deployments/{token}/callbacks"
        lost = self.rig.line.lose
        arm = self.history.arms.get(token)
        differing = self._differing(arm, said.facts) if arm else ""
        reply = self.rig.http(client, path, "POST", body=wire.encode(said))
        if reply.status != 204 and lost == self.rig.line.lose:
            return
        if arm is None or (repeated and reply.status != 204):
            return
        if reply.status != 204:
            arm.unsure = True  # it counts, perhaps
            return
        if said.stage is Stage.FACTS:
            if not repeated and arm.held != "serial":
                arm.held = differing or arm.held
            return
        arm.closed = arm.closed or arm.taken is not None
        arm.installed = arm.installed or said.stage is Stage.INSTALLED
        if said.stage is Stage.FAILED and not repeated:
            self.history.end(arm, "failed")

    def _differing(self, arm: Arm, facts: dict[str, str]) -> str:
        """What of this is not the machine that is meant, as far as it is known before."""
        serial, uuid = facts.get("serial", ""), facts.get("uuid", "")
        with self.rig.house.store.read() as connection:
            there = enrolled.by_name(connection, arm.machine)
            record = deployments.by_id(connection, arm.id)
        if there is None or record is None:
            return ""
        if serial and serial != SERIALS[arm.machine]:
            return "serial"
        known = (there.machine.uuid or there.memory.uuid, record.deployment.uuid)
        others = [one for one in known if one and uuid and not MachineUuid(one).is_same(uuid)]
        return "UUID" if others else ""

    @rule(data=st.data())
    def is_healthy(self, data: st.DataObject) -> None:
        health = data.draw(st.sampled_from([a.health for a in self.history.arms.values()] or ["e"]))
        body = wire.encode(HealthReport("one"))
        self.rig.http(HOMES["one"], f"/health/{health}", "POST", body=body)
