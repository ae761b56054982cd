"""A plain BIOS PXE ROM that becomes iPXE by undionly.kpxe: played from what one sent.

No such ROM can be had for QEMU; the captures hold, byte for byte, what it and its second stage say
(DHCP, and the options of its TFTP request). Files are fetched, and the order is claimed, by curl
from the machine's card and address.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from ironwake.mac import Mac
from ironwake_lab import Rack
from ironwake_lab.capture import Frame
from ironwake_runtime.artifacts import ArtifactStore
from ironwake_testing.captures import CAPTURES, datagrams
from ironwake_testing.dhcp import KIND, boot_file, options, with_option
from ironwake_testing.matrix import Cell, Journey, journey
from ironwake_testing.player import PATIENCE, Player, payload_of, played
from ironwake_testing.scene import Scene, node

PLAIN, LOOP = "bios-plainpxe-undionly.pcap", "bios-undionly-loop.pcap"
LOADER = "ipxe/undionly.kpxe"
_MAC, _LOOP_MAC = "52:54:00:77:00:10", "52:54:00:77:02:10"
_XID, _YIADDR = slice(4, 8), slice(16, 20)
_DISCOVER, _OFFER, _REQUEST, _ACK = b"\1", b"\2", b"\3", b"\5"
_WANTED, _SERVER = 50, 54


@dataclass(frozen=True)
class Stage:
    """One program's DHCP: how it looks for a server, and how it asks the one that it chose."""

    discover: bytes
    request: bytes


def stages(capture: str) -> list[Stage]:
    """Those of a capture, in order: each has a transaction number of its own."""
    sent = [item.payload for item in datagrams(CAPTURES / capture, {67})]
    found: dict[bytes, dict[bytes, bytes]] = {}
    for payload in sent:
        found.setdefault(payload[_XID], {}).setdefault(options(payload)[KIND], payload)
    # The last one of the loop was cut off while it looked for a server.
    return [
        Stage(kinds[_DISCOVER], kinds[_REQUEST]) for kinds in found.values() if _REQUEST in kinds
    ]


def lease(rack: Rack, player: Player, stage: Stage) -> tuple[bytes, bytes]:
    """Get an address as this stage does. Our OFFER, and the ACK of the server that lends."""
    ours = rack.spec.appliance_mac
    lender = rack.spec.router.mac if rack.spec.router else ours
    with rack.capture() as frames:

        def from_server(mac: str, kind: bytes) -> bytes:
            source = Mac(mac).packed

            def is_it(frame: Frame) -> bool:
                if frame.source != source or frame.udp_ports != (67, 68):
                    return False
                payload = payload_of(frame)
                same = payload[_XID] == stage.discover[_XID]
                return same and options(payload)[KIND] == kind

            return payload_of(frames.wait_for(is_it, PATIENCE))

        player.broadcast(stage.discover)
        offer, lent = from_server(ours, _OFFER), from_server(lender, _OFFER)
        # Beside the router of a rack this is what was recorded, byte for byte.
        chosen = with_option(stage.request, _SERVER, options(lent)[_SERVER])
        player.broadcast(with_option(chosen, _WANTED, lent[_YIADDR]))
        ack = from_server(lender, _ACK)
    player.take(str(IPv4Address(ack[_YIADDR])))
    return offer, ack


def drive(there: Scene, cell: Cell) -> tuple[Journey, list[dict[str, Any]]]:
    """From the ROM's first word to the order; asserts what must hold on the way."""
    spec = cell.spec
    assert spec.mac == _MAC  # the capture's
    there.enrol(spec)
    deployment = there.deploy(spec.name, wake=False)
    there.appliance.settle()
    rom, ipxe = stages(PLAIN)
    with played(there.rack, spec.mac) as player:
        offer, _ = lease(there.rack, player, rom)
        assert boot_file(offer) == LOADER
        _fetch_loader(player, ArtifactStore(there.artifacts))
        offer, _ = lease(there.rack, player, ipxe)
        assert boot_file(offer) == f"http://{player.server}/boot/{spec.mac}/boot.ipxe"
        _run_script(player, player.http(boot_file(offer)).text)
    there.appliance.wait_event(deployment, lambda event: event["kind"] == "claimed", PATIENCE)
    events = there.events(deployment)
    return journey(cell, events), events


def _fetch_loader(player: Player, store: ArtifactStore) -> None:
    recorded = next(datagrams(CAPTURES / PLAIN, {69})).payload
    granted, content = player.tftp_read(recorded.replace(b"undionly.kpxe", LOADER.encode()))
    artifact = store.manifest("loaders").artifacts[LOADER]
    assert granted == {"blksize": "1432", "tsize": str(artifact.size)}
    assert hashlib.sha256(content).hexdigest() == artifact.sha256


def _run_script(player: Player, script: str) -> None:
    """As iPXE, the kernel and the agent would: both files, facts, the order."""
    urls = re.findall(r"http://\S+/artifacts/\S+", script)
    names = [url.rpartition("/")[2] for url in urls]
    assert names == ["vmlinuz", "initrd.img"]
    for url in urls:
        assert hashlib.sha256(player.http(url).body).hexdigest() in url
    words = dict(word.split("=", 1) for word in script.split() if "=" in word)
    base = f"deployments/{words['ironwake.token']}"
    facts = {"stage": "facts", "facts": {"uuid": "0e2e0e2e-7700-4000-8000-525400770010"}}
    said = player.http(f"{base}/callbacks", "-X", "POST", "-d", json.dumps(facts))
    assert said.status == 204, said.text
    order = player.http(f"{base}/order", "-H", "X-Ironwake-Boot: played")
    assert order.status == 200, order.text
    assert "archive" in json.loads(order.text)


def check_no_loop(there: Scene) -> None:
    """Play the loop's capture: each stage of it is iPXE, and is offered the script.

    It takes none of the offers; one of another shape names no file, and leaves that to port 4011.
    """
    spec = node(99, mac=_LOOP_MAC)
    there.enrol(spec)
    deployment = there.deploy(spec.name, wake=False)
    there.appliance.settle()
    with played(there.rack, spec.mac) as player:
        script = f"http://{player.server}/boot/{spec.mac}/boot.ipxe"
        answers = list(_answers(there.rack, player))
    assert not [answer for answer in answers if b"undionly" in answer]
    assert {boot_file(answer) for answer in answers} - {""} == {script}
    there.appliance.api("POST", f"/v1/deployments/{deployment}/cancel")


def _answers(rack: Rack, player: Player) -> Iterator[bytes]:
    for stage in stages(LOOP):
        offer, ack = lease(rack, player, stage)
        yield offer
        if rack.spec.router is None:
            yield ack
