"""Addresses: how firmware and systems ask for one by DHCP, and for what to boot. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ironwake_lab.storm import roms
from ironwake_lab.storm.frames import EVERYBODY, Datagram, Question, Reply, question, reply
from ironwake_lab.storm.machine import BootFailedError, Life, Machine, Mark
from ironwake_lab.storm.roms import Asking

_OFFER, _ACK, _NAK = 2, 5, 6
_SERVER, _CLIENT, _BOOT_SERVER = 67, 68, 4011
_DISCOVERY_CONTROL, _USE_THIS_FILE = 6, 0x08  # PXE 2.1 table 2-1: tag 6, bit 3


@dataclass(frozen=True)
class BootFile:
    """Where the chain begins: a server and a name, or a URL."""

    server: bytes
    file: str


def find(machine: Machine, asking: Asking) -> Life[BootFile]:
    """Get an address, and know where to load from."""
    lease, boot = yield from _discover(machine, asking)
    yield from take(machine, asking, lease)
    if boot is None:
        raise BootFailedError("an address, and nothing to boot")
    if boot.file and (_direct(boot) or boot.address != bytes(4) or asking.boots != "PXEClient"):
        return BootFile(boot.next_server, boot.file)
    return (yield from _boot_server(machine, asking, boot))


def _discover(machine: Machine, asking: Asking) -> Life[tuple[Reply, Reply | None]]:
    """The offer of an address, and the offer to boot if there was one."""
    xid = machine.chance.getrandbits(32)
    lease: Reply | None = None
    boot: Reply | None = None
    options = asking.discover(machine.uuid.bytes_le, machine.mac)
    began = machine.now
    for pause, secs in zip(asking.pauses, asking.secs, strict=True):
        said = question(Question(machine.mac, xid, secs, asking.flags, options))
        machine.says(EVERYBODY, _CLIENT, _SERVER, said)
        end = machine.now + pause
        while True:
            if lease is not None and not asking.collects:
                # iPXE gives a proxy some time, from its first word on.
                end = min(end, max(machine.now, began + asking.proxy_wait))
            heard = yield from _hear(machine, end, xid, (_OFFER,))
            if heard is None:
                break
            if heard.address != bytes(4):
                lease = lease or heard
            if asking.boots and heard.vendor_class.startswith(asking.boots.encode()):
                boot = boot or heard
                machine.mark(Mark.OFFERED)
            if lease and (boot or not asking.boots) and not asking.collects:
                return lease, boot
        if lease is not None:
            return lease, boot
    raise BootFailedError("no DHCP server gave an address")


def take(machine: Machine, asking: Asking, lease: Reply) -> Life[None]:
    """REQUEST what was offered, until it is acknowledged."""
    options = asking.request(machine.uuid.bytes_le, machine.mac, lease.server, lease.address)
    for pause in (4.0, 8.0, 16.0) if asking.collects else (1.0, 2.0, 4.0, 8.0):
        said = question(Question(machine.mac, lease.xid, 0, asking.flags, options))
        machine.says(EVERYBODY, _CLIENT, _SERVER, said)
        end = machine.now + pause
        while (heard := (yield from _hear(machine, end, lease.xid, (_ACK, _NAK)))) is not None:
            if heard.server != lease.server:
                continue
            if heard.kind == _NAK:
                raise BootFailedError("the DHCP server took its offer back")
            machine.address = heard.address
            return
    raise BootFailedError("the DHCP server did not acknowledge")


def lend(machine: Machine, asking: Asking) -> Life[None]:
    """An address for a running system, asked for until there is one."""
    while True:
        try:
            lease, _ = yield from _discover(machine, asking)
            yield from take(machine, asking, lease)
            return
        except BootFailedError:
            yield from machine.sleep(5.0)


def _hear(machine: Machine, end: float, xid: int, kinds: tuple[int, ...]) -> Life[Reply | None]:
    while (heard := (yield from machine.wait(end, Datagram))) is not None:
        found = reply(heard.payload)
        if found and found.xid == xid and found.mac == machine.mac and found.kind in kinds:
            return found
    return None


def _direct(offer: Reply) -> bool:
    """Whether the offer says "use the boot file of this very reply"."""
    data = offer.discovery
    at = 0
    while at + 2 < len(data) and data[at] not in (0, 255):
        if data[at] == _DISCOVERY_CONTROL:
            return bool(data[at + 2] & _USE_THIS_FILE)
        at += 2 + data[at + 1]
    return False


def _boot_server(machine: Machine, asking: Asking, offer: Reply) -> Life[BootFile]:
    """Ask the boot server itself, on port 4011 (PXE 2.1 §2.2.3; edk2 asks from that port)."""
    server = offer.server
    yield from machine.resolve(server)
    edk2 = asking is roms.PXE
    body = roms.EDK2_BOOT_SERVER if edk2 else asking.body
    filled = body.replace("U", machine.uuid.bytes_le.hex()).replace("M", machine.mac.hex())
    options = b"\x35\x01\x03" + bytes.fromhex(filled)
    port = _BOOT_SERVER if edk2 else _CLIENT
    for pause in (1.0, 2.0, 3.0, 4.0):
        said = Question(machine.mac, offer.xid, 0, 0, options, machine.address)
        machine.says(server, port, _BOOT_SERVER, question(said))
        found = yield from _hear(machine, machine.now + pause, offer.xid, (_ACK,))
        if found is not None and found.file:
            return BootFile(found.next_server, found.file)
    raise BootFailedError("the boot server does not answer on port 4011")
