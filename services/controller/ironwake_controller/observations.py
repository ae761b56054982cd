"""What the data plane saw: evidence where the table takes it, a line of history where it is new."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ironwake import wire
from ironwake.errors import InputError
from ironwake.firmware import BY_NAME
from ironwake.lifecycle import BOOTABLE, State, accepts, advance
from ironwake.mac import Mac
from ironwake.personality import Personality
from ironwake.report import SEEN_EVIDENCE, Observation, Observations, Seen
from ironwake.site import ForeignServer
from ironwake_controller import boots, identity, ledger
from ironwake_controller.metrics import Metrics
from ironwake_controller.offers import asked_boot_server, taken
from ironwake_controller.recent import Recent
from ironwake_controller.store import addresses, deployments, events, machines, receipts
from ironwake_controller.store.deployments import Record
from ironwake_controller.store.events import Event
from ironwake_controller.store.machines import Enrolled
from ironwake_controller.store.store import Store, Tx

_LONGEST = 500  # characters of one detail
_DETAILS = 20
_MOST = 50  # lines of one kind about one machine in one state that are compared
# What makes two sightings of one kind different things to a person.
_TOPIC = ("file", "what", "reason", "manifest", "address", "personality", "port")
# A machine that does any of this is awake.
_AWAKE = frozenset(Seen) - {Seen.REFUSED, Seen.FOREIGN, Seen.CONFLICT}

_WORDS = {
    Seen.DHCP: "asked for an address",
    Seen.OFFERED: "was offered {file}",
    Seen.ADDRESS: "has the address {client}",
    Seen.LOADER: "fetches the loader {file}",
    Seen.SCRIPT: "fetches its boot script",
    Seen.KERNEL: "fetches the kernel {file}",
    Seen.INITRD: "fetches the ramdisk {file}",
    Seen.ARCHIVE: "fetches the archive {file}",
    Seen.SENT: "got {file}: {bytes} bytes in {seconds} s",
    Seen.REFUSED: "was refused {what}: {reason}",
    Seen.CONFLICT: "{address} is in use, and is left alone for ten minutes: {reason}",
    Seen.FOREIGN: "another server answers from {client}",
}


class Watch:
    """`awake` is called, after the commit, with the id of each machine that was seen awake."""

    def __init__(
        self,
        store: Store,
        recent: Recent,
        metrics: Metrics,
        awake: Callable[[int], None],
    ) -> None:
        self._store = store
        self._recent = recent
        self._metrics = metrics
        self._awake = awake

    def take(self, observations: Observations) -> None:
        """Commit them; each id counts once. One that makes no sense is counted, and stops none."""
        seen: set[int] = set()
        with self._store.write() as tx:
            for item in observations.items:
                if item.seen is Seen.FOREIGN:
                    self._neighbour(tx, item)
                    continue
                if item.seen is Seen.CONFLICT:
                    self._conflict(tx, item)
                    continue
                there, mac = _whose(tx, item)
                # Of strangers, who may be many, nothing is kept: not even that they were seen.
                if there is None or not receipts.take(tx, receipts.OBSERVATIONS, item.id):
                    continue
                self._one(tx, item, there, mac)
                if item.seen in _AWAKE:
                    seen.add(there.id)
        for item in observations.items:
            known = item.service if item.service in ("dhcp", "tftp", "dns", "http") else "other"
            self._metrics.observations.labels(known, str(item.seen)).inc()
        for number in seen:
            self._awake(number)

    def _one(self, tx: Tx, item: Observation, there: Enrolled, mac: Mac | None) -> None:
        if mac is not None and _is_address(item.client):
            addresses.learn(tx, mac, item.client)
        firmware = item.detail.get("firmware", "")
        machines.saw(tx, there.id, firmware if firmware in BY_NAME else "")
        live = deployments.live_of(tx.connection, there.id)
        begun = live.deployment.uuid if live else ""
        wrong = identity.mismatch(there.machine, there.memory, begun, item.detail)
        if wrong:
            if self._alarm(tx, there, live, wrong):
                machines.remember(
                    tx, there, identity.noted(there.machine, there.memory, item.detail)
                )
        elif live is not None:
            self._of_deployment(tx, there, live, item)
        else:
            self._line(tx, _event(item, there.machine.name))

    def _conflict(self, tx: Tx, item: Observation) -> None:
        """An address of a pool that somebody uses without having asked."""
        if receipts.take(tx, receipts.OBSERVATIONS, item.id):
            there, _ = _whose(tx, item)
            events.add(tx, _event(item, there.machine.name if there else ""))

    def _neighbour(self, tx: Tx, item: Observation) -> None:
        try:
            news = self._recent.foreign.hear(item.detail, tx.steady)
        except InputError:
            return
        if news:
            server = wire.decode(ForeignServer, item.detail["server"])
            file = f", and names the boot file {server.boot_file}" if server.boot_file else ""
            what = "a DHCP server" if server.gives_address else "a boot server"
            message = f"{what} that is not ours answers from {server.address}{file}"
            if item.detail.get("rival"):
                message += (
                    "; it gives addresses, as we do, and clients take whichever answers first: "
                    "switch it off, or part the pools and set IRONWAKE_DHCP_BESIDE=yes"
                )
            events.add(tx, Event(str(Seen.FOREIGN), message=message, detail=wire.dump(server)))
            tx.touch()

    def _of_deployment(self, tx: Tx, there: Enrolled, record: Record, item: Observation) -> None:
        self._boot_of(tx, there, record, item)
        event = _event(item, record.deployment.machine, record.id, str(record.state))
        if item.seen is Seen.OFFERED:
            self._begun(tx, record, item)
        if item.seen is Seen.OFFERED and asked_boot_server(item.detail):
            self._took(tx, there, taken((item.detail,)))  # also when it comes after the loader
        evidence = SEEN_EVIDENCE.get(item.seen)
        if evidence is not None and accepts(record.state, evidence):
            after = advance(record.state, evidence)
            if after is not record.state:
                self._learn(tx, there, record, item)
                entry = ledger.Entry(event.kind, event.message, event.detail or {}, event.plan)
                moved = ledger.move(tx, record, evidence, entry)
                if item.detail.get("warning"):
                    ledger.note(tx, moved, "warning", item.detail["warning"][:_LONGEST])
                self._recent.pulse.beat(record.id, tx.steady)
                return
        # Firmware that asks again and again for the same is no sign of life: it goes nowhere.
        # Nor is a refusal: it may be a stranger's.
        if self._line(tx, event) and item.seen in _AWAKE:
            self._recent.pulse.beat(record.id, tx.steady)
            if record.stuck is not None:
                deployments.change(tx, record, stuck=None)

    def _boot_of(self, tx: Tx, there: Enrolled, record: Record, item: Observation) -> None:
        """Firmware that is seen after the claim: a restart, or the way to the disk."""
        firmware = BY_NAME.get(item.detail.get("firmware", ""))
        if item.seen is not Seen.DHCP or firmware is None:
            return
        if boots.means_restart(record):
            self._recent.boots.restarted(tx, record)
        elif boots.means_boot(record):
            self._recent.boots.came_back(tx, there, record, firmware)

    def _begun(self, tx: Tx, record: Record, item: Observation) -> None:
        """Whose deployment it is: the first UUID that it was offered to."""
        uuid = identity.uuid_of(item.detail)
        if uuid and not record.deployment.uuid and record.state in BOOTABLE:
            deployments.change(tx, record, uuid=uuid)
            tx.touch()

    def _learn(self, tx: Tx, there: Enrolled, record: Record, item: Observation) -> None:
        """Which offer its firmware took."""
        if record.state is State.OFFERED and item.seen in (Seen.LOADER, Seen.KERNEL):
            offers = ledger.told(tx, record, str(Seen.OFFERED))
            self._took(tx, there, taken(offers))

    def _took(self, tx: Tx, there: Enrolled, shape: dict[str, Personality]) -> None:
        known = {**there.memory.personality, **shape}
        if known != there.memory.personality:
            machines.remember(tx, there, replace(there.memory, personality=known))

    def _alarm(self, tx: Tx, there: Enrolled, live: Record | None, wrong: str) -> bool:
        event = Event(
            "alarm",
            there.machine.name,
            live.id if live else "",
            state=str(live.state) if live else "",
            message=f"{wrong}: what it does moves nothing",
            detail={"reason": wrong},
        )
        news = self._line(tx, event)
        if news:
            self._metrics.alarms.inc()
        return news

    def _line(self, tx: Tx, event: Event) -> bool:
        """Tell it, unless the same was told of this machine in this state."""
        topic = _topic(event.detail or {})
        told = events.alike(tx.connection, event, _MOST)
        # Strangers can be refused in ever new ways, at ever new addresses, as ever new machines.
        if len(told) == _MOST or any(_topic(detail) == topic for detail in told):
            self._metrics.repeats.labels(event.kind).inc()
            return False
        events.add(tx, event)
        return True


def _whose(tx: Tx, item: Observation) -> tuple[Enrolled | None, Mac | None]:
    """The machine that was seen, by its card, else by its address."""
    if item.mac:
        try:
            mac = Mac(item.mac)
        except InputError:
            return None, None
        return machines.by_mac(tx.connection, mac), mac
    number = addresses.machine_at(tx.connection, item.client) if item.client else None
    return (machines.by_id(tx.connection, number) if number is not None else None), None


def _event(item: Observation, machine: str, deployment: str = "", state: str = "") -> Event:
    detail: dict[str, Any] = {
        key[:40]: value[:_LONGEST] for key, value in list(item.detail.items())[:_DETAILS]
    }
    plan = detail.pop("plan", "")
    detail["service"] = item.service[:40]
    for key, value in (("mac", item.mac), ("client", item.client)):
        if value:
            detail[key] = value[:45]
    kind = str(item.seen)
    if item.seen is Seen.ADDRESS:
        detail["address"] = item.client[:45]
    return Event(kind, machine, deployment, "", state, _words(item), detail, plan)


def _words(item: Observation) -> str:
    known = {"client": item.client, "file": "something", "what": item.detail.get("file", "")}
    words = known | {"reason": "", "address": "?", "bytes": "?", "seconds": "?"} | item.detail
    return _WORDS[item.seen].format_map({key: str(value)[:120] for key, value in words.items()})


def _topic(detail: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(detail.get(key) for key in _TOPIC)


def _is_address(text: str) -> bool:
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return not (address.is_unspecified or address.is_multicast or address.is_loopback)
